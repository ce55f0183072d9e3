"""The model as a program of `torch.export`, and the format `pt2`."""

from pathlib import Path

import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.export._format import Run
from lottery_ticket.export._others import quiet
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.graphs.trace import with_place

__all__ = ["load_pt2", "program_of", "write_pt2"]


def program_of(pruned: PrunedModel) -> torch.export.ExportedProgram:
    """The model for batches of any size; it holds neither an example nor paths of this machine.

    Raises:
        UsageError: the model cannot be followed.
    """
    # nobody's data: an exported program keeps the example that it was made with
    example = torch.zeros_like(pruned.trial(2))
    batch = torch.export.Dim("batch")
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(pruned.model, (example,), dynamic_shapes=({0: batch},))
    except Exception as error:  # a user's own model may raise anything
        raise UsageError(
            "model: torch.export cannot follow it, since its forward depends on the values or on "
            f"the number of its inputs, or calls what cannot be traced ({_reason(error)})"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def write_pt2(pruned: PrunedModel, path: Path) -> None:
    """A program of `torch.export`."""
    with quiet():
        torch.export.save(program_of(pruned), path)


def load_pt2(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    """The program as a module."""
    with quiet():
        return torch.export.load(path).module()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return with_place(first, error)
