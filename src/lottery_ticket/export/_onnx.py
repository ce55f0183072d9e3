"""The format `onnx`: written by torch's exporter, checked by onnx, run by ONNX Runtime."""

import copy
import re
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.export._format import Run, shared
from lottery_ticket.export._others import quiet
from lottery_ticket.export._program import program_of
from lottery_ticket.export._pruned_model import PrunedModel

__all__ = ["OLDEST_OPSET", "check_opset", "load_onnx", "onnx_model", "write_onnx"]

OLDEST_OPSET = 18
"""What torch's exporter writes by default; it has no operators for older ones."""


def check_opset(opset: int | None) -> int:
    """The opset to write; raises `UsageError` for one that cannot be written."""
    if opset is None:
        return OLDEST_OPSET
    if isinstance(opset, bool) or not isinstance(opset, int):
        raise UsageError(f"opset: got {opset!r}, wanted a whole number")
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        age = "old" if opset < OLDEST_OPSET else "new"
        raise UsageError(
            f"opset: {opset} is too {age}; torch {torch.__version__} and onnx {onnx.__version__} "
            f"write {OLDEST_OPSET} to {newest}, by default {OLDEST_OPSET}"
        )
    return opset


def onnx_model(pruned: PrunedModel, opset: int | None = None) -> Any:
    """The model as an `onnx.ModelProto` with the input `input` and the output `output`.

    Raises:
        UsageError: the model cannot be followed, or ONNX has no operator for part of it.
    """
    # a copy: whoever saves it may move its weights out of it
    return copy.deepcopy(_exported(pruned, version=check_opset(opset)))


@shared
def _exported(pruned: PrunedModel, *, version: int) -> Any:
    program = program_of(pruned)
    try:
        with quiet():
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=version,
                input_names=["input"],
                output_names=["output"],
                verbose=False,
            )
    except Exception as error:
        raise UsageError(
            f"model: it cannot be written as ONNX of opset {version}: {_reason(error)}"
        ) from error
    assert exported is not None
    return _checked(exported.model_proto, version)


def write_onnx(pruned: PrunedModel, path: Path, *, opset: int | None = None) -> None:
    """Weights and graph in one file."""
    path.write_bytes(onnx_model(pruned, opset).SerializeToString())


def load_onnx(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """A session of ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()

    def run(inputs: torch.Tensor) -> torch.Tensor:
        (outputs,) = session.run(None, {given.name: inputs.numpy()})
        return torch.from_numpy(outputs)

    return run


def _checked(model: Any, version: int) -> Any:
    import onnx

    for node in model.graph.node:  # stack traces, with paths of this machine
        del node.metadata_props[:]
    # shapes in between: whoever wants them infers them, and the quantiser stumbles over them
    del model.graph.value_info[:]
    written = {entry.domain: entry.version for entry in model.opset_import}
    if written.get("") != version:
        raise UsageError(
            f"opset: asked for {version}, torch wrote {written.get('')}; leave --opset out, or "
            f"choose {written.get('')}"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise LotteryError(f"onnx.checker refuses what torch wrote: {error}") from error
    return model


def _reason(error: Exception) -> str:
    """What of the exporter's page of text says what is wrong."""
    causes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__
    for text in reversed(causes):
        if found := re.search(r"No ONNX function found for .*?OpOverload\(op='(.*?)'", text):
            return f"ONNX has no operator for {found[1]}"
    first = causes[-1].strip().splitlines() or [""]
    return f"{type(error).__name__}: {first[0]}"
