"""What people call a run: a name, tags and notes; and what a name may be."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lottery_ticket.errors import UsageError
from lottery_ticket.store._values import TEXT, Kind

__all__ = ["NOTES", "RunEdit", "RunLabels", "check_name", "runs_called"]

_ID = re.compile(r".*-[0-9a-f]{8}")
_MOST_CHARACTERS = 80
_MOST_OF_NOTES = 10_000
_MOST_TAGS = 100


@dataclass(frozen=True)
class RunLabels:
    """What a run is called.

    Args:
        name: by which it can be asked for; empty where it was given none.
        tags: sorted.
        notes: what there is to say of it; may have several lines.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class RunEdit:
    """A change of what a run is called.

    Args:
        name: its new name; empty for none, None for what it was.
        add_tags, remove_tags: tags that it gets, and that it had.
        notes: in place of what was said of it; empty for nothing, None for what it was.

    Raises:
        UsageError: one of them cannot be shown, or typed; or is too long.
    """

    name: str | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    notes: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            object.__setattr__(self, "name", _checked("name", self.name, is_optional=True))
        for field in ("add_tags", "remove_tags"):
            object.__setattr__(self, field, _tags(getattr(self, field)))
        if self.notes is not None:
            object.__setattr__(self, "notes", _checked_notes(self.notes))
        if both := set(self.add_tags) & set(self.remove_tags):
            raise UsageError(f"tags: {min(both)!r} is to be added and to be removed")

    def of(self, labels: RunLabels) -> RunLabels:
        """What a run is called after the change."""
        return RunLabels(
            labels.name if self.name is None else self.name,
            tuple(sorted(({*labels.tags} | {*self.add_tags}) - {*self.remove_tags})),
            labels.notes if self.notes is None else self.notes,
        )


def _tags(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise UsageError(f"tags: got {given!r}, wanted a list of texts, such as ['baseline']")
    tags = tuple(dict.fromkeys(_checked("tag", tag) for tag in given))
    for tag in tags:
        if "," in tag:
            raise UsageError(f"tag: got {tag!r}, wanted no comma; each is a tag of its own")
    if len(tags) > _MOST_TAGS:
        raise UsageError(f"tags: got {len(tags)}, wanted at most {_MOST_TAGS}")
    return tags


def _checked(what: str, text: str, *, is_optional: bool = False) -> str:
    """A name or a tag in one spelling, however its letters are composed."""
    if not isinstance(text, str):
        raise UsageError(f"{what}: got {text!r}, wanted a text")
    text = unicodedata.normalize("NFC", text)
    if is_optional and not text:
        return text
    if len(text) > _MOST_CHARACTERS:
        said = f"{text[:20]!r}… of {len(text)} characters"
        raise UsageError(f"{what}: got {said}, wanted at most {_MOST_CHARACTERS}")
    if not TEXT.fits(text) or len(text.splitlines()) > 1:
        raise UsageError(f"{what}: got {text!r}, wanted a text in one line, without control codes")
    if not any(map(str.isalnum, text)) or text != text.strip() or text.startswith("-"):
        wanted = "a letter or a digit at least, and neither '-' nor a space first, nor a space last"
        raise UsageError(f"{what}: got {text!r}, wanted {wanted}")
    return text


def _checked_notes(text: str) -> str:
    if not isinstance(text, str):
        raise UsageError(f"notes: got {text!r}, wanted a text")
    if len(text) > _MOST_OF_NOTES:
        raise UsageError(f"notes: got {len(text):,} characters, wanted at most {_MOST_OF_NOTES:,}")
    if not NOTES.fits(text):
        raise UsageError(f"notes: got {text!r:.80}, wanted a text without control codes")
    return text.strip()


def _is_notes(value: Any) -> bool:
    return isinstance(value, str) and TEXT.fits(re.sub(r"[\n\t]", " ", value))


NOTES = Kind("a text", _is_notes)
"""What is said of a run; may have several lines."""


def check_name(name: str, run_id: str, ids: Iterable[str], labels: Mapping[str, RunLabels]) -> None:
    """See that a run can be asked for by a name.

    Args:
        name: that it is to have.
        run_id: which run.
        ids: of all runs of the store.
        labels: what they are called.

    Raises:
        UsageError: it would be taken for another's, or for an id.
    """
    ids = sorted({*ids, run_id})
    alike = [other for other in ids if other.startswith(name)]
    taken = [i for i in ids if i != run_id and i in labels and labels[i].name == name]
    if name == "last":
        raise UsageError("name: got 'last', which is the run that was started last; take another")
    if alike or _ID.fullmatch(name):
        what = f"begins the id {alike[0]}" if alike else "looks like an id"
        raise UsageError(f"name: got {name!r}, which {what}; take another")
    if taken:
        raise UsageError(
            f"name: {name!r} is what {taken[0]} is called; take another, or rename that one first"
        )


def runs_called(reference: str, ids: Collection[str], names: Mapping[str, str]) -> list[str]:
    """The runs that a reference may mean: by id, else by name, else by a prefix of the id.

    Args:
        reference: what was asked for.
        ids: of all runs.
        names: of those that were given one, by id.
    """
    reference = unicodedata.normalize("NFC", reference)
    if reference in ids:
        return [reference]
    called = [i for i in ids if names.get(i) == reference]  # before an id began with it
    return called or [i for i in ids if i.startswith(reference)]
