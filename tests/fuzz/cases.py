"""One case: made from its number, run, and judged."""

import hashlib
import os
import re
import resource
import shutil
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fuzz import bombs
from fuzz.mutations import BYTES, Dice, Mutant, NotApplicableError
from fuzz.reader import Reader, Write
from lottery_ticket.errors import LotteryError

__all__ = ["Bench", "Verdict", "digest_of"]

MAX_BYTES = 512 << 20
"""What a reader may take, beside sixteen bytes for each byte of its files."""
_PER_BYTE = 16
_ALLOCATION = re.compile("can't allocate memory|Unable to allocate|not enough memory|bad_alloc")


@dataclass(frozen=True)
class Verdict:
    """How a case ended.

    Args:
        what: what was done to the files.
        outcome: `as written`, `another value` or `refused`; or, where it is wrong, what is.
        detail: the error, or why it is wrong.
        is_bad: whether the reader did wrong.
        num_bytes: by how much its memory grew.
    """

    what: str
    outcome: str
    detail: str = ""
    is_bad: bool = False
    num_bytes: int = 0


class Bench:
    """A folder in which cases are tried, one after another.

    Cases are numbered: the examples as they are, then the bombs, then changes by chance.

    Args:
        folder: made anew for each case; what stands beside the reader's files there is watched.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._area = folder / "place" / "files"
        self._files: dict[Write, dict[str, bytes]] = {}
        self._wanted: dict[tuple[str, str], str] = {}

    def run(self, name: str, reader: Reader, number: int, seed: int) -> Verdict:
        """Make case `number`, read it, and judge."""
        dice = Dice(f"{seed}:{name}:{number}", str(self.folder / "canary"))
        example = self._example_of(reader, number, dice)
        files, wanted = self._written(name, example, reader)
        self._lay_out(files)
        reader.prepare(self._area)
        target, mutant = self._mutant(reader, number, dice)
        if number >= len(reader.examples):
            target.write_bytes(mutant.data)
        before = self._outside()
        verdict = self._judged(reader, mutant, wanted, is_example=number < len(reader.examples))
        if os.environ.pop(bombs.RAN, None):
            return Verdict(mutant.what, "ran code of the file", verdict.detail, is_bad=True)
        if self._outside() != before:
            return Verdict(mutant.what, "touched what is outside", verdict.detail, is_bad=True)
        return verdict

    def warm_up(self, name: str, reader: Reader) -> None:
        """Make the examples."""
        for example in reader.examples:
            self._written(name, example, reader)

    def files(self) -> dict[str, bytes]:
        """The reader's files as they are now."""
        return _contents(self._area)

    def _example_of(self, reader: Reader, number: int, dice: Dice) -> str:
        names = list(reader.examples)
        return names[number] if number < len(names) else dice.choice(names)

    def _written(self, name: str, example: str, reader: Reader) -> tuple[dict[str, bytes], str]:
        write = reader.examples[example]
        if write not in self._files:  # several readers read the same store
            self._lay_out({})
            write(self._area)
            self._files[write] = _contents(self._area)
        files = self._files[write]
        if (name, example) not in self._wanted:
            self._lay_out(files)
            self._wanted[name, example] = digest_of(reader.read(self._area))
        return files, self._wanted[name, example]

    def _lay_out(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._area.mkdir(parents=True)
        for place in (self.folder / "canary", self._area.parent / "canary"):
            place.mkdir()
            (place / "kept").write_text("kept")
        for name, data in files.items():
            path = self._area / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (1, 1))  # equal from case to case: some names are made of it

    def _mutant(self, reader: Reader, number: int, dice: Dice) -> tuple[Path, Mutant]:
        number -= len(reader.examples)
        pattern = reader.targets[0] if number < len(reader.bombs) else dice.choice(reader.targets)
        target = dice.choice(sorted(p for p in self._area.glob(pattern) if p.is_file()))
        data = target.read_bytes()
        if number < 0:
            return target, Mutant("as it is", data)
        if number < len(reader.bombs):
            what = list(reader.bombs)[number]
            return target, Mutant(what, reader.bombs[what](), is_forged=True)
        for _ in range(20):
            mutation = dice.choice((*reader.mutations * 2, *BYTES))
            try:
                found = mutation(data, dice)
            except NotApplicableError:
                continue
            return target, Mutant(f"{target.name}: {found.what}", found.data, found.is_forged)
        return target, BYTES[0](data, dice)

    def _judged(self, reader: Reader, mutant: Mutant, wanted: str, *, is_example: bool) -> Verdict:
        size = sum(path.stat().st_size for path in self._area.rglob("*") if path.is_file())
        memory, what = _Memory(), mutant.what
        try:
            value = reader.read(self._area)
        except LotteryError as error:
            verdict = _refused(what, error, is_example=is_example)
        except Exception as error:  # what a user would see as a traceback
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            verdict = Verdict(
                what, "traceback", f"{type(error).__name__}: {error} ({place})"[:300], True
            )
        else:
            memory.stop()
            verdict = _compared(what, reader, value, wanted, may_differ=mutant.is_forged)
            del value
        grown = memory.grown()
        if grown > MAX_BYTES + _PER_BYTE * size and not verdict.is_bad:
            detail = f"{grown >> 20} MiB for files of {size:,} bytes; {verdict.detail}"
            return Verdict(what, "memory", detail[:300], True, grown)
        return Verdict(verdict.what, verdict.outcome, verdict.detail, verdict.is_bad, grown)

    def _outside(self) -> list[tuple[str, object]]:
        found = []
        for path in sorted(self.folder.rglob("*")):
            if self._area not in (path, *path.parents):
                found.append((str(path), path.is_file() and path.read_bytes()))
        return found


