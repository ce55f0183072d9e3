"""Exported folders as models of the Hugging Face Hub."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lottery_ticket.export._extras import check_extra
from lottery_ticket.models import build

check_extra("hub", "HubModel")
from huggingface_hub import PyTorchModelHubMixin  # noqa: E402  # said first what is missing

__all__ = ["HubModel"]


class HubModel(nn.Module, PyTorchModelHubMixin, library_name="lottery_ticket"):
    """A registered model that is saved to, and loaded from, a folder or the Hugging Face Hub.

    A folder that `export` wrote with the format `state_dict` is such a folder. Keys in
    `model.safetensors` are the model's own.

    Args:
        architecture: a registered model's name.
        options: its options.

    >>> model = HubModel("LeNet300", {"hidden": [30, 10]})
    >>> model.save_pretrained("folder")  # doctest: +SKIP
    >>> HubModel.from_pretrained("folder").module  # doctest: +SKIP
    """

    def __init__(self, architecture: str, options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        # of this name: the mixin saves what is in `module` under its own keys
        self.module = build(architecture, 0, **(options or {}))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) → the model's outputs."""
        return self.module(x)

    @classmethod
    def _load_as_safetensor(
        cls, model: Any, model_file: str, map_location: str, strict: bool
    ) -> Any:
        # always strict: weights that are not in the file would be those of seed 0
        super()._load_as_safetensor(model.module, model_file, map_location, strict=True)
        return model.eval()
