"""Find, prove and ship winning lottery tickets.

The public names are loaded when they are first used, so that importing this package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "LotteryError": "lottery_ticket.errors",
    "LotteryTicketFinder": "lottery_ticket.finder",
    "MagnitudePruner": "lottery_ticket.pruning",
    "PruningMask": "lottery_ticket.masks",
    "RunResult": "lottery_ticket.api",
    "Spec": "lottery_ticket.spec",
    "Structured24Pruner": "lottery_ticket.pruning",
    "Ticket": "lottery_ticket.tickets",
    "TicketResults": "lottery_ticket.finder",
    "UsageError": "lottery_ticket.errors",
    "load_run": "lottery_ticket.api",
    "load_spec": "lottery_ticket.spec",
    "prune": "lottery_ticket.pruning",
    "register_criterion": "lottery_ticket.criteria",
    "register_dataset": "lottery_ticket.data",
    "register_model": "lottery_ticket.models",
    "run": "lottery_ticket.api",
}

__all__ = [  # as in _HOMES
    "LotteryError",
    "LotteryTicketFinder",
    "MagnitudePruner",
    "PruningMask",
    "RunResult",
    "Spec",
    "Structured24Pruner",
    "Ticket",
    "TicketResults",
    "UsageError",
    "__version__",
    "load_run",
    "load_spec",
    "prune",
    "register_criterion",
    "register_dataset",
    "register_model",
    "run",
]

if TYPE_CHECKING:
    from lottery_ticket.api import RunResult, load_run, run
    from lottery_ticket.criteria import register_criterion
    from lottery_ticket.data import register_dataset
    from lottery_ticket.errors import LotteryError, UsageError
    from lottery_ticket.finder import LotteryTicketFinder, TicketResults
    from lottery_ticket.masks import PruningMask
    from lottery_ticket.models import register_model
    from lottery_ticket.pruning import MagnitudePruner, Structured24Pruner, prune
    from lottery_ticket.spec import Spec, load_spec
    from lottery_ticket.tickets import Ticket


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
