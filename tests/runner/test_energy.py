import sys
from types import SimpleNamespace

import pytest
import torch

from growsearch.runner.energy import Counter, Meter, graphics_card, processors
from growsearch.runner.ledger import Ledger


def powercap(folder, **zones):
    for name, (kind, energy) in zones.items():
        zone = folder / name.replace("_", ":").replace("rapl", "intel-rapl")
        zone.mkdir()
        (zone / "name").write_text(f"{kind}\n")
        (zone / "energy_uj").write_text(f"{energy}\n")
        (zone / "max_energy_range_uj").write_text("9000000\n")
    return folder


def test_all_packages_are_counted_and_their_parts_are_not(tmp_path):
    powercap(tmp_path, rapl_0=("package-0", 1_000_000), rapl_1=("package-1", 8_500_000), rapl_2=("psys", 0))
    powercap(tmp_path, rapl_0_0=("core", 500_000))
    meter = Meter(processors(tmp_path))
    assert sorted(meter.counters) == ["intel-rapl:0", "intel-rapl:1"]
    assert meter.joules() == 0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3500000")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("250000")  # it has started anew at 9 J
    assert meter.joules() == pytest.approx(2.5 + 0.75)
    assert meter.joules() == 0


def test_nothing_is_known_without_counters_or_once_they_cannot_be_read(tmp_path):
    assert Meter(processors(tmp_path / "missing")).joules() is None
    powercap(tmp_path, rapl_0=("package-0", 1))
    meter = Meter(processors(tmp_path))
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("unreadable")
    assert meter.joules() is None
    powercap(tmp_path, rapl_1=("package-1", "unreadable"))
    (tmp_path / "intel-rapl:1" / "max_energy_range_uj").unlink()
    assert processors(tmp_path) == {}


def test_a_graphics_card_is_asked_for_by_its_identity(monkeypatch):
    energy = {"GPU-1234": 5000}
    nvml = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=str, nvmlDeviceGetTotalEnergyConsumption=energy.__getitem__
    )
    device = torch.device("cuda")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    meter = Meter(graphics_card(device))
    energy["GPU-1234"] = 7500
    assert meter.joules() == 2.5
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert graphics_card(device) == {}


def test_a_sum_with_an_unknown_part_is_unknown():
    ledger = Ledger(joules=0.0)
    ledger.use(2.0)
    ledger.use(Meter({"one": Counter(lambda: 3.0)}).joules())
    assert ledger.joules == 2.0
    ledger.use(None)
    ledger.use(1.0)
    assert ledger.joules is None
    assert Ledger.restored({"seconds": 1.0}).joules is None  # a checkpoint from before energy was counted
