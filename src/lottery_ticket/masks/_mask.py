"""`PruningMask`: parameter name → which of its weights are kept."""

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.prune import is_pruned

from lottery_ticket.errors import DataError, UsageError, known_keywords
from lottery_ticket.files import write_file
from lottery_ticket.hub import fetched, pushed, saved
from lottery_ticket.masks._beside import MASK_FILE, mask_beside
from lottery_ticket.masks._files import packed_bytes, unpacked_masks
from lottery_ticket.masks._interop import (
    masks_of_pruned,
    masks_of_state,
    plain_masks,
    to_pruned_,
)
from lottery_ticket.masks._prunable import check_any, prunable_in
from lottery_ticket.masks._saved import read_saved
from lottery_ticket.masks._targets import QUIET_REASONS, Target
from lottery_ticket.names import check_shape, find_parameters
from lottery_ticket.notebook_html import notebook_html

if TYPE_CHECKING:
    from lottery_ticket.masks._policy import MaskPolicy
    from lottery_ticket.masks.attachment import Attachment

__all__ = ["PruningMask"]


class PruningMask(Mapping[str, torch.Tensor]):
    """Which prunable weights of a model are kept: a mapping of name → bool tensor (True = kept).

    Args:
        model: the model to make an all-kept mask for; its tensors are not touched. Its names are
            those without `torch.compile`, `DataParallel` or DDP around it.
        targets: what is prunable, in place of the default; see `prunable_parameters`.
        ignore: what is not, whatever `targets` says.
        min_size: parameters with fewer weights are not.

    Raises:
        UsageError: as `prunable_parameters`; nothing is prunable; the model is in the form of
            torch.nn.utils.prune.

    >>> mask = PruningMask(nn.Linear(4, 2))
    >>> mask.density, mask.num_kept, mask["weight"].shape
    (1.0, 8, torch.Size([2, 4]))
    >>> list(PruningMask(nn.Linear(4, 2), targets=["Linear", "bias"]))
    ['weight', 'bias']
    """

    _attachments: "list[Attachment]"

    left_out: Mapping[str, str]
    """Parameters of the model that the mask does not speak of → why, the largest first.

    Masks made from this one have it too. It is empty where only tensors or a file were there to
    make the mask from.
    """

    named: Mapping[str, bool]
    """Parameters that `targets` asked for → whether by their own name, or that of their layer.

    Structure `"channel"` cuts linear layers that are named, and the model's output only where it
    is named by its own name. What `prune` makes has it too; a file does not.
    """

    whole: Mapping[str, tuple[int, ...]]
    """Layers that structure `"channel"` left whole → their shapes.

    They are in no count and come in no loop, and `left_out` says why; `mask[name]` is all true.
    """

    def __new__(cls, *args: object, **kwargs: object) -> "PruningMask":
        made = super().__new__(cls)
        made._attachments = []
        made.left_out = {}
        made.named = {}
        made.whole = {}
        return made

    def __getstate__(self) -> dict[str, object]:
        # copies and pickles are not attached to anything
        names = ("_masks", "left_out", "named", "whole")
        return {name: getattr(self, name) for name in names}

    @known_keywords("PruningMask")
    def __init__(
        self,
        model: nn.Module,
        *,
        targets: Iterable[Target] | None = None,
        ignore: Iterable[Target] = (),
        min_size: int = 0,
    ) -> None:
        if is_pruned(model):
            raise UsageError(
                "the model is in the form of torch.nn.utils.prune (weight_orig, weight_mask); use "
                "PruningMask.from_torch_prune(model), or call torch.nn.utils.prune.remove first"
            )
        found = check_any(prunable_in(model, targets=targets, ignore=ignore, min_size=min_size))
        self._masks = {
            name: torch.ones(value.shape, dtype=torch.bool, device=value.device)
            for name, value in found.parameters.items()
        }
        self.left_out, self.named = found.left_out, found.named

    @classmethod
    def from_tensors(
        cls,
        masks: Mapping[str, torch.Tensor],
        left_out: Mapping[str, str] | None = None,
    ) -> "PruningMask":
        """A mask from bool tensors by parameter name, in model order.

        The tensors are shared, not copied: changing one in place changes the mask. Nothing in this
        library ever does.

        Args:
            masks: parameter name → which weights are kept.
            left_out: what it does not speak of, and why, as another mask of the model says.

        Raises:
            UsageError: it is something else.
        """
        if not isinstance(masks, Mapping):
            got = type(masks).__name__
            raise UsageError(f"a mask is made of bool tensors by parameter name, got a {got}")
        made = cls.__new__(cls)
        made.left_out = dict(left_out or {})
        made._masks = {}
        for name, tensor in masks.items():
            if not isinstance(name, str):
                raise UsageError(f"a mask has names of parameters, got {name!r}")
            if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.bool:
                got = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
                raise UsageError(f"mask {name!r} must be a bool tensor, got {got}")
            made._masks[name] = tensor.detach()
        return made

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "PruningMask":
        """Read a mask written by `save`, or saved by others; nothing in the file is executed.

        A `.pt` or `.pth` file may be any `torch.save` of a dict of tensors of zeros and ones, with
        names like `fc.weight`, `fc.weight_mask`, `fc.weight.mask` or `fc.mask`.

        Raises:
            DataError: the file is missing, damaged, holds something else, or would run code.
        """
        return cls.from_tensors(_read(Path(path)))

    @classmethod
    def from_torch_prune(cls, model: nn.Module) -> "PruningMask":
        """The mask of a model pruned by torch.nn.utils.prune (`weight_orig`, `weight_mask`).

        Parameters of any kind that are in that form, biases too, under their plain names; prunable
        ones that are not are all kept.

        Raises:
            UsageError: no parameter is in that form, or a mask is not of zeros and ones.

        >>> from torch.nn.utils import prune
        >>> layer = prune.random_unstructured(nn.Linear(4, 2), "weight", amount=3)
        >>> mask = PruningMask.from_torch_prune(layer)
        >>> list(mask), mask.num_kept
        (['weight'], 5)
        """
        return cls.from_tensors(masks_of_pruned(model))

    def to_torch_prune(self, model: nn.Module) -> nn.Module:
        """Put `model` into the form of torch.nn.utils.prune, in place; returns the model.

        Its weights stay as they are, in `weight_orig`; the mask goes to `weight_mask`, and what is
        computed with, `weight`, is zero where pruned.

        Raises:
            UsageError: the mask does not fit, or a parameter is in that form already; the model is
                then as it was.

        >>> mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False]])})
        >>> list(mask.to_torch_prune(nn.Linear(2, 1, bias=False)).state_dict())
        ['weight_orig', 'weight_mask']
        """
        to_pruned_(model, self)
        return model

    @classmethod
    def from_state_dict(
        cls, state_dict: Mapping[str, torch.Tensor], names: Iterable[str] | None = None
    ) -> "PruningMask":
        """The mask that a pruned model's zeros show: kept where a weight is not zero.

        Args:
            state_dict: parameter name → tensor. Where a `*_mask` of the form of
                torch.nn.utils.prune is there too, it decides, not the zeros.
            names: which parameters to read; None for those that come with a `*_mask`, and for
                weights by name (`weight`, `in_proj_weight`, `weight_ih_l0`) that have two or more
                dimensions. A state_dict does not tell an embedding from a linear layer: name the
                parameters if there is one.

        Raises:
            UsageError: no such parameter, or none found.

        >>> PruningMask.from_state_dict({"fc.weight": torch.tensor([[0.5, 0.0]])}).num_kept
        1
        """
        return cls.from_tensors(masks_of_state(state_dict, names))

    @classmethod
    def from_bytes(cls, data: bytes, source: object = "mask") -> "PruningMask":
        """Read the bytes of a mask file; `source` is what an error calls them."""
        return cls.from_tensors(unpacked_masks(data, source))

    def to_bytes(self) -> bytes:
        """The bytes of a mask file: packed bits in safetensors."""
        return packed_bytes(self)

    def told_by(self, other: "PruningMask") -> "PruningMask":
        """This mask, with what another one of the model tells: `left_out`, `named`, `whole`."""
        made = PruningMask.from_tensors(self, other.left_out)
        made.named, made.whole = dict(other.named), dict(other.whole)
        return made

    def __getitem__(self, name: str) -> torch.Tensor:
        if name in self.whole and name not in self._masks:
            device = next((kept.device for kept in self._masks.values()), None)
            return torch.ones(self.whole[name], dtype=torch.bool, device=device)
        return self._masks[name]

    def __contains__(self, name: object) -> bool:
        return name in self._masks

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PruningMask):
            return NotImplemented
        return set(self) == set(other) and all(
            mask.shape == other[name].shape and bool((mask == other[name].to(mask.device)).all())
            for name, mask in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content, so not a key

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        return (
            f"PruningMask({self.num_kept:,} of {self.num_prunable:,} weights kept, "
            f"density {self.density:.4g}, {len(self)} layers{self._said_of_left_out()})"
        )

    def _said_of_left_out(self) -> str:
        """The largest, unless there is nothing but biases and norms."""
        told = {n: why for n, why in self.left_out.items() if why not in QUIET_REASONS}
        if not told:
            return ""
        largest = next(iter(told))
        more = f" and {len(told) - 1} more" if len(told) > 1 else ""
        return f"; left out: {largest} ({told[largest]}){more}"

    @property
    def num_prunable(self) -> int:
        """All weights the mask speaks of, kept or not."""
        return sum(mask.numel() for mask in self.values())

    @property
    def num_kept(self) -> int:
        """Weights kept."""
        # sum() would hold eight bytes for each weight
        return sum(int(mask.count_nonzero()) for mask in self.values())

    @property
    def density(self) -> float:
        """Kept / prunable weights, in [0, 1]."""
        return self.num_kept / self.num_prunable if self.num_prunable else 1.0

    @property
    def sparsity(self) -> float:
        """1 − density: the pruned fraction of *all* prunable weights."""
        return 1.0 - self.density

    @property
    def layer_sparsities(self) -> dict[str, float]:
        """The pruned fraction of each layer."""
        return {name: 1.0 - int(m.sum()) / max(m.numel(), 1) for name, m in self.items()}

    def is_nested_in(self, other: "PruningMask") -> bool:
        """Whether every weight kept here is kept in `other` too.

        Layers that this mask does not speak of are whole, and must be so in `other`.
        """
        others = {name: mask for name, mask in other.items() if name not in self}
        return (
            set(self) <= set(other)
            and all(bool(mask.all()) for mask in others.values())
            and all(
                mask.shape == other[name].shape
                and not bool((mask & ~other[name].to(mask.device)).any())
                for name, mask in self.items()
            )
        )

    @torch.no_grad()
    def apply(self, model: nn.Module) -> nn.Module:
        """Set the pruned weights of `model` to exactly 0.0, in place; returns the model."""
        parameters = find_parameters(model, self)
        self._check_fits({name: tuple(p.shape) for name, p in parameters.items()}, "model")
        for name, parameter in parameters.items():
            parameter.masked_fill_(~self[name].to(parameter.device), 0.0)
        return model

    @known_keywords("attach")
    def attach(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        rewind_step: int | None = None,
        start_step: int = 0,
        policy: "MaskPolicy | None" = None,
        seed: int = 0,
        freeze_to: Mapping[str, torch.Tensor] | nn.Module | bool | None = None,
    ) -> "Attachment":
        """Hold this mask in any training loop, from now until `detach()` or the end of a `with`.

        Pruned weights and their optimiser state are set to zero now and stay exactly zero:
        gradients are masked as they are made, so that clipping and logging see the truth. The mask
        is of names: parameters that are replaced are held too, see `Attachment`.

        Args:
            model: the model; wrapped by `torch.compile` or DDP it works too.
            optimizer: over its parameters; with it, optimiser steps are counted. Wrapped by
                accelerate or Lightning it works too.
            rewind_step: keep θ_k, all weights and optimiser state after step k, for rewinding.
            start_step: optimiser steps already done, where a training continues.
            policy: what changes the mask between steps; `attached.mask` is the one in force.
            seed: of what the policy draws.
            freeze_to: hold pruned weights not at zero but at a reference, to the bit, and train the
                others: sparse fine-tuning. A state_dict or a model; True for what they are now.

        Returns:
            The attachment, with `num_steps`, `rewind_point` and `detach()`.

        Raises:
            UsageError: mask, model and optimiser do not belong together, or cannot be masked
                (DeepSpeed, FSDP): nothing has changed then. At the first step that moves
                anything, an optimiser that moves weights whose gradient and state are zero (later,
                if it does so now and then); at any, parameters that are gone
                or have another shape, or an optimiser that still has old ones.

        >>> model = nn.Linear(2, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        >>> mask = PruningMask.from_tensors({"weight": torch.tensor([[True, False]])})
        >>> with mask.attach(model, optimizer) as attached:
        ...     model(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> model.weight[0, 1].item(), attached.num_steps
        (0.0, 1)

        Pre-trained weights stay where the mask prunes, and what is learnt is as sparse as it:

        >>> before = model.weight.detach().clone()
        >>> optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
        >>> with mask.attach(model, optimizer, freeze_to=True):
        ...     model(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> (model.weight == before).tolist()
        [[False, True]]

        Source of `freeze_to`: sparse fine-tuning under a fixed mask, Ansell et al. 2022 and Sung et
        al. 2021 (FISH mask), where the mask is known before; not diff pruning (Guo et al. 2021),
        which learns it. Decay pulls kept weights to zero, as the optimiser does it, not to the
        reference.
        """
        if rewind_step and optimizer is None:
            raise UsageError("attach: rewind_step counts the steps of an optimizer; pass it too")
        if policy is not None and optimizer is None:
            raise UsageError("attach: a policy is asked between steps of an optimizer; pass it too")
        from lottery_ticket.masks.attachment import Attachment  # which holds masks

        return Attachment(
            self,
            model,
            optimizer,
            rewind_step=rewind_step,
            start_step=start_step,
            policy=policy,
            seed=seed,
            freeze_to=freeze_to,
            siblings=self._attachments,
        )

    def detach(self) -> None:
        """End everything `attach` began; pruned weights stay zero until something trains them.

        Raises:
            UsageError: as `Attachment.detach`.
        """
        while self._attachments:
            self._attachments[-1].detach()

    def to(self, device: torch.device | str) -> "PruningMask":
        """The same mask on `device`."""
        moved = {name: mask.to(device) for name, mask in self.items()}
        return PruningMask.from_tensors(moved).told_by(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mask: packed bits in safetensors, or plain bool tensors for .pt and .pth.

        The file is written aside and moved into place, so that it is never half a mask.
        """
        target = Path(path)
        try:
            write_file(target, _plain_bytes(self) if _is_plain(target) else self.to_bytes())
        except OSError as error:
            raise DataError(f"{target}: cannot write the mask ({error.strerror})") from error

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, base_model: str | None = None
    ) -> None:
        """Write the mask into a folder, beside a model that `model.save_pretrained` put there.

        `AutoModel.from_pretrained` reads the folder as before. A section of its `README.md`, the
        model's card, says how much is kept, where, and how to load the mask; what others wrote
        into the card stays.

        Args:
            save_directory: the folder, `pruning_mask.safetensors` in it is replaced.
            base_model: what the model was made from, for the card: `"bert-base-uncased"`.

        Raises:
            UsageError: the model in the folder has weights where the mask prunes.
            DataError: the folder cannot be written, or its card cannot be read.
        """
        saved(mask_beside(self), save_directory, base_model=base_model, repository=None)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> "PruningMask":
        """Read the mask from a folder, or from a repository of the Hugging Face Hub.

        Args:
            pretrained_model_name_or_path: a folder that `save_pretrained` wrote, or a checkpoint of
                a Trainer under `PruningCallback`, or the id of a repository, `"owner/name"`; that
                needs the extra `hub`.
            revision, token, cache_dir, local_files_only: as in `huggingface_hub`.

        Raises:
            UsageError: no such folder or repository, or no such file in it.
            LotteryError: the Hub cannot be reached.
            DataError: the file is damaged.
        """
        path = fetched(
            pretrained_model_name_or_path, MASK_FILE, revision=revision, token=token,
            cache_dir=cache_dir, local_files_only=local_files_only,
        )  # fmt: skip
        return cls.from_file(path)

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
        """Put the mask into a repository of the Hugging Face Hub, beside its model.

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
            mask_beside(self), repo_id, base_model=base_model, token=token, private=private,
            revision=revision, commit_message=commit_message, create_pr=create_pr,
        )  # fmt: skip

    def load(self, path: str | os.PathLike[str]) -> "PruningMask":
        """Take over a mask file, in place; names and shapes must be this mask's.

        Args:
            path: a file that `from_file` reads.

        Returns:
            This mask.

        Raises:
            DataError: the file is missing, damaged, holds something else, or would run code.
            UsageError: the file's mask is for another model.
        """
        read = PruningMask.from_tensors(_read(Path(path), known=self))
        read._check_fits({name: tuple(mask.shape) for name, mask in self.items()}, "mask", path)
        if missing := [name for name in self if name not in read]:
            raise UsageError(f"{path}: no mask for {missing[0]!r}; it is for another model")
        self._masks = {name: read[name].to(mask.device) for name, mask in self.items()}
        return self

    def _check_fits(
        self, shapes: dict[str, tuple[int, ...]], what: str, source: object = "mask"
    ) -> None:
        for name, mask in self.items():
            if name not in shapes:
                raise UsageError(f"{source}: the {what} has no parameter {name!r}")
            check_shape(f"{source}: {name!r}", mask.shape, shapes[name], f"the {what}")


def _plain_bytes(masks: Mapping[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()  # given a path, torch.save would write its name into the file
    torch.save({name: mask.cpu() for name, mask in masks.items()}, buffer)
    return buffer.getvalue()


def _read(path: Path, known: Iterable[str] = ()) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise DataError(f"{path}: no such mask file; write one with PruningMask.save")
    if _is_plain(path):
        return plain_masks(read_saved(path), path, known)
    return unpacked_masks(path.read_bytes(), path)


def _is_plain(path: Path) -> bool:
    return path.suffix in (".pt", ".pth")
