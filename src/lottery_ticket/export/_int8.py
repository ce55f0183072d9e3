"""The formats `int8` and `int8-dynamic`: quantised after training by ONNX Runtime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.export._onnx import onnx_model
from lottery_ticket.export._others import quiet
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.names import find_parameters

__all__ = ["write_int8", "write_int8_dynamic"]

# A value beyond the ranges that were seen is cut off, so that many examples are looked at: fewer of
# large ones, at least the first number, at most the second, and about so many values in all.
_FEWEST, _MOST, _VALUES = 512, 8192, 2**25
_TOGETHER = 64

# Symmetric, so that the zero of a pruned weight is the integer 0 and stays exactly zero. Seven bits
# of eight: processors without VNNI saturate sums of more, and the file is for any.
_WEIGHTS: dict[str, Any] = {"per_channel": True, "reduce_range": True}

# Of what is zero throughout, rows of weights or activations, the quantiser would take the scale 1;
# biases are counted in the product of both scales, and would be rounded away. From a range that is
# less than any real one it raises the scale of the weights until the biases just fit into 32 bits.
_SMALLEST = 1e-20


def write_int8(pruned: PrunedModel, path: Path, *, opset: int | None = None) -> None:
    """Static: weights and activations in int8, with ranges seen on training examples."""
    if pruned.calibration is None:
        raise UsageError(
            "format int8: it wants training examples to see the ranges of activations on; give "
            "PrunedModel.of(…, calibration=x), or use int8-dynamic"
        )
    _check_weights(pruned)
    with quiet():
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        reader = _reader(pruned.calibration)
        quantize_static(
            onnx_model(pruned, opset),
            path,
            reader,
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={"WeightSymmetric": True, "MinimumRealRange": _SMALLEST},
            **_WEIGHTS,
        )


def write_int8_dynamic(pruned: PrunedModel, path: Path, *, opset: int | None = None) -> None:
    """Dynamic: weights in int8, the ranges of activations found anew for each batch."""
    _check_weights(pruned)
    with quiet():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(
            onnx_model(pruned, opset),
            path,
            weight_type=QuantType.QInt8,
            extra_options={"WeightSymmetric": True},
            **_WEIGHTS,
        )


def _check_weights(pruned: PrunedModel) -> None:
    """The quantiser leaves weights of other dtypes as they are, or fails."""
    for name, weight in find_parameters(pruned.model, pruned.mask).items():
        if weight.dtype != torch.float32:
            raise UsageError(f"int8: {name} is {weight.dtype}, wanted float32; model.float()")


def _reader(examples: torch.Tensor) -> Any:
    """Examples spread over the training set, in batches."""
    from onnxruntime.quantization import CalibrationDataReader

    count = min(_MOST, max(_FEWEST, _VALUES // examples[0].numel()))
    chosen = examples[:: max(1, len(examples) // count)][:count]

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[torch.Tensor] = iter(chosen.split(_TOGETHER))

        def get_next(self) -> Any:
            batch = next(self.batches, None)
            return None if batch is None else {"input": batch.numpy()}

    return Reader()
