"""As much of LaTeX as tells whether a table compiles: a strict reader, not a forgiving one."""

import re

# what our tables may use; anything else is a mistake of ours or a name that was not escaped
COMMANDS = {
    *("begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule"),
    *("cmidrule", "multicolumn", "bfseries", "boldmath", "rlap", "phantom", "resizebox", "ifdim"),
    *("width", "linewidth", "else", "fi", "endfirsthead", "endhead", "endlastfoot", "footnotesize"),
    *("begingroup", "endgroup", "setlength", "tabcolsep", "textbackslash", "textasciitilde"),
    *("textasciicircum", "textless", "textgreater", "textbar", "pm", "times", "theta", "ldots"),
    *("leq", "geq", "alpha", "mu", "sigma", "ss", "o", "l", "ae", "i", "S", "rightarrow"),
    *("AE", "oe", "OE", "O", "L", "nobreakspace"),
}
TOKEN = re.compile(r"\\([A-Za-z]+|.)|([{}$&%#_^~\n])|([^\\{}$&%#_^~\n]+)", re.S)


class BadLatexError(AssertionError):
    """It would not compile, or not print what it says."""


def tokens(source):
    """(command, special, text) of each token; raises `BadLatexError` for what is not ASCII."""
    if not source.isascii():
        raise BadLatexError(f"no ASCII: {[c for c in source if not c.isascii()]}")
    return [found.groups() for found in TOKEN.finditer(source)]


def check_text(source):
    """See that a text has balanced braces and formulas, and no sign that does something."""
    depth, is_formula = 0, False
    for command, special, _ in tokens(source):
        if special == "$":
            is_formula = not is_formula
        elif special == "{":
            depth += 1
        elif special == "}":
            depth -= 1
            if depth < 0:
                raise BadLatexError(f"a brace too many: {source}")
        elif special in ("&", "%", "#", "~", "\n") or (special in ("_", "^") and not is_formula):
            raise BadLatexError(f"{special!r} is not escaped: {source}")
        elif len(command or "") > 1 and command not in COMMANDS and not is_formula:
            raise BadLatexError(f"unknown command {command!r}: {source}")
    if depth or is_formula:
        raise BadLatexError(f"braces or formulas are not closed: {source}")


def split_cells(line):
    """The cells of a row, at the & that are no text."""
    return re.split(r"(?<!\\)&", line)


def width_of(cell):
    """How many columns a cell takes."""
    found = re.match(r"\s*\\multicolumn\{(\d+)\}", cell)
    return int(found[1]) if found else 1


def read_table(source):
    """Check a table as a whole; returns its rows: lists of cells, headers first."""
    body = [line.strip() for line in source.splitlines() if not line.startswith("%")]
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", "\n".join(body)):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            raise BadLatexError(f"environment {name!r} ends where it is not open")
    if opened:
        raise BadLatexError(f"not closed: {opened}")
    if sum(line.count("{") - line.count("\\{") for line in body) != sum(
        line.count("}") - line.count("\\}") for line in body
    ):
        raise BadLatexError("braces are not balanced")
    (aligned,) = re.findall(r"\\begin\{(?:tabular|longtable)\}\{([rlc]+)\}", "\n".join(body))
    (caption,) = re.findall(r"\\caption\{(.*)\}(?:\\label\{[\w:./+-]+\}\\\\)?$", source, re.M)
    check_text(caption)
    rows = []
    for line in body:
        if line.endswith(r"\\") and "caption" not in line:
            cells = split_cells(line.removesuffix(r"\\"))
            if sum(map(width_of, cells)) != len(aligned):
                raise BadLatexError(f"{line}: wanted {len(aligned)} columns")
            for cell in cells:
                check_text(cell)
            if line.lstrip()[:1] in ("[", "*"):
                raise BadLatexError(f"an option of the row before: {line}")
            rows.append([cell.strip() for cell in cells])
    return rows
