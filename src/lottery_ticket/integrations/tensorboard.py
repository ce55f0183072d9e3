"""TensorBoard: a folder for the run, and in it one for each arm and replicate.

Event files are added to: what one has already is read by TensorBoard's own reader.
"""

import importlib
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.extras import imported
from lottery_ticket.files import usable_path
from lottery_ticket.tracking import TrackedRun

__all__ = ["TensorBoardTracker"]

_FOLDER = "runs"
_FLUSH_SECONDS = 10  # how long values may wait to be written
_PNG_SIZE = slice(16, 24)  # width and height, in the header of a PNG


class TensorBoardTracker:
    """Tracks runs as event files, for `tensorboard --logdir`.

    Args:
        where: the folder; by default `runs`.

    Raises:
        UsageError: TensorBoard is not installed, or the folder cannot be written.
    """

    def __init__(self, where: str | None = None) -> None:
        imported("tensorboard", "tensorboard", "--track tensorboard")
        self._writing = imported("torch.utils.tensorboard", "tensorboard", "--track tensorboard")
        self._folder = usable_path(where or _FOLDER, "track tensorboard").absolute()
        _check_writable(self._folder)
        self.place = (str(self._folder.resolve()),)
        self._writers: dict[str, Any] = {}
        self._tags: dict[str, set[str]] = {}  # of texts and images

    def start(self, run: TrackedRun) -> set[tuple[str, int]]:
        """Open the run's folder; returns what its event files hold."""
        folder = self._place(run)
        values, self._tags[run.id] = _read(folder) if folder.is_dir() else (set(), set())
        writer = self._writers[run.id] = self._writing.SummaryWriter(
            str(folder), flush_secs=_FLUSH_SECONDS
        )
        if not values and not self._tags[run.id]:
            self._add_recipe(writer, run)
        return values

    def log(self, run: TrackedRun, values: dict[str, float], step: int) -> None:
        """Write scalars; a level's are written through, others after some seconds."""
        writer = self._writers[run.id]
        for name, value in values.items():
            writer.add_scalar(name, value, step)
        if any(name.startswith("level/") for name in values):
            writer.flush()

    def artifact(self, run: TrackedRun, name: str, path: Path) -> None:
        """Texts and figures go among the events, all files into the folder."""
        target = self._place(run) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        tag = str(Path(name).with_suffix(""))
        if path.suffix == ".txt" and f"{tag}/text_summary" not in self._tags[run.id]:
            self._writers[run.id].add_text(tag, path.read_text(encoding="utf-8"), 0)
        elif path.suffix == ".png" and tag not in self._tags[run.id]:
            self._writers[run.id]._get_file_writer().add_summary(_image(tag, path.read_bytes()), 0)

    def finish(self, run: TrackedRun, is_complete: bool) -> None:
        """Close the run's event file."""
        self._writers.pop(run.id).close()

    def _place(self, run: TrackedRun) -> Path:
        folder = self._folder / run.group
        return folder if run.is_whole else folder / _file_name(run.name)

    def _add_recipe(self, writer: Any, run: TrackedRun) -> None:
        """What `HPARAMS` shows: the recipe, beside the results of the last level."""
        lines = [f"| `{name}` | {value} |" for name, value in run.params.items()]
        writer.add_text("recipe", "\n".join(["| key | value |", "|---|---|", *lines]), 0)
        if run.is_whole:
            return
        make = importlib.import_module("torch.utils.tensorboard.summary").hparams
        metrics = dict.fromkeys(("level/test_accuracy", "level/test_loss", "level/density"), 0.0)
        for summary in make(dict(run.params), metrics):
            writer._get_file_writer().add_summary(summary)


def _read(folder: Path) -> tuple[set[tuple[str, int]], set[str]]:
    """(name, step) of the scalars in a folder's event files, and the tags of all else."""
    reading = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    sizes = {reading.SCALARS: 0, reading.IMAGES: 1, reading.TENSORS: 1}
    values: set[tuple[str, int]] = set()
    others: set[str] = set()
    for path in sorted(folder.glob("events.out.tfevents.*")):
        events = reading.EventAccumulator(str(path), size_guidance=sizes).Reload()
        tags = events.Tags()
        values |= {(tag, each.step) for tag in tags["scalars"] for each in events.Scalars(tag)}
        others |= {*tags["images"], *tags["tensors"]}
    return values, others


def _image(tag: str, png: bytes) -> Any:
    """A figure as it is, without decoding it."""
    proto = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
    width, height = struct.unpack(">II", png[_PNG_SIZE])
    image = proto.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    return proto(value=[proto.Value(tag=tag, image=image)])


def _check_writable(folder: Path) -> None:
    there = next(each for each in _upwards(folder) if os.path.lexists(each))
    if not there.is_dir():
        raise UsageError(f"--track tensorboard: {there} is no folder; name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"--track tensorboard: {there} cannot be written; name another folder, "
            "tensorboard=FOLDER"
        )


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _file_name(name: str) -> str:
    return "".join(each if each.isalnum() or each in "._-+" else "_" for each in name)
