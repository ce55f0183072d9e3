"""Masks, and what carries one: layer by layer, with a bar for what is kept."""

from collections.abc import Mapping
from math import prod

import torch
from markupsafe import Markup

from lottery_ticket.analysis import format_percent
from lottery_ticket.display._blocks import Cell, card, cut, details, facts, table
from lottery_ticket.display._records import value_text
from lottery_ticket.export import PrunedModel
from lottery_ticket.masks import Attachment, PruningMask
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

__all__ = ["attachment_html", "layer_table", "mask_html", "pruned_html", "ticket_html"]


def mask_html(mask: PruningMask) -> Markup:
    """How much is kept, and where."""
    kept, left_out = layer_table(mask), _left_out(mask)
    return card(_size_text(mask), kept, *left_out, about=type(mask).__name__)


def attachment_html(attached: Attachment) -> Markup:
    """The mask in force, and how far its training is."""
    held = dict(repr_parts(attached))
    return card(
        _size_text(attached.mask), facts(held), layer_table(attached.mask), about="Attachment"
    )


def repr_parts(attached: Attachment) -> Mapping[str, object]:
    """What an attachment says of itself, field by field."""
    status = repr(attached).rpartition("; ")[2].removesuffix(")")
    point = attached.rewind_point
    named = {"overwritten": attached.overwritten, "written": attached.written}
    return {
        "status": status,
        **({} if point is None else {"rewind point": f"after {point.step:,} steps"}),
        **{name: ", ".join(names) for name, names in named.items() if names},
    }


def ticket_html(ticket: Ticket) -> Markup:
    """The mask, where its weights come from, what was measured, and how it was found."""
    known = {
        "weights": _origin_text(ticket.origin),
        "trained weights": "" if ticket.trained is None else f"{len(ticket.trained)} tensors",
    }
    parts = [facts({name: text for name, text in known.items() if text})]
    for title, values in (("measured", ticket.metrics), ("found by", ticket.provenance)):
        if values:
            rows = {name: value_text(value) for name, value in values.items()}
            parts.append(details(title, facts(dict(list(rows.items())[:20]))))
    return card(_size_text(ticket.mask), *parts, layer_table(ticket.mask), about="Ticket")


def pruned_html(pruned: PrunedModel) -> Markup:
    """The mask, and what is there beside the model."""
    known = {
        "model": value_text(pruned.model),
        "inputs": value_text(pruned.inputs),
        **{name: value_text(value) for name, value in _others(pruned) if value is not None},
    }
    return card(
        _size_text(pruned.mask), facts(known), layer_table(pruned.mask), about="PrunedModel"
    )


def _others(pruned: PrunedModel) -> list[tuple[str, object]]:
    return [(n, getattr(pruned, n)) for n in ("calibration", "test", "dense", "ticket")]


def layer_table(mask: Mapping[str, torch.Tensor]) -> Markup:
    """A row per layer: its shape, what is kept of it, a bar."""
    rows = []
    for name, kept in mask.items():
        count, total = int(kept.count_nonzero()), prod(kept.shape)
        density = count / total if total else 1.0
        shape = " × ".join(str(side) for side in kept.shape)
        share = Cell(format_percent(density), density)
        rows.append([cut(name, 80), shape, f"{count:,}", f"{total:,}", share])
    return table(["layer", "shape", "kept", "of", "density"], rows)


def _size_text(mask: PruningMask) -> str:
    kept, total = mask.num_kept, mask.num_prunable
    density = kept / total if total else 1.0
    return (
        f"{kept:,} of {total:,} weights kept: density {format_percent(density)}, "
        f"sparsity {format_percent(1 - density)}"
    )


def _left_out(mask: PruningMask) -> list[Markup]:
    if not mask.left_out:
        return []
    rows = [[cut(name, 80), why] for name, why in mask.left_out.items()]
    return [
        details(f"{len(rows):,} parameters are left out", table([], rows, left=(0, 1), most=12))
    ]


def _origin_text(origin: ModelOrigin | WeightsOrigin) -> str:
    if isinstance(origin, ModelOrigin):
        return f"those that {origin.model} draws under seed {origin.seed}"
    step = f"after {origin.step:,} steps" if origin.step else "initial ones"
    return f"{step}, stored ({origin.weights})" + (f", of {origin.model}" if origin.model else "")
