"""YAML 1.2 → plain values, within bounds that no honest spec comes near."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from lottery_ticket.errors import UsageError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "parsed"]

MAX_BYTES = 100_000
MAX_DEPTH = 32
_MAX_VALUES = 5_000  # anchors written out
_MAX_DIGITS = 100

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


def parsed(text: str, source: str) -> Any:
    """The values of a YAML text; what an anchor is put in several places for is a value in each.

    Raises:
        UsageError: no valid YAML, or more of it than a spec can need; names `source`.
    """
    if len(text) > MAX_BYTES:
        raise UsageError(f"{source}: longer than {MAX_BYTES:,} characters; a spec is a short file")
    try:
        _check_depth(text)
        return _constructed(text)
    except _Refused as error:
        raise UsageError(f"{source}: {error}") from None
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


class _Refused(Exception):  # noqa: N818  # said as a UsageError
    """Valid YAML that no spec is."""


def _reader() -> YAML:
    return YAML(typ="safe", pure=True)  # pure: the YAML 1.2 reader


def _check_depth(text: str) -> None:
    """Event by event: to read deep nesting as a whole would take seconds."""
    depth = count = 0
    for event in _reader().parse(io.StringIO(text)):
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        count += not kind.endswith("EndEvent")
        if depth > MAX_DEPTH + 2:  # the stream and the document are two
            raise _Refused(f"nested more than {MAX_DEPTH} deep")
        if count > _MAX_VALUES:
            raise _Refused(f"more than {_MAX_VALUES:,} values")


def _constructed(text: str) -> Any:
    constructor, parser = _reader().get_constructor_parser(io.StringIO(text))
    try:
        node = constructor.composer.get_single_node()
        if node is None:
            return None
        _Sizes().check(node)
        return _unshared(constructor.construct_document(node))
    finally:
        parser.dispose()


class _Sizes:
    """How many values nodes stand for with every anchor written out, each node looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self, node: Node) -> int:
        """The number; raises `_Refused` where it is too large or without end."""
        if id(node) in self._open:
            raise _Refused(f"an anchor that contains itself in line {node.start_mark.line + 1}")
        if id(node) not in self._known:
            self._open.add(id(node))
            self._known[id(node)] = 1 + sum(self.check(inner) for inner in _inside(node))
            self._open.remove(id(node))
            if self._known[id(node)] > _MAX_VALUES:
                raise _Refused(f"anchors that stand for more than {_MAX_VALUES:,} values")
            if isinstance(node, ScalarNode):
                _check_number(node)
        return self._known[id(node)]


def _inside(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, CollectionNode) else []


def _check_number(node: ScalarNode) -> None:
    text = node.value.replace("_", "").lower()
    if node.tag == _INT and len(text) > _MAX_DIGITS:
        raise _Refused(f"a whole number of {len(text):,} digits in line {node.start_mark.line + 1}")
    digits = text.partition("e")[0]
    if node.tag == _FLOAT and any(digit in digits for digit in "123456789") and float(text) == 0:
        raise _Refused(
            f"{node.value[:40]!r} in line {node.start_mark.line + 1} is so small that it is 0; "
            "write 0 if that is meant"
        )


def _unshared(value: Any) -> Any:
    """Copies of what an anchor put in several places: a change of one is none of the others."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value
