import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from official_files import make_class_folders, picture

from growsearch.data.augment import Augmentation, draw_pass
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Dataset
from growsearch.data.decoders import Decoders
from growsearch.data.load import load
from growsearch.data.streamed import AHEAD, CHUNK, Ferry, StreamedImages
from growsearch.errors import UserError
from growsearch.training import Cursor
from growsearch.training.loader import Loader


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    make_class_folders(place, ["a", "b", "c"], 30, 12)
    (place / "a" / "odd.png").write_bytes(picture(77, 30, 9))
    return place


def loaded(folder: Path, **options: object) -> Dataset:
    return load(DataConfig(name="image_folder", path=str(folder), resize=8, **options), seed=0)  # type: ignore[arg-type]


def batches(data: Dataset, size: int, prepared: bool, start: int = 0) -> torch.Tensor:
    plan = draw_pass(0, "train", count=len(data.train), augmentation=Augmentation(), image_hw=(8, 8))
    if prepared:
        data.train.prepare(plan.order)
    taken = [data.train.take(rows) for rows in plan.order[start:].split(size)]
    assert torch.equal(torch.cat([batch.labels for batch in taken]), data.train.labels[plan.order[start:]])
    return torch.cat([batch.images for batch in taken])


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_images_are_the_resident_ones(workers: int, folder: Path) -> None:
    resident = loaded(folder, stream="never")
    streamed = loaded(folder, stream="always", workers=workers)
    assert resident.describe() == streamed.describe()
    expected = batches(resident, 7, prepared=False)
    for size, prepared, start in ((7, False, 0), (7, True, 0), (50, True, 0), (7, True, 14), (1, True, 0)):
        assert torch.equal(batches(streamed, size, prepared, start), expected[start:])
    assert torch.equal(streamed.test.take(torch.arange(5)).images, resident.test.images[:5])
    halves = streamed.train.images[10:20]
    assert torch.equal(halves.index_select(0, torch.tensor([3])), resident.train.images[13:14])
    assert streamed.train.take(torch.arange(0)).images.shape == (0, 3, 8, 8)


def test_memory_decides_unless_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def streams(**options: object) -> bool:
        return isinstance(loaded(folder, workers=0, **options).train.images, StreamedImages)

    assert not streams()
    monkeypatch.setattr("growsearch.data.picture_splits.available_bytes", lambda: 91 * 3 * 8 * 8)
    assert streams()
    assert not streams(stream="never")
    with pytest.raises(UserError, match=r"data\.resize: null is not accepted to stream"):
        load(DataConfig(name="image_folder", path=str(folder), stream="always"), seed=0)


def test_only_so_much_is_decoded_ahead(tmp_path: Path) -> None:
    make_class_folders(tmp_path, ["a"], 3, 8)
    files = [str(file) for file in (tmp_path / "a").iterdir()] * 1000
    asked: list[int] = []

    class Counting(Decoders):
        def submit(self, files, channels, size, span=None):  # type: ignore[no-untyped-def]
            asked.append(len(files))
            return super().submit(files, channels, size, span)

    decoders = Counting(0)
    images = StreamedImages(files, 3, (8, 8), decoders)
    images.prepare(torch.arange(3000))
    images.index_select(0, torch.arange(10))
    assert sum(asked) <= 2 * CHUNK
    decoders.workers = 1  # now others would do the work
    decoders.submit = lambda *args: Counting.submit(Counting(0), *args)  # type: ignore
    images.index_select(0, torch.arange(10, 20))
    assert AHEAD <= sum(asked) <= AHEAD + 4 * CHUNK


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_picture_is_named(workers: int, tmp_path: Path) -> None:
    make_class_folders(tmp_path, ["a", "b"], 8, 12)
    data = loaded(tmp_path, stream="always", workers=workers, normalisation="unit")
    for file in tmp_path.glob("*/*_3.jpg"):
        file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(UserError, match=r"_3\.jpg: damaged picture"):
        for split in (data.train, data.val, data.test):
            split.take(torch.arange(len(split)))


class SlowDevice(Ferry):
    """Copies when it is waited for, as late as a GPU may."""

    def __init__(self) -> None:
        super().__init__(torch.device("cuda"))
        self.under_way: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.buffers = 0

    def pinned(self, size: int) -> torch.Tensor:
        self.buffers += 1
        return torch.zeros(size, dtype=torch.uint8)

    def send(self, batch: torch.Tensor) -> torch.Tensor:
        there = torch.zeros_like(batch)
        self.under_way.append((there, batch))
        return there

    def event(self) -> "SlowDevice.Event":  # type: ignore[override]
        return self.Event(self)

    class Event:
        """Of the copies begun before it was recorded."""

        def __init__(self, device: "SlowDevice") -> None:
            self.device, self.before = device, 0

        def record(self) -> None:
            self.before = len(self.device.under_way)

        def synchronize(self) -> None:
            for there, batch in self.device.under_way[: self.before]:
                there.copy_(batch)
            self.device.under_way[: self.before] = [(t, t) for t, _ in self.device.under_way[: self.before]]


def test_a_buffer_is_filled_again_only_when_it_has_been_copied() -> None:
    device, sent = SlowDevice(), []
    for number in range(1, 8):
        batch = device.buffer(2 + number % 3, 3, 2, 2).fill_(number)
        sent.append((device.bring(batch), number))
    device.event().record()
    for there, batch in device.under_way:
        there.copy_(batch)
    assert all(bool((there == number).all()) and len(there) == 2 + number % 3 for there, number in sent)
    assert device.buffers <= 4


