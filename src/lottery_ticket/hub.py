"""Masks and tickets beside a model: in its folder, and in a repository of the Hugging Face Hub.

What is written lies beside `model.safetensors`, which stays as it is, and a section of `README.md`,
the model's card, says what it is. What other people wrote into the card stays.
"""

import importlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from safetensors import safe_open

from lottery_ticket.errors import DataError, LotteryError, UsageError
from lottery_ticket.extras import check_extra
from lottery_ticket.files import make_folder, write_file
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["TAGS", "Beside", "fetched", "front_matter", "pushed", "saved"]

TAGS = ("lottery-ticket-hypothesis", "pruning", "sparsity", "pytorch")
_FRONT = re.compile(r"\A---\n(.*?)\n---\n?", re.S)


_REASONS: dict[str, tuple[type[LotteryError], str]] = {
    "HFValidationError": (UsageError, "neither a folder nor the id of a repository"),
    "RepositoryNotFoundError": (
        UsageError,
        "neither a folder nor a repository of the Hub, unless it is private: `hf auth login`",
    ),
    "RevisionNotFoundError": (UsageError, "the repository has no such revision"),
    "LocalEntryNotFoundError": (
        LotteryError,
        "the Hub cannot be reached, and FILE was not downloaded before",
    ),
    "EntryNotFoundError": (UsageError, "the repository has no FILE; push_to_hub puts it there"),
    "OfflineModeIsEnabled": (LotteryError, "HF_HUB_OFFLINE is set, and the Hub is wanted"),
}
"""Errors of the Hub's client → ours; the first that fits."""


@dataclass(frozen=True)
class Beside:
    """A file that lies beside a model, and what the model's card says of it.

    Args:
        name: of the file.
        data: its bytes.
        section: what the card says, as Markdown under a heading; `REPOSITORY` stands for its
            name, or the folder's, as a text in code.
        masks: parameter name → which weights are kept: a model beside it must be zero elsewhere.
        metadata: for the card's front matter, such as `{"sparsity": 0.9}`.
    """

    name: str
    data: bytes
    section: str
    masks: Mapping[str, torch.Tensor]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def saved(beside: Beside, place: object, *, base_model: str | None, repository: str | None) -> None:
    """Write a file and its section of the card into a folder, which is made if it is not there.

    Args:
        place: the folder.
        base_model, repository: of the card; None where there is none.

    Raises:
        UsageError: no folder; the model in it is another one, or has weights where the mask prunes.
        DataError: the folder cannot be written, or its card cannot be read.
    """
    folder = _as_folder(place)
    try:
        make_folder(folder)
        _check_zeros(folder, beside.masks)
        card = folder / "README.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        metadata = {**beside.metadata, **_library(folder)}
        if base_model is not None:
            metadata["base_model"] = base_model
        section = beside.section.replace("REPOSITORY", repr(repository or folder.name or "."))
        text = _with_section(_with_metadata(text, metadata, card), beside.name, section)
        write_file(folder / beside.name, beside.data)
        write_file(card, text.encode())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{folder}: cannot write {beside.name} there ({reason})") from error


def fetched(place: str | os.PathLike[str], name: str, **options: Any) -> Path:
    """A file of a folder, or of a repository on the Hub, which is downloaded and kept.

    Args:
        place: a folder, or the id of a repository: `"owner/name"`.
        name: of the file.
        options: of `huggingface_hub.hf_hub_download`; those that are None are left out.

    Raises:
        UsageError: there is no such folder or repository, or the file is not in it.
        LotteryError: the Hub cannot be reached.
    """
    folder = _as_folder(place)
    if folder.is_dir():
        if not (folder / name).is_file():
            raise UsageError(f"{place}: has no {name}; save_pretrained writes it there")
        return folder / name
    with _hub(str(place), name) as hub:
        given = {key: value for key, value in options.items() if value is not None}
        return Path(hub.hf_hub_download(str(place), name, **given))


def _as_folder(place: object) -> Path:
    """What may be a folder, or the name of a repository.

    Raises:
        UsageError: it is neither a text nor a path.
    """
    text = os.fspath(place) if isinstance(place, str | os.PathLike) else None
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(
            f"got {place!r:.100}, wanted a folder, or the name of a repository of the Hub"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home of nobody
        return Path(text)


def pushed(
    beside: Beside,
    repository: str,
    *,
    base_model: str | None,
    token: str | bool | None,
    private: bool | None,
    revision: str | None,
    commit_message: str | None,
    create_pr: bool,
) -> str:
    """Put a file and its section of the card into a repository, which is made if it is not there.

    Returns:
        The address of the commit.

    Raises:
        UsageError: there may be no such repository.
        LotteryError: the Hub cannot be reached, or refuses.
    """
    with _hub(repository, beside.name) as hub, tempfile.TemporaryDirectory() as aside:
        api, folder = hub.HfApi(token=token), Path(aside)
        api.create_repo(repository, private=private, exist_ok=True)
        for name in ("README.md", "config.json"):  # so that the card stays that of its model
            if api.file_exists(repository, name, revision=revision):
                path = api.hf_hub_download(repository, name, revision=revision)
                (folder / name).write_bytes(Path(path).read_bytes())
        saved(beside, folder, base_model=base_model, repository=repository)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=[beside.name, "README.md"],
            commit_message=commit_message or f"Add {beside.name}",
            revision=revision,
            create_pr=create_pr,
        )
        return str(getattr(done, "commit_url", done))


