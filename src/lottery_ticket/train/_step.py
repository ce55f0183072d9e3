"""One optimiser step, in the ways it can be executed, and the rule that chooses between them."""

import functools
import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from lottery_ticket.choices import KERNELS
from lottery_ticket.data import Features
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.masks import MaskedParameters
from lottery_ticket.pruning import MaskScores
from lottery_ticket.train._batches import Batch, Batches
from lottery_ticket.train._call import called
from lottery_ticket.train._losses import Loss
from lottery_ticket.train._optimizers import torch_class
from lottery_ticket.train.direct.chain import ChainLayer, chain_of
from lottery_ticket.train.direct.layout import layouts_of

__all__ = ["AutogradStep", "Step", "check_kernels", "step_for"]

_KNOWN_UPDATES = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


class Step(Protocol):
    """A way to execute the steps of one training.

    Attributes:
        description: how, for the execution record.
        gradients: dense ones of the last step, by name, if it was asked to keep them.
    """

    description: Mapping[str, Any]
    gradients: Mapping[str, torch.Tensor] | None

    def __call__(
        self, batch: Batch, lr: float, *, keep_gradients: bool = False
    ) -> torch.Tensor | float:
        """One update at a learning rate; returns the loss before it."""
        ...

    def take_mask_(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Go on with another mask, which the model and its optimiser have already."""
        ...

    def outputs(self, x: torch.Tensor | None = None, **named: torch.Tensor) -> torch.Tensor:
        """What the net as it is now says of examples (B, …), in eval mode; they may be named."""
        ...

    def write_(self) -> None:
        """Bring the model and its optimiser up to date."""
        ...


class AutogradStep:
    """Any model, on any device: forward, backward, mask, clip, update.

    Args:
        model, optimizer: what is trained, in place.
        masked: its pruned parameters; their gradients are masked before anything reads them.
        batches: the data.
        loss: (output, target) → mean loss.
        clip_norm: the largest norm of all gradients together, or None.
        precision: `"bf16"` computes in bfloat16 what autocast does; weights, gradients of weights
            and the optimiser stay in float32.
        is_compiled: whole batches go through `torch.compile`; a last, smaller one does not, as
            another shape would be compiled anew.
        trained: whose gradients are clipped; None for the model's parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        masked: MaskedParameters | None,
        batches: Batches,
        *,
        loss: Loss,
        clip_norm: float | None = None,
        precision: str = "fp32",
        is_compiled: bool = False,
        trained: Iterable[nn.Parameter] | None = None,
    ) -> None:
        self._model, self._optimizer, self._batches = model, optimizer, batches
        self._compiled = torch.compile(model, dynamic=False) if is_compiled else None
        self.gradients: Mapping[str, torch.Tensor] | None = None
        self._masked = masked
        self._loss, self._clip_norm = loss, clip_norm
        self._parameters = [p for p in trained or model.parameters() if p.requires_grad]
        self._autocast = torch.autocast(
            batches.split.device.type, torch.bfloat16, enabled=precision == "bf16"
        )
        # convolutions are quicker over pixels whose channels lie together
        self._is_channels_last = any(p.ndim == 4 for p in model.parameters())
        if self._is_channels_last:
            model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            _lay_out_state_(optimizer)
        self.description: Mapping[str, Any] = {"step": "compiled" if is_compiled else "autograd"}

    def take_mask_(self, mask: Mapping[str, torch.Tensor]) -> None:
        """Mask gradients by another mask from now on."""
        self._masked = MaskedParameters(self._model, mask)

    def __call__(self, batch: Batch, lr: float, *, keep_gradients: bool = False) -> torch.Tensor:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        x, y = self._batches.take(batch)
        is_whole = len(y) == self._batches.batch_size
        model = self._compiled if self._compiled is not None and is_whole else self._model
        with self._autocast:
            value = self._loss(called(model, self._laid_out(x)), y)
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()
        self.gradients = self._dense_gradients() if keep_gradients else None
        if self._masked is not None:
            self._masked.mask_gradients_()
        if self._clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        self._optimizer.step()
        return value.detach()

    def _dense_gradients(self) -> dict[str, torch.Tensor]:
        found = {} if self._masked is None else self._masked.parameters
        return {name: p.grad.clone() for name, p in found.items() if p.grad is not None}

    def outputs(self, x: torch.Tensor | None = None, **named: torch.Tensor) -> torch.Tensor:
        with self._autocast:
            return called(self._model, self._laid_out(named if x is None else x)).float()

    def _laid_out(self, x: Features) -> Features:
        if not isinstance(x, torch.Tensor):
            return x
        is_image = self._is_channels_last and x.ndim == 4
        return x.contiguous(memory_format=torch.channels_last) if is_image else x

    def write_(self) -> None:
        """Nothing to do: the model itself is trained."""


