"""peft itself: its layers, if it is here and not too old."""

import functools
import importlib
import importlib.metadata
from typing import Any

from lottery_ticket.errors import LotteryError

__all__ = ["HERE", "LAYERS", "copies_class", "lora", "masked_class"]

HERE = __name__.rpartition(".")[0]  # where pickle looks up the classes that are made of peft's
LAYERS = ("Linear", "Conv1d", "Conv2d", "Conv3d")
OLDEST = (0, 18)  # earlier ones ask no variant where a batch mixes adapters


def lora() -> Any:
    """peft's layers.

    Raises:
        LotteryError: it is not there, or too old.
    """
    try:
        layers = importlib.import_module("peft.tuners.lora.layer")
    except ImportError as error:
        raise LotteryError(
            f"attach_lora needs peft, not installed here ({error}): "
            "pip install 'lottery-ticket[hf]'"
        ) from None
    version = importlib.metadata.version("peft")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST or not hasattr(layers, "LoraVariant"):
        wanted = ".".join(map(str, OLDEST))
        raise LotteryError(
            f"attach_lora: this is peft {version}, wanted {wanted} or later: "
            "pip install -U 'lottery-ticket[hf]'"
        )
    return layers


def copies_class() -> type:
    """What peft puts around a module of which adapters train copies."""
    return importlib.import_module("peft.utils").ModulesToSaveWrapper


@functools.cache
def masked_class(does_otherwise: type, kind: type) -> type:
    """The masked class of one of peft's."""
    return type(f"Masked{kind.__name__}", (does_otherwise, kind), {"__module__": HERE})