def front_matter(values: Mapping[str, Any]) -> str:
    """Metadata of a card as it stands above its text."""
    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump(dict(values), text)
    return f"---\n{text.getvalue()}---"


@contextmanager
def _hub(repository: str, name: str) -> Iterator[Any]:
    """A block that speaks with the Hub; whatever goes wrong is said in a line.

    Raises:
        UsageError: no name of a repository, or one that is not there, or lacks the file.
        LotteryError: anything else.
    """
    check_extra("hub", f"{repository}: no folder is called so, and the Hugging Face Hub")
    hub, errors = (
        importlib.import_module(n) for n in ("huggingface_hub", "huggingface_hub.errors")
    )
    try:
        yield hub
    except LotteryError:
        raise
    except Exception as error:  # of whatever the Hub's client speaks through
        for kind, (made, reason) in _REASONS.items():
            if isinstance(error, getattr(errors, kind)):
                raise made(f"{repository}: {reason.replace('FILE', name)}") from error
        line = next(iter(str(error).splitlines()), "")
        raise LotteryError(
            f"{repository}: the Hub cannot be reached, or refuses ({type(error).__name__}: {line})"
        ) from error


def _library(folder: Path) -> dict[str, Any]:
    """Which library loads what lies in a folder: transformers names its models in the config."""
    path = folder / "config.json"
    if not path.is_file():
        return {}
    with made_sense_of(path, "model configuration"):
        config = json.loads(path.read_bytes())
        return {"library_name": "transformers"} if "model_type" in config else {}


def _check_zeros(folder: Path, masks: Mapping[str, torch.Tensor]) -> None:
    """Raises `UsageError` where a model in the folder is another one, or was saved unmasked."""
    paths = sorted(folder.glob("model*.safetensors"))
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        with made_sense_of(path, "model"), safe_open(path, framework="pt") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    places = _places({name: tuple(kept.shape) for name, kept in masks.items()}, shapes)
    if paths and masks and not places:
        raise UsageError(
            f"{folder}: the model there has no {next(iter(masks))!r}, nor any other weights of the "
            "mask: it is another model's; name another folder"
        )
    for path in paths:
        with made_sense_of(path, "model"), safe_open(path, framework="pt") as file:
            there = set(file.keys())
            wrong = [
                name
                for name, place in places.items()
                if place in there and bool(file.get_tensor(place)[~masks[name].cpu()].any())
            ]
        if wrong:
            raise UsageError(
                f"{path}: {wrong[0]!r} is not zero where the mask prunes; call mask.apply(model), "
                "and model.save_pretrained again, or name another folder"
            )


def _places(
    masks: Mapping[str, tuple[int, ...]], model: Mapping[str, tuple[int, ...]]
) -> dict[str, str]:
    """Name in a mask → in a model's file, where the shapes are the same.

    The model may have the mask's inside it, or be a part of what the mask is of, as transformers'
    models with and without a head are: then names differ by what they begin with.
    """
    begins = {
        (a, b)
        for ours in masks
        for theirs in model
        for a, b in (
            (ours.removesuffix(theirs), "") if ours.endswith(f".{theirs}") else ("", ""),
            ("", theirs.removesuffix(ours)) if theirs.endswith(f".{ours}") else ("", ""),
        )
    }
    found: dict[str, str] = {}
    for a, b in sorted(begins | {("", "")}):  # names as they are come first
        pairs = {name: b + name.removeprefix(a) for name in masks if name.startswith(a)}
        fits = {name: place for name, place in pairs.items() if model.get(place) == masks[name]}
        found = fits if len(fits) > len(found) else found
    return found


def _with_metadata(text: str, values: Mapping[str, Any], source: Path) -> str:
    """The card with these values in its front matter; others, and tags of others, stay."""
    found = _FRONT.match(text)
    known: Any = {}
    if found is not None:
        try:
            known = YAML().load(found[1])
        except YAMLError as error:
            line = " ".join(str(error).split())[:120]
            raise DataError(f"{source}: its front matter is no YAML ({line}); mend it") from None
    known = {} if known is None else known
    if not isinstance(known, dict):
        raise DataError(f"{source}: its front matter has no names and values; mend it")
    rest = text if found is None else text[found.end() :]
    tags = known.get("tags") or []
    tags = list(tags) if isinstance(tags, list) else [tags]
    known["tags"] = [*tags, *(tag for tag in TAGS if tag not in tags)]
    known.update(values)
    known.setdefault("library_name", "lottery_ticket")
    return f"{front_matter(known)}\n\n{rest.lstrip()}"


def _with_section(text: str, name: str, section: str) -> str:
    """The card with a section between marks, in place of the one that was there."""
    start, end = f"<!-- lottery_ticket: {name} -->", f"<!-- /lottery_ticket: {name} -->"
    whole = f"{start}\n{section.strip()}\n{end}\n"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}\n?", re.S)
    if pattern.search(text):
        return pattern.sub(lambda _: whole, text)
    return f"{text.rstrip()}\n\n{whole}"
