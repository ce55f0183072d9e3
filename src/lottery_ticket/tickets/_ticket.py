"""`Ticket`: a mask, where its weights come from, what was measured and how it was found."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.files import write_file
from lottery_ticket.hub import fetched, pushed, saved
from lottery_ticket.masks import PruningMask, canonical_name, has_only_zeros_where_pruned
from lottery_ticket.names import named_state
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.pruning import rewind_
from lottery_ticket.tensor_files import made_sense_of
from lottery_ticket.tickets._beside import TICKET_FILE, ticket_beside
from lottery_ticket.tickets._canonical import plain
from lottery_ticket.tickets._format import REMEDY, packed, unpacked
from lottery_ticket.tickets._kept import check_fits, zeroed
from lottery_ticket.tickets._origin import (
    ModelOrigin,
    WeightsOrigin,
    check_model,
    checked_tensors,
    versions,
)

__all__ = ["Ticket"]


@dataclass(frozen=True, eq=False, repr=False)
class Ticket:
    """A winning ticket: mask + where its weights come from + provenance.

    Args:
        mask: what is kept.
        origin: θ₀ by a model's name and seed, or θ₀ or θ_k as tensors.
        metrics: what was measured; plain JSON values.
        provenance: how it was found (criterion, scope, level, …); plain JSON values, by default
            the versions it is made with. With a `ModelOrigin`, keep `versions()` in it.
        trained: θ_T, the trained ticket's `state_dict()`, zero where pruned.

    Raises:
        UsageError: mask and tensors do not fit; trained weights where the mask prunes; values that
            are not JSON.

    >>> mask = PruningMask.from_tensors({"fc3.weight": torch.eye(10, 100, dtype=torch.bool)})
    >>> ticket = Ticket(mask, ModelOrigin.of("LeNet300", seed=3), {"test_accuracy": 0.31})
    >>> ticket
    Ticket(10 of 1,000 weights kept, density 0.01, 1 layers; LeNet300 with seed 3)
    >>> ticket.build().fc3.weight.count_nonzero().item()
    10
    """

    mask: PruningMask
    origin: ModelOrigin | WeightsOrigin
    metrics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=versions)
    trained: Mapping[str, torch.Tensor] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", plain(self.metrics, "metrics"))
        object.__setattr__(self, "provenance", plain(self.provenance, "provenance"))
        if isinstance(self.origin, WeightsOrigin):
            check_fits(self.mask, self.origin.tensors, "origin.tensors")
        if self.trained is not None:
            trained = checked_tensors(self.trained, "trained")
            check_fits(self.mask, trained, "trained")
            on_cpu = {name: value.cpu() for name, value in trained.items()}
            if not has_only_zeros_where_pruned(on_cpu, self.mask.to("cpu")):
                raise UsageError(
                    "trained: not zero where the mask prunes, so it is not this ticket trained"
                )
            object.__setattr__(self, "trained", trained)

    @property
    def density(self) -> float:
        """Kept / prunable weights, in [0, 1]."""
        return self.mask.density

    def weights(self, *, trained: bool = False, verify: bool = True) -> dict[str, torch.Tensor]:
        """A plain `state_dict` on the CPU with exact zeros where pruned: θ ⊙ mask.

        Args:
            trained: θ_T instead of θ₀ or θ_k.
            verify: refuse initial weights that are drawn otherwise here.

        Raises:
            UsageError: the ticket has no trained weights.
            DataError: this machine draws other initial weights (see `ModelOrigin`).
        """
        if trained:
            if self.trained is None:
                raise UsageError("the ticket holds no trained weights; it was saved without")
            return zeroed(self.trained, self.mask)
        if isinstance(self.origin, WeightsOrigin):
            return zeroed(self.origin.tensors, self.mask)
        check_model(self.origin, self.mask)
        drawn = self.origin.weights(self.provenance, verify=verify)
        check_fits(self.mask, drawn, f"model {self.origin.model!r}")
        return zeroed(drawn, self.mask)

    def build(self, *, trained: bool = False, verify: bool = True) -> nn.Module:
        """The model that the origin names, with θ ⊙ mask; arguments and errors as `weights`.

        Raises:
            UsageError: the origin names no model; make it yourself and use `apply`.
        """
        check_model(self.origin, self.mask)
        model = self.origin.architecture()
        return self.apply(model, trained=trained, verify=verify)

    def apply(self, model: nn.Module, *, trained: bool = False, verify: bool = True) -> nn.Module:
        """Put θ ⊙ mask, biases and buffers into your own `model`, in place; returns the model.

        `torch.compile`, `DataParallel` or DDP around it make no difference. Args and errors: as
        `weights`.

        Raises:
            UsageError: the model has other parameters or shapes; it is then as it was.
        """
        weights = self.weights(trained=trained, verify=verify)
        rewind_(model, _as_named_in(model, weights), self.mask)
        return model

    def with_weights(self, weights: str = "kept") -> "Ticket":
        """The same ticket with its θ₀ stored in it, for machines that draw other numbers.

        Args:
            weights: `"kept"` or `"all"`, as in `WeightsOrigin`.

        Raises:
            DataError: this machine draws other initial weights.
            UsageError: `"all"` is asked of a ticket that stores the kept ones.
        """
        if isinstance(self.origin, WeightsOrigin):
            return replace(self, origin=self.origin.storing(weights))
        tensors = self.origin.weights(self.provenance)
        stored = WeightsOrigin(
            tensors, weights=weights, model=self.origin.model, options=self.origin.options
        )
        return replace(self, origin=stored)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ticket, by custom to a name that ends in `.ticket.safetensors`.

        It is written aside, synced and moved into place, so that it is never half a ticket. Equal
        tickets are equal bytes, with one zlib.

        Raises:
            DataError: it cannot be written there.
        """
        data = self.to_bytes()
        try:
            write_file(Path(path), data)
        except OSError as error:
            raise DataError(f"{path}: cannot write the ticket ({error.strerror})") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_weights: int | None = None) -> "Ticket":
        """Read a ticket written by `save`; nothing in the file is executed.

        Args:
            path: the file.
            max_weights: refuse what claims more; None for what unpacks to more than 256 MiB and
                256 times the file: a small file can claim any number.

        Raises:
            DataError: the file is missing, damaged, or something else.
        """
        if not Path(path).is_file():
            raise DataError(f"{path}: no such ticket file; write one with Ticket.save")
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot read the ticket ({error.strerror})") from error
        return cls.from_bytes(data, path, max_weights=max_weights)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, base_model: str | None = None
    ) -> None:
        """Write the ticket into a folder, beside a model that `model.save_pretrained` put there.

        `AutoModel.from_pretrained` reads the folder as before. A section of its `README.md`, the
        model's card, says what the ticket keeps, where its weights come from, what was measured
        and how to load it; what others wrote into the card stays.

        Args:
            save_directory: the folder, `ticket.safetensors` in it is replaced.
            base_model: what the model was made from, for the card: `"bert-base-uncased"`.

        Raises:
            UsageError: the model in the folder has weights where the mask prunes.
            DataError: the folder cannot be written, or its card cannot be read.
        """
        saved(ticket_beside(self), save_directory, base_model=base_model, repository=None)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        max_weights: int | None = None,
    ) -> "Ticket":
        """Read the ticket from a folder, or from a repository of the Hugging Face Hub.

        Args:
            pretrained_model_name_or_path: a folder that `save_pretrained` wrote, or the id of
                a repository, `"owner/name"`; that needs the extra `hub`.
            revision, token, cache_dir, local_files_only: as in `huggingface_hub`.
            max_weights: as in `load`.

        Raises:
            UsageError: no such folder or repository, or no such file in it.
            LotteryError: the Hub cannot be reached.
            DataError: the file is damaged.
        """
        path = fetched(
            pretrained_model_name_or_path, TICKET_FILE, revision=revision, token=token,
            cache_dir=cache_dir, local_files_only=local_files_only,
        )  # fmt: skip
        return cls.load(path, max_weights=max_weights)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        base_model: str | None = None,
        token: str | bool | None = None,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Put the ticket into a repository of the Hugging Face Hub, beside its model.

        Args:
            repo_id: `"owner/name"`; made if it is not there.
            base_model: as in `save_pretrained`.
            token, private, revision, commit_message, create_pr: as in `huggingface_hub`.

        Returns:
            The address of the commit.

        Raises:
            UsageError: the extra `hub` is missing, or there may be no such repository.
            LotteryError: the Hub cannot be reached, or refuses.
        """
        return pushed(
            ticket_beside(self), repo_id, base_model=base_model, token=token, private=private,
            revision=revision, commit_message=commit_message, create_pr=create_pr,
        )  # fmt: skip

    @classmethod
    def from_bytes(
        cls, data: bytes, source: object = "ticket", *, max_weights: int | None = None
    ) -> "Ticket":
        """Read the bytes of a ticket file; `source` is what an error calls them."""
        parts = unpacked(data, source, max_weights)
        with made_sense_of(source, "ticket file", REMEDY):
            return cls(**parts)

    def to_bytes(self) -> bytes:
        """The bytes of a ticket file."""
        return packed(self.mask, self.origin, self.metrics, self.provenance, self.trained)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ticket):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not a key

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        kept = repr(self.mask).removeprefix("PruningMask(").removesuffix(")")
        trained = "" if self.trained is None else ", trained weights"
        return f"Ticket({kept}; {_described(self.origin)}{trained})"


def _described(origin: ModelOrigin | WeightsOrigin) -> str:
    if isinstance(origin, ModelOrigin):
        return f"{origin.model} with seed {origin.seed}"
    model = "" if origin.model is None else f"{origin.model} with "
    return f"{model}stored weights of step {origin.step} ({origin.weights})"


def _as_named_in(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights by the names of `model.state_dict()`; raises `UsageError` if they do not fit."""
    state = named_state(model)
    names = {canonical_name(key, model): key for key in state}
    found = {name: _shape(state[key]) for name, key in names.items()}
    for name in [*weights, *found]:
        wanted = _shape(weights.get(name))
        if wanted != found.get(name, "nothing"):
            raise UsageError(
                f"{name!r} is {wanted} in the ticket and {found.get(name, 'nothing')} in the "
                "model; the ticket is for another model"
            )
    return {key: weights[name] for name, key in names.items()}


def _shape(value: torch.Tensor | None) -> str:
    return "nothing" if value is None else f"of shape {tuple(value.shape)}"
