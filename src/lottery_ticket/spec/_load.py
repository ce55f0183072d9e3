"""YAML 1.2 → `Spec`, with errors that name the key, what it got and what it wants."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.spec._presets import preset_names, preset_text
from lottery_ticket.spec._spec import Spec

__all__ = ["load_spec", "override_", "parse_overrides", "spec_from_mapping"]


def load_spec(source: str | Path, overrides: Sequence[str] = ()) -> Spec:
    """A spec from a preset's name or a YAML file, with `key.path=value` overrides.

    Raises:
        UsageError: no such preset or file; bad YAML; a key or value that does not fit.
    """
    path = Path(source)
    if str(source) in preset_names():
        text = preset_text(str(source))
    elif path.suffix in (".yaml", ".yml") or path.exists():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{path}: cannot read the spec ({reason})") from None
    else:
        hint = nearest(str(source), preset_names())
        raise UsageError(f"no preset {str(source)!r}{hint}; a spec file's name ends in .yaml")
    values = _parse(text, str(source))
    if not isinstance(values, dict):
        found = "nothing" if values is None else type(values).__name__
        raise UsageError(f"{source}: a spec is a mapping of keys, got {found}")
    override_(values, parse_overrides(overrides))
    return spec_from_mapping(values, str(source))


def spec_from_mapping(values: Mapping[str, Any], source: str = "spec") -> Spec:
    """Validate plain values; raises `UsageError` with one line for each thing that is wrong."""
    if not isinstance(values, Mapping):
        raise UsageError(f"{source}: a spec is a mapping of keys, got {type(values).__name__}")
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        lines = [_line(detail) for detail in error.errors()]
        raise UsageError("\n".join(f"{source}: {line}" for line in lines)) from None


def parse_overrides(overrides: Sequence[str]) -> dict[tuple[str, ...], Any]:
    """`["train.lr=0.05"]` → `{("train", "lr"): 0.05}`; values are YAML.

    >>> parse_overrides(["train.duration=5ep", "arms=[ticket, reinit]"])
    {('train', 'duration'): '5ep', ('arms',): ['ticket', 'reinit']}
    """
    parsed = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise UsageError(f"--set {override}: write key=value, such as train.lr=0.05")
        parsed[path] = _parse(text, f"--set {key}")
    return parsed


def _parse(text: str, source: str) -> Any:
    yaml = YAML(typ="safe", pure=True)  # pure: the YAML 1.2 reader
    try:
        return yaml.load(io.StringIO(text))
    except DuplicateKeyError as error:
        problem = str(error.problem).split(" with value")[0]
        where = error.problem_mark
        line = f" in line {where.line + 1}" if where else ""
        raise UsageError(f"{source}: {problem}{line}; each key may stand once") from None
    except MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        line = f" in line {where.line + 1}, column {where.column + 1}" if where else ""
        problem = error.problem or error.context or "cannot be read"
        raise UsageError(f"{source}: not valid YAML: {problem}{line}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = str(error).split("\n")[0]
        raise UsageError(f"{source}: not valid YAML: {problem}") from None


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
        return f"{where}: unknown key{nearest(str(key), _keys_at(parents))}"
    if kind == "invalid_key":
        return f"{where}: a key is text; put it in quotes"
    if kind in _LIMITS:
        return f"{where}: got {got!r}, {_LIMITS[kind].format(**detail.get('ctx', {}))}"
    if kind == "model_type" and isinstance(got, str):
        return f"{where}: got {got!r}, wanted a mapping of keys, such as {{name: {got}}}"
    if kind in _WANTED:
        found = "nothing" if got is None else f"{got!r} ({type(got).__name__})"
        return f"{where}: got {found}, wanted {_WANTED[kind]}"
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    return f"{where}: got {got!r}; {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _keys_at(path: Sequence[Any]) -> list[str]:
    record: Any = Spec
    for part in path:
        if isinstance(part, int):
            continue
        annotation = record.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        record = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(record.model_fields)
