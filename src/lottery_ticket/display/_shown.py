"""Which function shows which value."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from lottery_ticket.display._blocks import card, paragraph

__all__ = ["SHOWN", "html_of"]

SHOWN: dict[str, str] = {
    "RunResult": "_runs:result_html",
    "TicketResults": "_runs:search_html",
    "LotteryTicketFinder": "_runs:finder_html",
    "Verdict": "_verdicts:verdict_html",
    "Between": "_verdicts:between_html",
    "Sweep": "_verdicts:sweep_html",
    "ClassDifferences": "_verdicts:classes_html",
    "PruningMask": "_masks:mask_html",
    "Attachment": "_masks:attachment_html",
    "Ticket": "_masks:ticket_html",
    "PrunedModel": "_masks:pruned_html",
    "Prepared": "_plans:prepared_html",
    "Plan": "_plans:plan_html",
    "Forecasts": "_plans:forecasts_html",
    "Spec": "_plans:spec_html",
    "Exported": "_exports:exported_html",
    "Measured": "_exports:measured_html",
    "Compacted": "_exports:compacted_html",
    "Sparse": "_exports:sparse_html",
    "DataSet": "_records:dataset_html",
}
"""Class → `module:function` that shows it; all others are shown field by field."""

_FIELD_BY_FIELD = "_records:record_html"


def html_of(value: object) -> str:
    """A value as HTML; where that fails, why."""
    try:
        return str(_function_for(type(value))(value))
    except Exception as error:  # a traceback in the place of a value helps nobody
        reason = paragraph(f"It cannot be shown here: {error}")
        return str(card(type(value).__name__, reason))


def _function_for(kind: type) -> Callable[[Any], str]:
    """That of the class, or of the nearest it comes from."""
    ours = (base.__name__ for base in kind.__mro__ if base.__module__.startswith("lottery_ticket."))
    place = next((SHOWN[name] for name in ours if name in SHOWN), _FIELD_BY_FIELD)
    module, _, name = place.partition(":")
    return getattr(import_module(f"lottery_ticket.display.{module}"), name)
