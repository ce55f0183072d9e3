"""What finished cells of a store hold."""

import functools

import torch

from lottery_ticket.errors import StoreError
from lottery_ticket.experiment.cells.cell import WEIGHTS, Cell
from lottery_ticket.experiment.cells.making import Parents, mask_of, tensors_of
from lottery_ticket.masks import PruningMask
from lottery_ticket.store import Store

__all__ = ["parents_of", "read_mask", "read_weights"]


def parents_of(cell: Cell, store: Store) -> Parents:
    """What a cell is made from."""
    return Parents(cell.parents, functools.partial(_read, store))


def read_mask(store: Store, name: str) -> PruningMask:
    """The mask of a finished cell; raises `StoreError` if it is gone."""
    return mask_of(functools.partial(_read, store), name)


def read_weights(store: Store, name: str, file: str = WEIGHTS) -> dict[str, torch.Tensor]:
    """The tensors in a file of a finished cell; raises `StoreError` if it is gone, or damaged."""
    return tensors_of(functools.partial(_read, store), name, file)


def _read(store: Store, name: str, file: str) -> bytes:
    record = store.get(name)
    if record is None:
        raise StoreError(
            f"{store.location}: cell {name} was removed meanwhile; run again to remake it"
        )
    return store.read(record, file)
