"""A report in a notebook: in a frame of its own, or as a link to its file."""

from html import escape
from pathlib import Path
from urllib.parse import quote

__all__ = ["Page"]

_HEIGHT = 720


class Page(str):
    """The text of a report, which a notebook shows.

    A page in HTML is shown in a frame: its styles and its script stay inside, and cannot reach the
    notebook. One that was written to a file is a link. A page in Markdown is shown as Markdown.

    >>> Page("<p>Found</p>").called("tiny-1", "html")
    Page of tiny-1: 12 characters of html
    """

    of: str = ""
    form: str = "html"
    file: Path | None = None

    def called(self, of: str, form: str, file: Path | None = None) -> "Page":
        """The page, which knows what it is of, in which format, and where it was written."""
        self.of, self.form, self.file = of, form, file
        return self

    def __repr__(self) -> str:
        # a notebook stores it beside the frame: not all of it twice
        return f"Page of {self.of}: {len(self):,} characters of {self.form}"

    def _repr_html_(self) -> str | None:
        if self.file is not None:
            return self._link()
        return self._frame() if self.form == "html" else None

    def _repr_markdown_(self) -> str | None:
        return str(self) if self.form == "markdown" and self.file is None else None

    def _link(self) -> str:
        assert self.file is not None
        place = quote(str(self.file))
        return (
            f"<div>The report of {escape(self.of)} is written to "
            f'<a href="{place}" target="_blank">{escape(str(self.file))}</a>.</div>'
        )

    def _frame(self) -> str:
        # scripts run, but as those of nobody: without the notebook's origin, storage or cookies
        return (
            f'<iframe srcdoc="{escape(self)}" sandbox="allow-scripts" title="report of '
            f'{escape(self.of)}" style="width:100%;height:{_HEIGHT}px;'
            'border:1px solid rgba(128,128,128,.35);resize:vertical"></iframe>'
            f'<div>The report of {escape(self.of)}: <code>.report("report.html")</code> '
            "writes it to a file.</div>"
        )
