"""The table of formats."""

from dataclasses import replace
from functools import partial

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.export._format import Format
from lottery_ticket.export._int8 import write_int8, write_int8_dynamic
from lottery_ticket.export._onnx import load_onnx, write_onnx
from lottery_ticket.export._program import load_pt2, write_pt2
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.export._seed import fits_seed, run_seed, write_seed
from lottery_ticket.export._smaller import (
    checked_two_four,
    compact_facts,
    compacted,
    is_two_four,
    run_sparse,
    sparse_facts,
    sparse_weights,
    two_four_facts,
    write_sparse,
)
from lottery_ticket.export._state_dict import (
    load_packed,
    load_state_dict,
    load_ticket,
    write_packed,
    write_state_dict,
    write_ticket,
)
from lottery_ticket.registry import Registry

__all__ = ["FORMATS", "format_named"]

_STATE_DICT = """\
from safetensors.torch import load_file

model.load_state_dict(load_file("FILE"))  # a model of this architecture
outputs = model.eval()(x)"""

_TICKET = """\
from lottery_ticket import Ticket

ticket = Ticket.load("FILE")
model = ticket.build(trained=True).eval()  # or ticket.apply(your_model, trained=True)
outputs = model(x)"""

_PACKED = """\
import json, torch
from safetensors import safe_open

with safe_open("FILE", "pt") as file:
    state = {name: file.get_tensor(name) for name in file.keys()}
    shapes = json.loads(file.metadata()["packed"])
for name, shape in shapes.items():
    gaps, kept = state.pop(name + ".gaps"), state.pop(name + ".kept")
    state[name] = torch.zeros(shape, dtype=kept.dtype)
    state[name].view(-1)[gaps.long().cumsum(0)[gaps < 255]] = kept
model.load_state_dict(state)  # a model of this architecture
outputs = model.eval()(x)"""

_PT2 = """\
import torch

model = torch.export.load("FILE").module()
outputs = model(x)"""

_ONNX = """\
import onnxruntime

session = onnxruntime.InferenceSession("FILE")
(outputs,) = session.run(None, {"input": x})  # x: a NumPy array, any batch size"""

_INT8 = 0.1  # of seven bits in weights and eight in activations, layer after layer
_ROUNDING = 1e-6  # of float32, in sums of values around 1

_SPARSE = """\
from lottery_ticket.export import load_sparse

model = load_sparse("FILE").model  # on the CPU, without gradients
outputs = model(x)"""

_TWO_FOUR = """\
import torch
from safetensors.torch import load_file

model.load_state_dict(load_file("FILE"))  # a model of this architecture
model.eval()
if torch.cuda.is_available():  # the sparse units of a GPU, from compute capability 8.0
    model.half().cuda()
    for name in LAYERS:  # the card says which
        layer = model.get_submodule(name)
        compressed = torch.sparse.to_sparse_semi_structured(layer.weight.detach())
        layer.weight = torch.nn.Parameter(compressed, requires_grad=False)
    x = x.half().cuda()
outputs = model(x)"""

_SEED = """\
from lottery_ticket.export import load_seed

model = load_seed("FILE")  # draws its weights, and prunes them
outputs = model(x)"""

_OPSET = frozenset({"opset"})


def _has_calibration(pruned: PrunedModel) -> bool:
    return pruned.calibration is not None


_PLAIN = {
    "state_dict": Format(
        "all weights in safetensors, exact zeros where pruned", "model.safetensors", 0.0,
        write_state_dict, load_state_dict, _STATE_DICT,
    ),
    "packed": Format(
        "the kept trained weights and where they are, in safetensors", "model.packed.safetensors",
        0.0, write_packed, load_packed, _PACKED,
    ),
    "ticket": Format(
        "the ticket: mask, initial weights or their seed, trained weights",
        "model.ticket.safetensors", 0.0, write_ticket, load_ticket, _TICKET,
        fits=lambda pruned: pruned.ticket is not None,
    ),
    "seed": Format(
        "the seed that draws the weights, and the mask; of nets whose weights never moved",
        "model.seed.safetensors", 0.0, write_seed, run_seed, _SEED, fits=fits_seed,
    ),
    "pt2": Format(
        "a program of torch.export, for any batch size", "model.pt2", 1e-5,
        write_pt2, load_pt2, _PT2, rounding=_ROUNDING,
    ),
    "onnx": Format(
        "ONNX in float32, for any batch size", "model.onnx", 1e-4, write_onnx, load_onnx, _ONNX,
        "onnx", _OPSET, rounding=_ROUNDING,
    ),
    "int8": Format(
        "ONNX in int8, ranges seen on training examples (static)", "model.int8.onnx", _INT8,
        write_int8, load_onnx, _ONNX, "onnx", _OPSET, fits=_has_calibration,
    ),
    "int8-dynamic": Format(
        "ONNX with weights in int8, ranges found while it runs", "model.int8-dynamic.onnx", _INT8,
        write_int8_dynamic, load_onnx, _ONNX, "onnx", _OPSET,
    ),
}  # fmt: skip


def _compact(name: str, about: str, file_name: str) -> Format:
    """A format of the model without what does nothing, whose sums are made in another order."""
    row = _PLAIN[name]
    # ONNX Runtime multiplies with zeros faster than it picks the inputs that are read
    prepare = partial(compacted, gather_inputs=row.extra != "onnx")
    return replace(
        row, about=about, file_name=file_name, tolerance=max(row.tolerance, 1e-4),
        prepare=prepare, facts=compact_facts,
    )  # fmt: skip


FORMATS: Registry[Format] = Registry("format")
"""Format by name: what `lottery export --format` takes."""

for _name, _row in {
    **_PLAIN,
    "compact": _compact(
        "pt2", "a program of torch.export without dead units, channels and inputs",
        "model.compact.pt2",
    ),
    "compact-onnx": _compact(
        "onnx", "ONNX in float32 without dead units and channels",
        "model.compact.onnx",
    ),
    "compact-int8": _compact(
        "int8", "ONNX in int8 (static) without dead units and channels",
        "model.compact-int8.onnx",
    ),
    "sparse": Format(
        "linear layers on kept weights alone where that was measured to be faster",
        "model.sparse.safetensors", 1e-4, write_sparse, run_sparse, _SPARSE,
        options=frozenset({"batch_size"}), prepare=partial(compacted, gather_inputs=True),
        facts=sparse_facts, skips=sparse_weights, rounding=_ROUNDING,
    ),
    "2:4": Format(
        "all weights in safetensors, 2 of 4 zero in every pruned layer",
        "model.2-4.safetensors", 0.0, write_state_dict, load_state_dict, _TWO_FOUR,
        prepare=checked_two_four, facts=two_four_facts, fits=is_two_four,
    ),
}.items():  # fmt: skip
    FORMATS.add(_name, _row)


def format_named(name: str) -> Format:
    """A format; raises `UsageError` with the nearest name for one that does not exist."""
    if not isinstance(name, str):
        raise UsageError(f"format: got {name!r}, wanted a name; valid: {', '.join(FORMATS)}")
    if name not in FORMATS:
        raise UsageError(f"format: unknown format {name!r}{nearest(name, FORMATS)}")
    return FORMATS[name]
