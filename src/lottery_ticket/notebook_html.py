"""`_repr_html_` of the library's values: how a notebook shows them.

What is shown is made from charts and the report's words, in rooms above those of the values. So a
value asks for the room `display` by its name, when a notebook wants to show it and never before.
"""

from importlib import import_module

__all__ = ["notebook_html"]


def notebook_html(self: object) -> str:
    """The value as a piece of HTML, with inline styles and without scripts.

    A class takes it over by `_repr_html_ = notebook_html`; what it looks like is a row of the table
    in `lottery_ticket.display`. It never raises.

    >>> from lottery_ticket.steps import Duration
    >>> notebook_html(Duration.parse("20ep"))[:5]
    '<div '
    """
    return import_module("lottery_ticket.display").html_of(self)