def test_what_is_decoded_needs_not_ask_the_device_for_its_rows(folder: Path) -> None:
    class OnADevice(torch.Tensor):
        def tolist(self) -> None:  # type: ignore[override]
            raise AssertionError("the host waits for the device")

    data = loaded(folder, stream="always", workers=0)
    rows = torch.tensor([4, 0, 9])
    there = rows.as_subclass(OnADevice)
    with pytest.raises(AssertionError, match="waits"):
        data.train.take(there)
    assert torch.equal(data.train.take(there, rows).images, data.train.take(rows).images)
    loader = Loader(data.train, data.normalisation, Augmentation(), 0, 0)
    plan = loader.rows(Cursor(position=len(loader) - 2), 5)  # over the end of a pass
    assert plan.host_order is not None and torch.equal(plan.host_order, plan.order)


CHILD = """
import sys, time, torch
from growsearch.data.decoders import Decoders
def main():
    decoders = Decoders(1)
    decoders.result(decoders.submit([sys.argv[1]], 3, 8))
    print(*decoders._pool._processes, flush=True)
    time.sleep(60)
if __name__ == "__main__":
    main()
"""


LOST = """
import sys
from growsearch.data.decoders import Decoders
from growsearch.errors import UserError
def main():
    decoders = Decoders(1)
    decoders.result(decoders.submit(sys.argv[1:], 3, 8))
    (worker,) = decoders._pool._processes.values()
    worker.kill()
    while not decoders._pool._broken:
        pass
    try:
        decoders.submit(sys.argv[1:], 3, 8)
    except UserError as error:
        print(error)
if __name__ == "__main__":
    main()
"""


def test_a_worker_lost_between_two_batches_is_told_in_a_line(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(LOST)
    file = next((folder / "b").iterdir())
    child = subprocess.run([sys.executable, str(script), str(file)], capture_output=True, text=True, check=False)
    assert child.stdout.startswith("data.workers: a worker process died"), child.stderr


SIGNALLED_AT_THE_START = """
import os, signal, sys
from growsearch.data.decoders import Decoders
def main():
    decoders = Decoders(2)
    pending = [decoders.submit([file], 3, 8) for file in sys.argv[1:]]
    for worker in decoders._pool._processes:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(worker, signum)
    print(*(decoders.result(one).shape for one in pending))
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("heard"))
    os.kill(os.getpid(), signal.SIGTERM)
    print(*heard)
if __name__ == "__main__":
    main()
"""


def test_signals_while_workers_start_are_for_the_parent_too(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(SIGNALLED_AT_THE_START)
    files = [str(file) for file in (folder / "b").iterdir()][:2]
    child = subprocess.run([sys.executable, str(script), *files], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (0, "(1, 8, 8, 3) (1, 8, 8, 3)\nheard\n"), child.stderr


SIGNALLED = """
import os, signal, sys, time
from growsearch.data.decoders import Decoders
from growsearch.errors import UserError
def ask(decoders, files):
    return [decoders.submit([file], 3, 8) for file in files]
def main():
    decoders = Decoders(2)
    files = sys.argv[1:] * 20
    [decoders.result(pending) for pending in ask(decoders, files)]
    workers = list(decoders._pool._processes)
    for worker in workers:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            os.kill(worker, signum)
    [decoders.result(pending) for pending in ask(decoders, files)]
    assert list(decoders._pool._processes) == workers
    print("all there", flush=True)
    os.kill(workers[0], signal.SIGKILL)
    try:
        while True:
            [decoders.result(pending) for pending in ask(decoders, files)]
    except UserError as error:
        print(error, flush=True)
if __name__ == "__main__":
    main()
"""


def test_signals_to_all_processes_of_a_run_are_for_the_parent(folder: Path, tmp_path: Path) -> None:
    """Else a job that a cluster preempts would lose its workers before it is saved. A killed worker ends the pool."""
    script = tmp_path / "child.py"
    script.write_text(SIGNALLED)
    files = [str(file) for file in (folder / "b").iterdir()][:3]
    child = subprocess.run([sys.executable, str(script), *files], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("all there\ndata.workers: a worker process died")


def test_workers_end_with_a_killed_parent(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    file = next((folder / "b").iterdir())
    child = subprocess.Popen([sys.executable, str(script), str(file)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    worker = int(child.stdout.readline())
    os.kill(worker, 0)
    child.kill()
    child.wait()
    for _ in range(6000):
        try:
            os.kill(worker, 0)
            if (Path("/proc") / str(worker) / "stat").read_text().split(")")[1].split()[0] == "Z":
                return
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.1)
    raise AssertionError("the worker is still there")


def test_imagenet_as_folders(tmp_path: Path) -> None:
    make_class_folders(tmp_path / "imagenet" / "train", ["n01", "n02"], 6, 40)
    make_class_folders(tmp_path / "imagenet" / "val", ["n01", "n02"], 2, 40)
    config = DataConfig(name="imagenet", root=str(tmp_path), resize=24, val_size=4, stream="always", workers=0)
    data = load(config, seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (8, 4, 4)
    assert data.image_shape == (3, 24, 24)
    assert data.test.take(torch.arange(4)).labels.tolist() == [0, 1, 0, 1]
    config.resize, config.stream = None, "never"
    assert load(config, seed=0).image_shape == (3, 224, 224)
    with pytest.raises(UserError, match=r"imagenet/train/ and imagenet/val/ missing"):
        load(DataConfig(name="imagenet", root=str(tmp_path / "imagenet")), seed=0)
