"""The curves and remarks that trackers draw from events, the same for all of them."""

from growsearch.events import Edit, Epoch, Event, Note, Phase


def scalars(event: Event) -> dict[str, float]:
    """Named points of curves; accuracies are fractions, losses nats."""
    if isinstance(event, Epoch):
        named = {
            "loss/train": event.train_loss,
            "loss/val": event.val_loss,
            "accuracy/train": event.train_accuracy,
            "accuracy/val": event.val_accuracy,
            "learning_rate": event.lr,
            "batch_size": event.batch_size,
            "params": event.params,
        }
        return {name: float(value) for name, value in named.items() if value is not None}
    return {"params": float(event.params)} if isinstance(event, Edit) else {}


def remark(event: Event) -> str | None:
    """Events that get a line of text."""
    if isinstance(event, Edit):
        return f"network {event.network}, {event.where}: {event.op}"
    if isinstance(event, Phase):
        return f"phase: {event.name}"
    return event.text if isinstance(event, Note) else None
