"""Cells in a real kernel, which listens on 127.0.0.1."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[2]


def notebook_of(cells: Sequence[str]) -> nbformat.NotebookNode:
    """A notebook of code cells."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])


def client_of(notebook: nbformat.NotebookNode, folder: Path, **options: Any) -> NotebookClient:
    """A client that starts a kernel of this interpreter in a folder."""
    return NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--HistoryManager.enabled=False"],
        **options,
    )


def executed(
    cells: Sequence[str] | nbformat.NotebookNode,
    folder: Path,
    env: Mapping[str, str] | None = None,
    **options: Any,
) -> nbformat.NotebookNode:
    """A notebook with its outputs; a cell that fails raises `CellExecutionError`."""
    notebook = cells if isinstance(cells, nbformat.NotebookNode) else notebook_of(cells)
    known = {"OMP_NUM_THREADS": "1", **os.environ, **(env or {})}
    client_of(notebook, folder, **options).execute(env=known)
    return notebook


def interrupted(
    cells: Sequence[str], folder: Path, until: Callable[[str], bool]
) -> nbformat.NotebookNode:
    """The same, and the first cell is interrupted once it shows something, as by the button."""
    notebook = notebook_of(cells)
    client = client_of(notebook, folder, allow_errors=True)

    async def run() -> None:
        async with client.async_setup_kernel():
            for number, cell in enumerate(notebook.cells):
                running = asyncio.ensure_future(client.async_execute_cell(cell, number))
                if number == 0:
                    while not running.done() and not until(str(cell.outputs)):
                        await asyncio.sleep(0.05)
                    assert client.km is not None
                    await client.km.interrupt_kernel()
                with suppress(CellExecutionError):
                    await running

    asyncio.run(run())
    return notebook


def outputs(notebook: nbformat.NotebookNode, cell: int) -> list[dict[str, Any]]:
    """What a cell shows: mime type → content of each display."""
    return [dict(output.get("data", {})) for output in notebook.cells[cell].outputs]
