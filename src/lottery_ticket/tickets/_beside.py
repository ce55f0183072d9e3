"""A ticket beside a model: its file, and what the model's card says of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lottery_ticket.hub import Beside
from lottery_ticket.masks import counts_of, layers_of, metadata_of
from lottery_ticket.tickets._origin import ModelOrigin

if TYPE_CHECKING:
    from lottery_ticket.tickets._ticket import Ticket

__all__ = ["TICKET_FILE", "ticket_beside"]

TICKET_FILE = "ticket.safetensors"

_TEXT = """\
## Lottery ticket

{counts} Training starts from {origin}.

```python
from lottery_ticket import Ticket

ticket = Ticket.from_pretrained(REPOSITORY)
ticket.apply(model)  # the weights that training starts from, zero where pruned{trained}
ticket.mask.attach(model, optimizer)  # zeros stay zero in any training loop
```
"""
_TRAINED = "\nticket.apply(model, trained=True)  # or the trained ones"


def ticket_beside(ticket: "Ticket") -> Beside:
    """The ticket's file, and its section of the card."""
    mask, origin = ticket.mask, ticket.origin
    drawn = isinstance(origin, ModelOrigin)
    text = _TEXT.format(
        counts=counts_of(mask),
        origin=f"{origin.model} as seed {origin.seed} draws it"
        if drawn
        else f"the weights of step {origin.step}, which are in the file",
        trained="" if ticket.trained is None else _TRAINED,
    )
    tables = [_table("measured", ticket.metrics), _table("found with", ticket.provenance)]
    text = "\n".join(part for part in [text, *tables, layers_of(mask)] if part)
    return Beside(TICKET_FILE, ticket.to_bytes(), text, mask, metadata_of(mask))


def _table(head: str, values: Mapping[str, Any]) -> str:
    """Numbers and words; what is neither is in the file."""
    plain = {k: v for k, v in values.items() if isinstance(v, str | int | float) and v != ""}
    if not plain:
        return ""
    rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in plain.items()]
    return "\n".join([f"| {head} | |", "| --- | ---: |", *rows, ""])


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("_", " ").replace("|", "\\|").split())
