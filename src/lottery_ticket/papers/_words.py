"""A text that cites, as plain text, Markdown and LaTeX."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lottery_ticket.papers._escape import latex_text
from lottery_ticket.papers._references import bibtex, short_text

__all__ = ["Citation", "Cite", "Part"]


@dataclass(frozen=True)
class Cite:
    """What is cited at a place of a text."""

    keys: tuple[str, ...]


Part = str | Cite
"""Text as it is to be read, or what is cited there."""


@dataclass(frozen=True)
class Citation:
    """How a run was done, and whom to cite for it.

    Args:
        parts: of the paragraph, in order.

    >>> print(Citation(("We pruned by size", Cite(("han2015learning",)), ".")).text)
    We pruned by size (Han et al. 2015).
    """

    parts: Sequence[Part]

    @property
    def keys(self) -> list[str]:
        """The keys of what is cited, in the order of the text, each once."""
        cited = (part.keys for part in self.parts if isinstance(part, Cite))
        return list(dict.fromkeys(key for keys in cited for key in keys))

    @property
    def text(self) -> str:
        """The paragraph as plain text."""
        return self._said(str, lambda keys: f" ({'; '.join(map(short_text, keys))})")

    @property
    def markdown(self) -> str:
        """The paragraph as Markdown, which cites as Pandoc reads it: `[@holm1979simple]`."""
        return self._said(_markdown, lambda keys: f" [{'; '.join(f'@{key}' for key in keys)}]")

    @property
    def latex(self) -> str:
        r"""The paragraph as LaTeX, which cites with `\cite`."""
        return self._said(latex_text, lambda keys: f"~\\cite{{{','.join(keys)}}}")

    @property
    def bibtex(self) -> str:
        """An entry for each key."""
        return bibtex(self.keys)

    def _said(self, plain: Callable[[str], str], cited: Callable[[Sequence[str]], str]) -> str:
        return "".join(
            plain(part) if isinstance(part, str) else cited(part.keys) for part in self.parts
        )

    def __str__(self) -> str:
        return f"{self.text}\n\n{self.bibtex}"

    __repr__ = __str__


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|@$~^])", r"\\\1", text)
