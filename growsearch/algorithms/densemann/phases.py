"""What follows when a block is grown or a copy is trained (DensEMANN section 3.1.3), as a pure function."""

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.machine import Edit

GROWTH, TRAINING, DONE = "growth", "final training", "done"


def next_phase(blocks: int, config: DensemannConfig) -> tuple[str, list[Edit]]:
    """The phase after a grown block or a finished training, and the edits that open it.

    Args:
        blocks: that the network has now.
        config: final number of blocks, and how they come about.
    """
    missing = config.block_count - blocks
    if missing <= 0:
        return DONE, []
    match config.new_block_mode:
        case "from_scratch":
            return GROWTH, [["seed_block"]]
        case "incremental_copy":
            return TRAINING, [["copy_block"]]
        case "reset_copy":
            return TRAINING, [["copy_block"]] * missing + [["redraw"]]
        case _:
            return TRAINING, [["copy_block"]] * missing
