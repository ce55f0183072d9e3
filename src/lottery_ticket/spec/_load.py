"""YAML 1.2 → `Spec`, with errors that name the key, what it got and what it wants."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.files import usable_path
from lottery_ticket.registry import shown
from lottery_ticket.spec._hints import in_the_way, meant_key, other_words
from lottery_ticket.spec._presets import preset_names, preset_text
from lottery_ticket.spec._spec import Spec
from lottery_ticket.spec._yaml import MAX_BYTES, MAX_DEPTH, parsed

__all__ = ["load_spec", "override_", "parse_overrides", "spec_from_mapping"]


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """A spec from a preset's name or a YAML file, with `key.path=value` overrides.

    Raises:
        UsageError: no such preset or file; bad YAML; a key or value that does not fit.
    """
    path = usable_path(source, "spec")
    if str(source) in preset_names():
        text = preset_text(str(source))
    elif names_a_spec(source):
        text = _text(path)
    else:
        hint = nearest(str(source), preset_names())
        raise UsageError(f"no preset {str(source)!r} (a spec file's name ends in .yaml){hint}")
    values = parsed(text, str(source))
    if not isinstance(values, dict):
        found = "nothing" if values is None else type(values).__name__
        raise UsageError(f"{source}: a spec is a mapping of keys, got {found}")
    given, changes = deepcopy(values), parse_overrides(overrides)
    override_(values, changes)
    return _validated(values, str(source), given, list(changes))


def names_a_spec(source: str | Path) -> bool:
    """Whether this is what a preset or a spec file is called.

    >>> names_a_spec("quickstart"), names_a_spec("mine.yaml"), names_a_spec("a run")
    (True, True, False)
    """
    path = usable_path(source, "spec")
    return str(source) in preset_names() or path.suffix in (".yaml", ".yml") or path.exists()


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # a device has no end
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path}: longer than {MAX_BYTES:,} bytes; a spec is a short file")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot read the spec ({reason})") from None


def spec_from_mapping(
    values: Mapping[str, Any],
    source: str = "spec",
    *,
    given: Mapping[str, Any] | None = None,
    asked: Sequence[Sequence[str]] = (),
) -> Spec:
    """Validate plain values; raises `UsageError` with one line for each thing that is wrong.

    Args:
        values: of the spec.
        source: what errors call it.
        given: what stood there before the keys of `asked` were changed, if any were.
        asked: these keys.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{source}: a spec is a mapping of keys, got {type(values).__name__}")
    return _validated(values, source, given, asked)


def _validated(
    values: Mapping[str, Any],
    source: str,
    given: Mapping[str, Any] | None = None,
    asked: Sequence[Sequence[str]] = (),
) -> Spec:
    """`given` is what stood there before the keys of `asked` were changed."""
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        lines = [
            _line(detail) + in_the_way(detail["msg"], detail["loc"], given or {}, asked)
            for detail in error.errors()
        ]
        raise UsageError("\n".join(f"{source}: {line}" for line in lines)) from None
    except RecursionError:
        raise UsageError(f"{source}: nested without end, or too deep") from None


def parse_overrides(overrides: Sequence[str]) -> dict[tuple[str, ...], Any]:
    """`["train.lr=0.05"]` → `{("train", "lr"): 0.05}`; values are YAML.

    >>> parse_overrides(["train.duration=5ep", "arms=[ticket, reinit]"])
    {('train', 'duration'): '5ep', ('arms',): ['ticket', 'reinit']}
    """
    if isinstance(overrides, str | Mapping):
        raise UsageError(
            f"overrides: got a {type(overrides).__name__}, wanted a list of texts, such as "
            '["train.lr=0.05", "replicates=3"]'
        )
    values = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path) or len(path) > MAX_DEPTH:
            said = override if len(override) <= 80 else f"{override[:80]}…"
            raise UsageError(f"--set {said}: write key=value, such as train.lr=0.05")
        values[path] = parsed(text, f"--set {key}")
    return values


def override_(values: dict[str, Any], overrides: Mapping[tuple[str, ...], Any]) -> None:
    """Put overrides into plain values in place; null takes a key away.

    Raises:
        UsageError: what is no mapping has no keys.
    """
    for path, value in overrides.items():
        inner = values
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UsageError(f"--set {'.'.join(path)}: {part!r} has no keys of its own")
        if value is None:
            inner.pop(path[-1], None)  # back to the default
        else:
            inner[path[-1]] = value


_WANTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of keys",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
}


# limit → what it says, with the limit filled in
_LIMITS = {
    "greater_than": "wanted more than {gt}",
    "greater_than_equal": "wanted at least {ge}",
    "less_than": "wanted less than {lt}",
    "less_than_equal": "wanted at most {le}",
    "finite_number": "wanted a finite number",
    "string_pattern_mismatch": "wanted letters, digits, '.', '_' and '-', the first a letter or "
    "digit",
    "string_too_long": "wanted at most {max_length} characters",
    "too_long": "wanted at most {max_length}",
}


def _line(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    kind, got = detail["type"], detail["input"]
    if kind == "missing":
        return f"{where}: missing"
    if kind == "extra_forbidden":
        *parents, key = detail["loc"]
        return f"{where}: unknown key{_meant(str(key), _keys_at(parents))}"
    if kind == "invalid_key":
        return f"{where}: a key is text; put it in quotes"
    if kind in _LIMITS:
        return f"{where}: got {shown(got)}, {_LIMITS[kind].format(**detail.get('ctx', {}))}"
    if kind == "model_type" and isinstance(got, str):
        return f"{where}: got {shown(got)}, wanted a mapping of keys, such as {{name: {got}}}"
    if kind in _WANTED:
        found = "nothing" if got is None else f"{shown(got)} ({type(got).__name__})"
        return f"{where}: got {found}, wanted {_WANTED[kind]}"
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    return f"{where}: got {shown(got)}; {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _meant(key: str, known: Sequence[str]) -> str:
    """The key of another place, or other words for it; else the nearest of this place."""
    if said := other_words(key):
        return f"; {said}"
    hint = nearest(key, known)
    elsewhere = meant_key(key)
    return hint if elsewhere is None or "did you mean" in hint else f"; did you mean {elsewhere!r}?"


def _keys_at(path: Sequence[Any]) -> list[str]:
    record: Any = Spec
    for part in path:
        if isinstance(part, int):
            continue
        annotation = record.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        record = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(record.model_fields)
