"""As much of BibTeX as tells whether a file of it can be read."""

import re

REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "techreport": {"author", "title", "institution", "year"},
    "misc": {"title", "year"},
}


class BadBibtexError(AssertionError):
    """BibTeX would complain."""


def read_bibtex(source):
    """Key → (type, fields); strict."""
    if not source.isascii():
        raise BadBibtexError("no ASCII")
    entries, left = {}, source.strip()
    while left:
        head = re.match(r"@(\w+)\{([A-Za-z][\w:-]*),\n", left)
        if head is None:
            raise BadBibtexError(f"no entry: {left[:60]}")
        kind, key = head.groups()
        if key in entries:
            raise BadBibtexError(f"{key} twice")
        fields, left = read_fields(left[head.end() :])
        if missing := REQUIRED[kind] - fields.keys():
            raise BadBibtexError(f"{key}: without {missing}")
        if not re.fullmatch(r"\d{4}", fields["year"]):
            raise BadBibtexError(f"{key}: year {fields['year']}")
        entries[key] = (kind, fields)
    return entries


def read_fields(left):
    """The fields of an entry, and what follows it."""
    fields = {}
    while not left.startswith("}"):
        name = re.match(r"\s*(\w+) = \{", left)
        if name is None:
            raise BadBibtexError(f"no field: {left[:60]}")
        depth, at = 1, name.end()
        while depth:
            if at >= len(left):
                raise BadBibtexError("braces are not balanced")
            depth += {"{": 1, "}": -1}.get(left[at], 0)
            at += 1
        fields[name[1]] = left[name.end() : at - 1]
        if not left.startswith(",\n", at):
            raise BadBibtexError(f"no comma after {name[1]}")
        left = left[at + 2 :]
    return fields, left[1:].lstrip()
