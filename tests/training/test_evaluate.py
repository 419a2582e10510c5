"""Evaluation: its figures against those of all images at once, and what it leaves behind."""

import pytest
import torch
import torch.nn.functional as F
from algorithms.tiny import tiny_engine
from torch import nn

from growsearch.surgery.initialise import library_
from growsearch.training import Network, OptimizerConfig


def network(classes: int = 10) -> Network:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
    library_(module[1], torch.Generator().manual_seed(0))
    return Network(0, module, weights=OptimizerConfig(lr=0.1))


@pytest.mark.parametrize("batch", [60, 7])
def test_figures_are_those_of_all_images_whatever_the_batch(batch):
    net, engine, parts = network(), tiny_engine(eval_batch=batch), []
    found = engine.evaluate(net, "test", each=lambda at, logits, labels: parts.append((at, logits, labels)))
    images, labels = engine.data.normalisation(engine.data.test.images), engine.data.test.labels
    with torch.no_grad():
        logits = net.module(images)
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert found.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)
    assert found.accuracy == (ranks == 0).sum().item() / 60
    assert found.top5 == (ranks < 5).sum().item() / 60 > (ranks < 4).sum().item() / 60
    assert found.images == 60 and [at for at, _, _ in parts] == list(range(0, 60, batch))
    torch.testing.assert_close(torch.cat([one for _, one, _ in parts]), logits)
    assert torch.equal(torch.cat([one for _, _, one in parts]), labels)


def test_of_five_classes_or_fewer_all_are_among_the_first_five():
    engine = tiny_engine()
    engine.data.test.labels.clamp_(max=4)
    assert engine.evaluate(network(5), "test").top5 == 1


def test_training_mode_comes_back_even_after_an_error():
    net, engine = network(), tiny_engine()

    def fail(*_):
        assert not net.module.training
        raise RuntimeError

    net.module.train()
    with pytest.raises(RuntimeError):
        engine.evaluate(net, "test", each=fail)
    assert net.module.training
    net.module.eval()
    engine.evaluate(net, "test")
    assert not net.module.training