def step_for(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    mask: Mapping[str, torch.Tensor],
    batches: Batches,
    *,
    loss: Loss,
    clip_norm: float | None = None,
    precision: str = "fp32",
    kernels: str = "auto",
    scores: MaskScores | None = None,
) -> Step:
    """The way to execute a training's steps, by a rule that depends on the training alone.

    A chain of linear layers on the CPU in float32, without augmentation, is executed directly, its
    sparse layers in CSR (`SPARSE_BELOW`); everything else by autograd.

    Args:
        precision: `"fp32"`, or `"bf16"` for what autocast computes in bfloat16; layers in CSR
            and small linear layers are executed in float32 all the same.
        kernels: `"auto"` for the rule; `"autograd"`, `"compiled"` (autograd through
            `torch.compile`), `"direct"` (layers by the rule), `"direct-dense"` or
            `"direct-sparse"` (all layers) to force it.
        scores: what is trained in place of the weights, by autograd, whatever `kernels` says.

    Raises:
        UsageError: direct execution was asked for where it is impossible.
    """
    if scores is not None:
        return AutogradStep(
            model, optimizer, None, batches, loss=loss, clip_norm=clip_norm, precision=precision,
            trained=list(scores.parameters()),
        )  # fmt: skip
    split, is_augmented = batches.split, batches.augment is not None
    chain = check_kernels(kernels, model, device=split.device.type, augment=is_augmented, x=split.x)
    if chain is not None and not _has_known_update(optimizer):
        if kernels != "auto":
            raise UsageError(
                f"kernels {kernels!r}: only plain SGD, Adam and AdamW over one group of parameters "
                f"are executed directly, not this {type(optimizer).__name__}; use 'auto'"
            )
        chain = None
    if chain is None:
        masked = MaskedParameters(model, mask) if mask else None
        return AutogradStep(
            model, optimizer, masked, batches, loss=loss, clip_norm=clip_norm, precision=precision,
            is_compiled=kernels == "compiled",
        )  # fmt: skip
    from lottery_ticket.train.direct.step import DirectStep  # imports numba

    sparse = {"direct-dense": False, "direct-sparse": True}.get(kernels)
    return DirectStep(
        chain, model, optimizer, mask, batches,
        loss=loss, clip_norm=clip_norm, precision=precision,
        lay_out=functools.partial(layouts_of, sparse=sparse),
    )  # fmt: skip


def check_kernels(
    kernels: str, model: nn.Module, *, device: str, augment: bool, x: Features | None = None
) -> list[ChainLayer] | None:
    """The layers of a model that will be executed directly; None when autograd executes it.

    Raises:
        UsageError: direct execution was asked for where it is impossible.
    """
    if kernels not in KERNELS:
        raise UsageError(f"kernels: got {kernels!r}{nearest(kernels, KERNELS)}")
    if kernels == "compiled":
        _check_compiler(device)
    if kernels in ("autograd", "compiled"):
        return None
    reads = x.dtype if isinstance(x, torch.Tensor) else None if x is None else torch.int64
    is_float = all(p.dtype == torch.float32 for p in model.parameters())
    is_float = is_float and reads in (None, torch.float32)
    can_be = device.partition(":")[0] == "cpu" and is_float and not augment
    chain = chain_of(model) if can_be else None
    if chain is None and kernels != "auto":
        raise UsageError(
            f"kernels {kernels!r}: only chains of linear layers with ReLU or tanh, on the CPU, in "
            "float32 and without augmentation, are executed directly; use 'auto'"
        )
    return chain


def _check_compiler(device: str) -> None:
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    if device == "cpu" and not any(shutil.which(name) for name in names if name):
        raise UsageError(
            "kernels 'compiled': torch.compile needs a C++ compiler, and neither $CXX nor g++, "
            "clang++ or cl is there; install one, or use 'auto'"
        )


def _lay_out_state_(optimizer: torch.optim.Optimizer) -> None:
    """Let memory lie as its parameter does: fused optimisers walk both as they lie."""
    for parameter, memory in optimizer.state.items():
        for key, value in memory.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                memory[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _has_known_update(optimizer: torch.optim.Optimizer) -> bool:
    (options, *others) = optimizer.param_groups
    is_plain = not any(options.get(name) for name in ("amsgrad", "maximize", "dampening"))
    return torch_class(optimizer) in _KNOWN_UPDATES and is_plain and not others
