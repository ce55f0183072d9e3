"""A report in a notebook: in a frame of its own, or as a link to its file."""

import os
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
        place = escape(str(self.file))
        below = _below_here(self.file)
        if below is not None:
            place = f'<a href="{quote(below.as_posix())}" target="_blank">{place}</a>'
        return f"<div>The report of {escape(self.of)} is written to {place}.</div>"

    def _frame(self) -> str:
        # scripts run, but as those of nobody: without the notebook's origin, storage or cookies
        return (
            f'<iframe srcdoc="{escape(self)}" sandbox="allow-scripts" title="report of '
            f'{escape(self.of)}" style="width:100%;height:{_HEIGHT}px;'
            'border:1px solid rgba(128,128,128,.35);resize:vertical"></iframe>'
            f'<div>The report of {escape(self.of)}: <code>.report("report.html")</code> '
            "writes it to a file.</div>"
        )


def _below_here(file: Path) -> Path | None:
    """Where a file is from the notebook's folder; None elsewhere, where Jupyter serves nothing."""
    try:
        here = Path.cwd()
        path = Path(os.path.abspath(file))  # noqa: PTH100  (a link stays what it is called)
    except OSError:  # the folder was removed
        return None
    return path.relative_to(here) if path.is_relative_to(here) else None
