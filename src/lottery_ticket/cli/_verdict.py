"""`lottery verdict`."""

from lottery_ticket.cli._options import Json, Margin, RunReference, StorePath
from lottery_ticket.cli._print import console, print_json

__all__ = ["verdict"]

# label → its colour
_STYLES = {"winning": "green", "matching": "yellow", "not a ticket": "red", "not decided": "cyan"}


def verdict(
    run: RunReference = "last",
    margin: Margin = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Say whether a run found a winning ticket, how sure that is, and against what."""
    from rich.text import Text

    from lottery_ticket.api import load_run

    found = load_run(run, store=store).verdict(margin)
    if json:
        print_json(found.to_dict())
        return
    text = Text(str(found))
    title = str(found).index("\n")
    text.stylize("bold", title, title + 1 + len(found.sentence))
    for label, style in _STYLES.items():
        text.highlight_regex(rf"(?m)(?<=  ){label}(?= \(| \*|$)", style)
    console.print(text, soft_wrap=True)
