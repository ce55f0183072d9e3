"""The API reference, from the docstrings of the public names: one page per room.

python docs/api/render.py            # write docs/api/*.md
python docs/api/render.py --check    # exit 1 if a page says anything else

griffe reads the source without importing it, and parses the docstrings.
"""

import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import griffe

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"
PACKAGE = "lottery_ticket"
ROOMS = (
    *(
        "finder",
        "plots",
        "papers",
        "analysis",
        "analysis.structure",
        "connectivity",
        "export",
        "masks",
    ),
    *("criteria", "pruning", "tickets", "models", "data", "tracking"),
    "integrations.lightning",
)
# they say in `__all__` what is public, and import more
WITH_A_LIST = ("integrations.transformers", "integrations.peft")
TOP = "README"  # what GitHub shows for the folder
KINDS = ("class", "function", "attribute")
WIDTH = 88


def pages() -> dict[Path, str]:
    """Path → text of every page."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # one entry for several arguments is ours
    with warnings.catch_warnings():  # it compiles every text of an annotation: a help's "3.3in"
        warnings.filterwarnings("ignore", category=SyntaxWarning, module="<string-annotation>")
        package = griffe.load(
            PACKAGE,
            search_paths=[SOURCE],
            docstring_parser="google",
            docstring_options={"returns_multiple_items": False, "returns_named_value": False},
            allow_inspection=False,
        )
    assert isinstance(package, griffe.Module)
    rooms = {room: public(package[room], package[room].members) for room in ROOMS}
    rooms |= {room: public(package[room], package[room].exports) for room in WITH_A_LIST}
    elsewhere = {
        entry.canonical_path: f"{room}.md#{anchor}"
        for room, entries in rooms.items()
        for entry, anchor in zip(entries, anchors(entries), strict=True)
    }
    found = {HERE / f"{TOP}.md": top_page(package, elsewhere)}
    for room, entries in rooms.items():
        title = f"# `{PACKAGE}.{room}`\n\n{text_of(package[room])}"
        found[HERE / f"{room}.md"] = page(title, entries)
    return found


def public(module: Any, names: Iterable[str]) -> list[Any]:
    """What a module re-exports, or lists: classes, functions, then values, by name."""
    ours = [name for name in names if _is_ours(module.members[name], module)]
    found = [module[name] for name in ours]
    entries = [each.final_target if each.is_alias else each for each in found]
    return sorted(entries, key=lambda e: (KINDS.index(e.kind.value), e.name.lower()))


def _is_ours(member: Any, module: Any) -> bool:
    is_reexported = member.is_alias and member.target_path.startswith(f"{PACKAGE}.")
    return is_reexported or member.name in (module.exports or ())


def top_page(package: Any, elsewhere: dict[str, str]) -> str:
    """The names of the package itself; those of a room are a link to its page."""
    entries = public(package, package.members)
    own = [entry for entry in entries if entry.canonical_path not in elsewhere]
    links = dict(zip((e.canonical_path for e in own), anchors(own), strict=True))
    links = {path: f"#{anchor}" for path, anchor in links.items()} | elsewhere
    rooms = [
        f"- [`{PACKAGE}.{room}`]({room}.md): {summary(package[room])}"
        for room in (*ROOMS, *WITH_A_LIST)
    ]
    title = f"# `{PACKAGE}`\n\n{text_of(package)}\n\nRooms:\n\n" + "\n".join(rooms)
    listed = [(entry, links[entry.canonical_path]) for entry in entries]
    return f"{title}\n\nNames:\n\n{contents(listed)}" + "".join(map(section, own))


def page(title: str, entries: list[Any]) -> str:
    """A page: what it is about, its contents, a section per name."""
    listed = zip(entries, (f"#{anchor}" for anchor in anchors(entries)), strict=True)
    return f"{title}\n\n{contents(listed)}" + "".join(map(section, entries))


def contents(listed: Iterable[tuple[Any, str]]) -> str:
    """A line per name, with the first of its docstring."""
    lines = [f"- [`{e.name}`]({link}){colon(summary(e))}" for e, link in listed]
    return "\n".join(lines) + "\n"


def anchors(entries: list[Any]) -> list[str]:
    """The anchors that GitHub gives to the headings of names; a repeated one is numbered."""
    seen: Counter[str] = Counter()
    found = []
    for entry in entries:
        for heading in [entry.name, *(f"{entry.name}.{m.name}" for m in methods(entry))]:
            anchor = heading.lower().replace(".", "")
            number, seen[anchor] = seen[anchor], seen[anchor] + 1
            if heading == entry.name:
                found.append(f"{anchor}-{number}" if number else anchor)
    return found


def section(entry: Any) -> str:
    """A name, and the public methods of a class."""
    parts = [f"\n## `{entry.name}`\n\n{described(entry, entry.name)}"]
    if attributes := [member for member in members(entry) if member.is_attribute]:
        lines = (f"`{signature(a, a.name)}`{colon(text_of(a))}" for a in attributes)
        parts.append("\n" + items("Attributes", lines))
    for method in methods(entry):
        name = f"{entry.name}.{method.name}"
        parts.append(f"\n### `{name}`\n\n{described(method, method.name)}")
    return "".join(parts)


def members(entry: Any) -> list[Any]:
    """What a class has with a docstring of its own, and a record also inherits; plain fields are
    among its Args."""
    own = entry.members if "dataclass" not in entry.labels else entry.all_members
    found = own.items() if entry.is_class else ()
    return [m for name, m in found if m.docstring and not name.startswith("_")]


def methods(entry: Any) -> list[Any]:
    return [member for member in members(entry) if member.is_function]


def described(entry: Any, name: str) -> str:
    """Signature and docstring."""
    parts = [f"```python\n{signature(entry, name)}\n```\n"]
    for part in entry.docstring.parsed if entry.docstring else []:
        if part.kind.value == "returns":
            parts += [f"**Returns** {returned(r, entry)}\n" for r in part.value]
        else:
            parts.append(RENDER[part.kind.value](part.value))
    return "\n".join(parts)


def returned(value: Any, entry: Any) -> str:
    """The text as it was written: griffe takes what is before a colon for a type."""
    is_type = str(value.annotation) == str(entry.returns)
    return value.description if is_type else f"{value.annotation}: {value.description}"


def signature(entry: Any, name: str) -> str:
    """As in the source, on one line where it fits."""
    text = value_signature(entry, name) if entry.is_attribute else call_signature(entry, name)
    return text.replace("'", '"')  # griffe writes the other ones


def value_signature(entry: Any, name: str) -> str:
    """Name and type; the value where no type is given."""
    if entry.annotation:
        return f"{name}: {entry.annotation}"
    return f"{name} = {entry.value}" if len(str(entry.value)) < WIDTH else name


def call_signature(entry: Any, name: str) -> str:
    """Name, arguments and what is returned."""
    start = "class " if entry.is_class else ""
    start = "@classmethod\n" if "classmethod" in entry.labels else start
    arguments = list(listed_parameters(entry.parameters))
    end = f") -> {entry.returns}" if entry.is_function and entry.returns else ")"
    line = f"{name}({', '.join(arguments)}{end}".removesuffix("()")
    if len(line) > WIDTH:
        line = f"{name}(\n" + "".join(f"    {a},\n" for a in arguments) + end
    return start + line


def listed_parameters(parameters: Iterable[Any]) -> Iterable[str]:
    """Each parameter as it is written, and the star before keyword-only ones."""
    has_star = False
    for parameter in parameters:
        kind = parameter.kind.value
        if parameter.name in ("self", "cls"):
            continue
        if kind == "keyword-only" and not has_star:
            has_star = True
            yield "*"
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        has_star = has_star or stars == "*"
        annotation = f": {parameter.annotation}" if parameter.annotation else ""
        equals = " = " if annotation else "="
        has_default = parameter.default is not None and not stars
        yield stars + parameter.name + annotation + (equals + str(parameter.default)) * has_default


def text_of(entry: Any) -> str:
    """All running text of a docstring."""
    return "\n\n".join(p.value for p in entry.docstring.parsed if p.kind.value == "text")


def summary(entry: Any) -> str:
    """The first paragraph of a docstring, as one line."""
    return " ".join(entry.docstring.value.split("\n\n")[0].split()) if entry.docstring else ""


def colon(text: str) -> str:
    return f": {text}" if text else ""


def fenced(text: str) -> str:
    """Running text, its examples in fences."""
    blocks = (
        f"```pycon\n{block}\n```" if block.startswith(">>> ") else block
        for block in text.split("\n\n")
    )
    return "\n\n".join(blocks) + "\n"


def items(title: str, lines: Iterable[str]) -> str:
    """A titled list; what a line continues with is indented under it."""
    return f"**{title}**\n\n" + "".join(
        f"- {line.replace(chr(10), chr(10) + '  ')}\n" for line in lines
    )


RENDER = {
    "text": fenced,
    "parameters": lambda value: items(
        "Args", (f"`{p.name.replace(', ', '`, `')}`: {p.description}" for p in value)
    ),
    "raises": lambda value: items("Raises", (f"`{r.annotation}`: {r.description}" for r in value)),
    "warns": lambda value: items("Warns", (f"`{w.annotation}`: {w.description}" for w in value)),
    "admonition": lambda value: fenced(
        value.contents if value.kind == "example" else f"{value.kind.title()}: {value.contents}"
    ),
}


def main() -> None:
    """Write the pages, or check them."""
    found = pages()
    if "--check" in sys.argv:
        old = [path for path in HERE.glob("*.md") if path not in found]
        other = [p for p, text in found.items() if not p.exists() or p.read_text("utf-8") != text]
        if old or other:
            names = ", ".join(path.name for path in old + other)
            raise SystemExit(f"docs/api: {names} is not what the docstrings say: run make api")
        return
    for path, text in found.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