def _refused(what: str, error: LotteryError, *, is_example: bool) -> Verdict:
    if is_example:
        return Verdict(what, "refused what is right", str(error)[:300], True)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or _ALLOCATION.search(str(cause)):
            return Verdict(what, "asked for the memory first", str(error)[:300], True)
        cause = cause.__cause__ or cause.__context__
    return Verdict(what, "refused", str(error)[:300])


def _compared(what: str, reader: Reader, value: Any, wanted: str, *, may_differ: bool) -> Verdict:
    if digest_of(value) == wanted:
        return Verdict(what, "as written")
    shown = _shown(value)
    if reader.is_sealed and not may_differ:
        return Verdict(what, "wrong value", shown, True)
    if not reader.is_right(value):
        return Verdict(what, "senseless value", shown, True)
    return Verdict(what, "another value", shown)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:200]
    except Exception as error:  # a tensor of very many dimensions, say
        return f"what cannot be shown ({type(error).__name__})"


class _Memory:
    """How much the process grows, at its peak."""

    def __init__(self) -> None:
        self._can_reset = _reset_peak()
        self._before = _status("VmRSS") if self._can_reset else _peak()

        self._grown: int | None = None

    def stop(self) -> None:
        """What comes now does not count."""
        now = _status("VmHWM") if self._can_reset else _peak()
        self._grown = max(0, now - self._before)

    def grown(self) -> int:
        """Bytes since it was made, or until it was stopped."""
        if self._grown is None:
            self.stop()
        assert self._grown is not None
        return self._grown


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # no Linux, or not allowed: then only new peaks are seen
        return False
    return True


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) << 10


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def digest_of(value: Any) -> str:
    """One text for equal values, by every bit."""
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, torch.Tensor):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, Mapping):
        yield b"{" + str(len(value)).encode()
        for key, inner in sorted(value.items(), key=lambda item: repr(item[0])):
            yield repr(key).encode(errors="surrogatepass")
            yield from _pieces(inner)
    elif isinstance(value, list | tuple):
        yield b"[" + str(len(value)).encode()
        for inner in value:
            yield from _pieces(inner)
    else:
        yield repr(value).encode(errors="surrogatepass")


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
