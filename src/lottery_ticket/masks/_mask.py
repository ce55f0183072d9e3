"""`PruningMask`: parameter name → which of its weights are kept."""

import contextlib
import io
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks._files import packed_bytes, unpacked_masks
from lottery_ticket.masks._prunable import prunable_parameters

__all__ = ["PruningMask"]


class PruningMask(Mapping[str, torch.Tensor]):
    """Which prunable weights of a model are kept: a mapping of name → bool tensor (True = kept).

    Args:
        model: the model to make an all-kept mask for; its tensors are not touched.

    >>> mask = PruningMask(nn.Linear(4, 2))
    >>> mask.density, mask.num_kept, mask["weight"].shape
    (1.0, 8, torch.Size([2, 4]))
    """

    def __init__(self, model: nn.Module) -> None:
        self._masks = {
            name: torch.ones(value.shape, dtype=torch.bool, device=value.device)
            for name, value in prunable_parameters(model).items()
        }

    @classmethod
    def from_tensors(cls, masks: Mapping[str, torch.Tensor]) -> "PruningMask":
        """A mask from bool tensors by parameter name, in model order.

        The tensors are shared, not copied: changing one in place changes the mask. Nothing in this
        library ever does.
        """
        made = cls.__new__(cls)
        made._masks = {}
        for name, tensor in masks.items():
            if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.bool:
                got = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
                raise UsageError(f"mask {name!r} must be a bool tensor, got {got}")
            made._masks[name] = tensor.detach()
        return made

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "PruningMask":
        """Read a mask written by `save`; nothing in the file is executed."""
        return cls.from_tensors(_read(Path(path)))

    @classmethod
    def from_bytes(cls, data: bytes, source: object = "mask") -> "PruningMask":
        """Read the bytes of a mask file; `source` is what an error calls them."""
        return cls.from_tensors(unpacked_masks(data, source))

    def to_bytes(self) -> bytes:
        """The bytes of a mask file: packed bits in safetensors."""
        return packed_bytes(self)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._masks[name]

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

    def __repr__(self) -> str:
        return (
            f"PruningMask({self.num_kept:,} of {self.num_prunable:,} weights kept, "
            f"density {self.density:.4g}, {len(self)} layers)"
        )

    @property
    def num_prunable(self) -> int:
        """All weights the mask speaks of, kept or not."""
        return sum(mask.numel() for mask in self.values())

    @property
    def num_kept(self) -> int:
        """Weights kept."""
        return sum(int(mask.sum()) for mask in self.values())

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
        """Whether every weight kept here is kept in `other` too."""
        return set(self) == set(other) and all(
            mask.shape == other[name].shape
            and not bool((mask & ~other[name].to(mask.device)).any())
            for name, mask in self.items()
        )

    @torch.no_grad()
    def apply(self, model: nn.Module) -> nn.Module:
        """Set the pruned weights of `model` to exactly 0.0, in place; returns the model."""
        self._check_fits({name: tuple(p.shape) for name, p in model.named_parameters()}, "model")
        parameters = dict(model.named_parameters())
        for name, mask in self.items():
            parameters[name].masked_fill_(~mask.to(parameters[name].device), 0.0)
        return model

    def to(self, device: torch.device | str) -> "PruningMask":
        """The same mask on `device`."""
        return PruningMask.from_tensors({name: mask.to(device) for name, mask in self.items()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mask: packed bits in safetensors, or plain bool tensors if `path` ends in .pt.

        The file is written aside and moved into place, so that it is never half a mask.
        """
        target = Path(path)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            aside.write_bytes(_plain_bytes(self) if target.suffix == ".pt" else self.to_bytes())
            aside.replace(target)
        except OSError as error:
            raise DataError(f"{target}: cannot write the mask ({error.strerror})") from error
        finally:
            with contextlib.suppress(OSError):  # the error above says what is wrong
                aside.unlink()

    def load(self, path: str | os.PathLike[str]) -> "PruningMask":
        """Take over a mask written by `save`, in place; names and shapes must be this mask's.

        Returns:
            This mask.

        Raises:
            DataError: the file is missing, damaged, holds something else, or would run code.
            UsageError: the file's mask is for another model.
        """
        read = PruningMask.from_tensors(_read(Path(path)))
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
            if tuple(mask.shape) != shapes[name]:
                raise UsageError(
                    f"{source}: {name!r} has shape {tuple(mask.shape)}, "
                    f"the {what} has {shapes[name]}"
                )


def _plain_bytes(masks: Mapping[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()  # given a path, torch.save would write its name into the file
    torch.save({name: mask.cpu() for name, mask in masks.items()}, buffer)
    return buffer.getvalue()


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise DataError(f"{path}: no such mask file; write one with PruningMask.save")
    if path.suffix == ".pt":
        return _read_plain(path)
    return unpacked_masks(path.read_bytes(), path)


def _read_plain(path: Path) -> dict[str, torch.Tensor]:
    try:
        masks = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(
            f"{path}: refused, since loading it would execute code; a mask file holds plain bool "
            "tensors by parameter name (torch.save of a dict)"
        ) from None
    except Exception as error:  # torch.load says "damaged" with any type, AssertionError too
        raise DataError(f"{path}: not a readable mask file ({error}); save it again") from None
    if not isinstance(masks, dict) or not all(
        isinstance(name, str) and _is_plain_bool(mask) for name, mask in masks.items()
    ):
        raise DataError(f"{path}: a mask file holds plain bool tensors by parameter name")
    return masks


def _is_plain_bool(value: object) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.dtype == torch.bool
        and value.layout == torch.strided
        and value.device.type == "cpu"  # a meta tensor has no values
    )
