"""What a ticket was made with."""

import platform
from importlib.metadata import version

import numpy as np
import torch

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """The versions that decide which weights a seed draws: library, torch, numpy, Python, platform.

    >>> list(versions())
    ['lottery_ticket', 'torch', 'numpy', 'python', 'platform']
    """
    return {
        "lottery_ticket": version("lottery-ticket"),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
