"""The masks of a chain, a bit per weight: memory stays flat over many levels, on a GPU too."""

from collections.abc import Iterable, Sequence
from typing import overload

from lottery_ticket.masks import PruningMask

__all__ = ["PackedMasks"]


class PackedMasks(Sequence[PruningMask]):
    """A list of masks that holds their packed bytes; what comes out is made anew, on the CPU.

    What the first mask leaves out, and why, all of them tell.
    """

    def __init__(self, masks: Iterable[PruningMask] = ()) -> None:
        masks = list(masks)
        self._told = PruningMask.from_tensors({})
        if masks:
            self._told = self._told.told_by(masks[0])
        self._packed = [mask.to_bytes() for mask in masks]

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> PruningMask: ...
    @overload
    def __getitem__(self, index: slice) -> list[PruningMask]: ...
    def __getitem__(self, index: int | slice) -> PruningMask | list[PruningMask]:
        if isinstance(index, slice):
            return [self._unpacked(data) for data in self._packed[index]]
        return self._unpacked(self._packed[index])

    def __setitem__(self, index: int, mask: PruningMask) -> None:
        self._packed[index] = mask.to_bytes()

    def append(self, mask: PruningMask) -> None:
        """Add the mask of the next level."""
        self._packed.append(mask.to_bytes())

    def to_bytes(self, index: int) -> bytes:
        """The bytes of one mask's file."""
        return self._packed[index]

    def _unpacked(self, data: bytes) -> PruningMask:
        return PruningMask.from_bytes(data).told_by(self._told)
