"""Hugging Face's `Trainer`: a mask or a policy held in a training, a ticket found over several.

Needs the extra `hf`: `pip install 'lottery-ticket[hf]'`.
"""

import importlib
import typing

from lottery_ticket.extras import check_extra

if typing.TYPE_CHECKING:
    from lottery_ticket.integrations.transformers._callback import (
        PruningCallback as PruningCallback,
    )
    from lottery_ticket.integrations.transformers._search import (
        trainer_functions as trainer_functions,
    )

__all__ = ["PruningCallback", "trainer_functions"]

_MODULES = {"PruningCallback": "_callback", "trainer_functions": "_search"}


def __getattr__(name: str) -> object:
    """The names are loaded when they are first used, since they need the extra `hf`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_extra("hf", f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
