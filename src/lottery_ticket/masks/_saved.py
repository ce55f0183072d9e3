"""Tensors out of a file of `torch.save`, without running anything that is in it, and without taking
more memory than the file says and may say.

A file is a zip archive with a pickle and an entry for each storage; before torch 1.6 it was five
pickles with the storages behind them. The pickle names the storages, and views into them.
"""

import io
import math
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import DataError
from lottery_ticket.inert_pickle import Recorded, RefusedError, read_pickle
from lottery_ticket.tensor_files import check_claim, claimed_shape, made_sense_of

__all__ = ["read_saved"]

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_REMEDY = "; save it again"


class _View(Recorded):
    """Instead of `_rebuild_tensor_v2`: a storage, an offset, sizes and strides."""


class _TypedView(Recorded):
    """Instead of `_rebuild_tensor_v3`, which says the type behind those."""


class _Parameter(Recorded):
    """Instead of `_rebuild_parameter`, around a view."""


class _Other(Recorded):
    """Instead of what makes tensors that no mask is: sparse, quantised, without values."""


class _Names(OrderedDict):
    """Instead of `OrderedDict`, whose own state (versions of modules) is not wanted."""

    def __setstate__(self, state: Any) -> None:
        pass


# a storage's class → what it holds; `UntypedStorage` holds bytes
_STORAGES: dict[str, torch.dtype] = {
    "UntypedStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ShortStorage": torch.int16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.qint8,
    "QUInt8Storage": torch.quint8,
    "QInt32Storage": torch.qint32,
}
_OTHERS = ("sparse_tensor", "sparse_csr_tensor", "qtensor", "meta_tensor_no_storage")
_STAND_INS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Names,
    ("torch._utils", "_rebuild_tensor"): _View,
    ("torch._utils", "_rebuild_tensor_v2"): _View,
    ("torch._utils", "_rebuild_tensor_v3"): _TypedView,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _Parameter,
    **{("torch._utils", f"_rebuild_{kind}"): _Other for kind in _OTHERS},
    ("torch.serialization", "_get_layout"): _Other,
    ("torch", "device"): _Other,
    ("torch", "Size"): tuple,
    # values, which nothing can be called on
    **{("torch", name): kind for name, kind in vars(torch).items() if type(kind) is torch.dtype},
    **{("torch", name): kind for name, kind in _STORAGES.items()},
    ("torch.storage", "UntypedStorage"): torch.uint8,
}


@dataclass(frozen=True)
class _Storage:
    """A storage that the pickle speaks of."""

    key: str
    dtype: torch.dtype
    num_values: int


def read_saved(path: Path) -> Any:
    """A dict of tensors by name, as `torch.load` gives it; something else is given as it is.

    Raises:
        DataError: it is damaged, would run code, or claims more than so small a file may.
    """
    with made_sense_of(path, "mask file", _REMEDY):
        data = path.read_bytes()
        read = _read_archive if zipfile.is_zipfile(io.BytesIO(data)) else _read_old
        try:
            found, storages = read(data)
        except RefusedError as error:
            raise DataError(
                f"{path}: refused, since loading it would execute code ({error.name}); a mask file "
                "holds plain bool tensors by parameter name (torch.save of a dict)"
            ) from None
        if not isinstance(found, dict):
            return found
        places = _places(found)
        _check_sizes(path, places, len(data))
        return {**found, **_tensors(places, storages)}


Found = tuple[Any, Mapping[str, bytes]]


def _read_archive(data: bytes) -> Found:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        # torch stores them as they are; what is packed could unpack to anything
        if sum(info.file_size for info in entries.values()) > len(data):
            raise ValueError("its entries are longer than the file")
        if "byteorder" in entries and archive.read(entries["byteorder"]) != b"little":
            raise ValueError("it was written on a machine of another byte order")
        pickled = io.BytesIO(archive.read(entries["data.pkl"]))
        found = read_pickle(pickled, _STAND_INS, encoding="utf-8", stored=_stored)
        storages = {
            name.removeprefix("data/"): archive.read(info)
            for name, info in entries.items()
            if name.startswith("data/")
        }
    return found, storages


def _read_old(data: bytes) -> Found:
    file = io.BytesIO(data)
    read: Callable[[], Any] = lambda: read_pickle(  # noqa: E731
        file, _STAND_INS, encoding="utf-8", stored=_stored
    )
    if read() != _MAGIC_NUMBER or type(read()) is not int:
        raise ValueError("it begins as no file of torch.save")
    if not read().get("little_endian", True):
        raise ValueError("it was written on a machine of another byte order")
    found, keys = read(), read()
    places = _places(found) if isinstance(found, dict) else {}
    widths = {place.storage.key: place.storage.dtype.itemsize for place in places.values()}
    storages = {}
    for key in keys:
        length = int.from_bytes(file.read(8), "little") * widths[key]
        storages[key] = file.read(length)
    return found, storages


def _stored(pid: Any) -> _Storage:
    kind, dtype, key, _place, num_values, *view = pid
    is_known = kind == "storage" and type(dtype) is torch.dtype and type(num_values) is int
    if not is_known or any(view):
        raise ValueError("it speaks of what is no storage")
    return _Storage(key, dtype, num_values)


@dataclass(frozen=True)
class _Place:
    """Where in its storage a tensor lies."""

    storage: _Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _places(found: Mapping[str, Any]) -> dict[str, _Place]:
    """Those of its values that are plain tensors."""
    return {name: place for name, value in found.items() if (place := _place(value)) is not None}


def _place(value: Any) -> _Place | None:
    inner = value.args[0] if isinstance(value, _Parameter) and value.args else value
    if not isinstance(inner, _View | _TypedView):
        return None
    storage, offset, shape, strides, *more = inner.args
    dtype = more[2] if isinstance(inner, _TypedView) else storage.dtype
    return _Place(storage, dtype, offset, claimed_shape(shape), claimed_shape(strides))


def _check_sizes(path: Path, places: Mapping[str, _Place], num_bytes: int) -> None:
    """A view of one value can claim to be of any size."""
    claimed = sum(math.prod(place.shape) * place.dtype.itemsize for place in places.values())
    check_claim(path, claimed, num_bytes, "save a mask that is no view of a few values")


def _tensors(
    places: Mapping[str, _Place], storages: Mapping[str, bytes]
) -> dict[str, torch.Tensor]:
    """Views into storages, each made once, however many there are into it."""
    made: dict[str, torch.Tensor] = {}
    for key in {place.storage.key for place in places.values()}:
        raw = bytearray(storages[key])
        made[key] = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0).byte()
    for place in places.values():
        length = place.storage.num_values * place.storage.dtype.itemsize
        if len(made[place.storage.key]) != length:
            raise ValueError(f"{length} bytes where {len(made[place.storage.key])} are")
    return {
        name: made[place.storage.key]
        .view(place.dtype)
        .as_strided(place.shape, place.strides, place.offset)
        for name, place in places.items()
    }
