"""`export`: written aside, loaded again, compared, moved into place."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import LotteryError, UsageError, nearest
from lottery_ticket.export._card import card_of, readme_of
from lottery_ticket.export._format import Format, Run, made_once
from lottery_ticket.export._formats import FORMATS, format_named
from lottery_ticket.export._onnx import check_opset
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.extras import check_extra
from lottery_ticket.files import folder_aside, sync_folder
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.process import as_it_was

__all__ = ["Exported", "ExportedFile", "export", "write_checked"]

_FILES = frozenset(
    {".pt", ".pth", ".bin", *(Path(row.file_name).suffix for row in FORMATS.values())}
)
COMPARED_AT = (1, 64)
"""Batch sizes at which outputs are compared."""


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written, and how far its outputs are from the model's.

    Args:
        format: its format.
        file: its name.
        num_bytes: its size.
        max_difference: largest absolute difference between its outputs and the masked dense
            model's, on the inputs of the `PrunedModel` at batch 1 and 64.
        tolerance: what that difference must not exceed.
        facts: what there is to know of it besides, such as what `compact` removed; a `note` among
            them says it in a sentence.
    """

    format: str
    file: str
    num_bytes: int
    max_difference: float
    tolerance: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        return (
            f"ExportedFile({self.file}: {self.format}, {self.num_bytes:,} bytes, "
            f"max_difference {self.max_difference:.2g} of {self.tolerance:.2g})"
        )


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        path: the folder, or the one file.
        files: what lies there.
        card: what the card beside them says.
    """

    path: Path
    files: tuple[ExportedFile, ...]
    card: Mapping[str, Any]

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        files = [
            f"  {repr(file).removeprefix('ExportedFile(').removesuffix(')')}" for file in self.files
        ]
        return "\n".join([f"Exported({self.path}:", *files]) + ")"


@as_it_was()
def export(
    pruned: PrunedModel | Callable[[], PrunedModel],
    *,
    format: str | Sequence[str] = "state_dict",
    out: str | Path,
    **options: Any,
) -> Exported:
    """Write a pruned model for a service to run, with a card; checked before it is there.

    Each file is loaded again as a service would, and its outputs are compared with those of the
    masked dense model at batch 1 and 64. If they are farther apart than the format's tolerance, or
    anything else goes wrong, nothing is left.

    Args:
        pruned: what to write: `PrunedModel.of(model, example)`, or a level of a run by
            `RunResult.pruned_model`; or what makes it, called once all else is known to be right.
        format: a name in `FORMATS`, or several.
        out: a new folder, for the files, `card.json` and `README.md`, laid out for the Hugging
            Face Hub; or a new file with the suffix of a single format, with its card beside it.
        options: `opset`, for formats in ONNX; `batch_size`, for which `sparse` is measured.

    Raises:
        UsageError: an unknown format or option, a missing extra, `out` is there already, or the
            model cannot be followed.
        LotteryError: the outputs differ, or the files cannot be written.

    >>> layer = torch.nn.Linear(3, 2)
    >>> pruned = PrunedModel.of(layer, torch.rand(4, 3))
    >>> export(pruned, format="packed", out="shipped").files[0].max_difference  # doctest: +SKIP
    0.0
    """
    if isinstance(pruned, torch.nn.Module):
        raise UsageError("got a module, wanted PrunedModel.of(model, example)")
    is_one = isinstance(format, str) or not isinstance(format, Iterable)
    rows = _rows([format] if is_one else list(format), options)
    target = Path(out)
    try:
        as_file = _is_file(target, rows)
        if not isinstance(pruned, PrunedModel):
            pruned = pruned()
        with _parents_of(target), folder_aside(target) as aside, made_once():
            files = []
            for name, row in rows.items():
                path = aside / (target.name if as_file else row.file_name)
                prepared = row.prepare(pruned)
                files.append(write_checked(name, row, pruned, prepared, path, options))
            card = card_of(pruned, [asdict(file) for file in files])
            _write_card(card, aside, target if as_file else None)
            _move(aside, target, as_file=as_file)
    except OSError as error:
        raise LotteryError(f"{target}: cannot be written ({error.strerror or error})") from error
    return Exported(target, tuple(files), card)


def write_checked(
    name: str,
    row: Format,
    pruned: PrunedModel,
    prepared: PrunedModel,
    path: Path,
    options: Mapping[str, Any],
) -> ExportedFile:
    """Write a file of a format, load it again and compare.

    Args:
        name: of the format.
        row: the format.
        pruned: what it is compared with.
        prepared: what to write: `row.prepare(pruned)`.
        path: the file.
        options: those that the format does not take are left out.

    Raises:
        LotteryError: it differs by more than the tolerance, or cannot be loaded.
    """
    taken = {key: value for key, value in options.items() if key in row.options}
    row.write(prepared, path, **taken)
    difference, limit = _difference(name, lambda: row.load(path, prepared, None), row, pruned)
    facts = row.facts(prepared, path)
    return ExportedFile(name, path.name, path.stat().st_size, difference, limit, facts)


def _difference(
    name: str, load: Callable[[], Run], row: Format, pruned: PrunedModel
) -> tuple[float, float]:
    """How far a file's outputs are from the model's, and how far they may be.

    Raises:
        LotteryError: they are farther, or the file cannot be loaded and run.
    """
    try:
        run = load()
        pairs = []
        for batch in COMPARED_AT:
            inputs = pruned.trial(batch)
            with torch.no_grad():
                pairs.append((run(inputs), pruned.outputs(inputs)))
    except Exception as error:  # whatever the runtimes of others raise
        raise LotteryError(
            f"format {name}: what was written cannot be loaded and run again "
            f"({type(error).__name__}: {error})"
        ) from error
    largest = max(float(wanted.abs().max()) for _, wanted in pairs)
    limit = max(row.tolerance * largest, row.rounding)
    difference = 0.0
    for batch, (got, wanted) in zip(COMPARED_AT, pairs, strict=True):
        is_alike = got.shape == wanted.shape and bool(got.isfinite().all())
        found = float((got - wanted).abs().max()) if is_alike else float("inf")
        if found > limit:
            raise LotteryError(
                f"format {name}: at batch {batch} its outputs differ from the masked dense model's "
                f"by up to {found:.3g}, more than {limit:.3g}; nothing was written"
            )
        difference = max(difference, found)
    return difference, limit


def _is_file(target: Path, rows: Mapping[str, Format]) -> bool:
    """Whether the one file of a format is asked for, not a folder.

    Raises:
        UsageError: it is there already, or is named like a file of something else.
    """
    suffixes = {Path(row.file_name).suffix for row in rows.values()}
    as_file = len(rows) == 1 and target.suffix in suffixes
    if target.suffix in _FILES and not as_file:
        wanted = f"a file of {', '.join(rows)} ends in {', '.join(sorted(suffixes))}"
        if len(rows) > 1:
            wanted = "several formats want a folder"
        raise UsageError(f"out: {target} is named like a file, but {wanted}")
    for path in (target, _card_beside(target)) if as_file else (target,):
        if os.path.lexists(path):  # also a link that leads nowhere
            raise UsageError(f"out: {path} is there already; remove it, or choose another")
    return as_file


@contextlib.contextmanager
def _parents_of(target: Path) -> Iterator[None]:
    """The folders that lead to it; those that are new go again if nothing is written."""
    missing = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):  # somebody else's files may be there by now
                folder.rmdir()
        raise


def _card_beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.card.json")


def _rows(names: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Format]:
    if not names:
        raise UsageError("format: got none, wanted at least one")
    rows = {name: format_named(name) for name in names}
    known = sorted({option for row in FORMATS.values() for option in row.options})
    for option in options:
        if option not in known:
            raise UsageError(f"export: unknown option {option!r}{nearest(option, known)}")
    for name, row in rows.items():
        if row.extra is not None:
            check_extra(row.extra, f"format {name}")
    for option, value in options.items():
        takers = [name for name, row in rows.items() if option in row.options]
        if value is not None and not takers:
            raise UsageError(f"{option}: it has no effect on {', '.join(rows)}; leave it out")
    if options.get("opset") is not None:
        check_opset(options["opset"])
    return rows


def _write_card(card: Mapping[str, Any], aside: Path, file: Path | None) -> None:
    """Beside a single file its card alone; in a folder all that the Hub shows and reads."""
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if file is not None:
        (aside / _card_beside(file).name).write_text(text, encoding="utf-8")
        return
    (aside / "card.json").write_text(text, encoding="utf-8")
    (aside / "README.md").write_text(readme_of(card), encoding="utf-8")
    architecture = card["model"]
    if architecture.get("name") is not None:  # what HubModel.from_pretrained builds
        options = architecture.get("options", {})
        config = {"architecture": architecture["name"], "options": options}
        (aside / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _move(aside: Path, target: Path, *, as_file: bool) -> None:
    if not as_file:
        sync_folder(aside)
        aside.rename(target)
    else:
        card = _card_beside(target)
        (aside / card.name).replace(card)
        (aside / target.name).replace(target)  # last: who sees it sees its card
    sync_folder(target.parent)
