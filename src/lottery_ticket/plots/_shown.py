"""Figures that show themselves in a notebook, one or several."""

import base64
import io
from html import escape

from matplotlib.figure import Figure

__all__ = ["Figures", "ShownFigure", "figure_png"]

_DPI = 100  # of an ordinary screen


class ShownFigure(Figure):
    """A figure that shows itself as the last line of a notebook's cell.

    Figures are made without pyplot, which would keep them all, and so no backend of a notebook
    knows of them. Where one has a way of its own to show figures (`%matplotlib inline`), it is
    used, and a figure is shown once.
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(_DPI * inches) for inches in self.get_size_inches())
        return figure_png(self), {"width": width, "height": height}


def figure_png(figure: Figure, *, dpi: float = 2 * _DPI) -> bytes:
    """A figure as a PNG file; by default with two pixels for one of an ordinary screen."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=dpi)
    return image.getvalue()


class Figures(dict[str, Figure]):
    """Name → figure; a notebook shows them all, below their names."""

    def _repr_html_(self) -> str:
        shown = (
            '<figure style="margin:0 0 1em;break-inside:avoid">'
            f"<figcaption><code>{escape(name)}</code></figcaption>"
            f'<img alt="{escape(name)}" style="width:100%;background:#fff" src="data:image/png;'
            f'base64,{base64.b64encode(figure_png(figure, dpi=_DPI)).decode()}"></figure>'
            for name, figure in self.items()
        )
        # columns of one width, each filled from its top: heights differ, and a row would have holes
        return f'<div style="columns:24em;column-gap:1em;max-width:80em">{"".join(shown)}</div>'

    def __repr__(self) -> str:
        return f"Figures({', '.join(self)})"
