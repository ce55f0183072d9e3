"""Exported folders as models of the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from lottery_ticket.errors import LotteryError
from lottery_ticket.extras import check_extra
from lottery_ticket.models import build, outline
from lottery_ticket.tensor_files import made_sense_of

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
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> "HubModel":
        """The model of a folder that `export` wrote, or of the Hub; options as the mixin has them.

        Raises:
            DataError: what is there is damaged, or is not of this library.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        with made_sense_of(folder, "folder of HubModel.save_pretrained"):
            return super().from_pretrained(folder, **options)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Any:
        if Path(model_id).is_dir():
            _check_fits(Path(model_id), options["architecture"], options.get("options") or {})
        return super()._from_pretrained(model_id=model_id, **options)

    @classmethod
    def _load_as_safetensor(
        cls, model: Any, model_file: str, map_location: str, strict: bool
    ) -> Any:
        # always strict: weights that are not in the file would be those of seed 0
        super()._load_as_safetensor(model.module, model_file, map_location, strict=True)
        return model.eval()


def _check_fits(folder: Path, architecture: str, options: Mapping[str, Any]) -> None:
    """Before a net is drawn: a few letters can ask for one of any size.

    Raises:
        ValueError: the net's tensors are not those of the file.
    """
    try:
        state = outline(architecture, **options).state_dict(keep_vars=True)
    except LotteryError:
        raise
    except Exception:  # a user's own model that wants to see values as it is made
        return
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    wanted = {name: list(value.shape) for name, value in state.items()}
    there = {id(state[name]) for name in found if name in state}  # what is tied is there once
    missing = [name for name in wanted if name not in found and id(state[name]) not in there]
    for name in [*missing, *found]:
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{name!r} is {_said(wanted.get(name))} in a {architecture}, "
                f"{_said(found.get(name))} in its weights"
            )


def _said(shape: list[int] | None) -> str:
    return "not there" if shape is None else f"of shape {shape}"
