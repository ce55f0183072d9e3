"""The notebooks from their sources: `.py` files with cells, which diff and lint as code does.

python notebooks/render.py                 # write notebooks/*.ipynb, without outputs
python notebooks/render.py --check         # exit 1 if one says something else
python notebooks/render.py --execute       # run them too, into notebooks/executed, with seconds
python notebooks/render.py --execute mnist --set QUICK=False

Colab, Kaggle and GitHub open `.ipynb` files alone, so these are kept beside their sources. They
hold no outputs: what a notebook prints is made where it is run.
"""

import argparse
import ast
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat

HERE = Path(__file__).parent
NAMES = ("winning_ticket", "your_own_model", "mnist", "which_weights")
OUT = HERE / "executed"


def notebook_of(name: str) -> nbformat.NotebookNode:
    """The notebook of a source; the same source gives the same bytes."""
    notebook = jupytext.read(HERE / f"{name}.py")
    notebook.metadata = {"kernelspec": dict(notebook.metadata["kernelspec"])}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{name.replace('_', '-')}-{number}"
        cell.metadata = {"tags": tags} if (tags := cell.metadata.get("tags")) else {}
    return notebook


def text_of(notebook: nbformat.NotebookNode) -> str:
    """A notebook as its file says it."""
    return nbformat.writes(notebook, version=4) + "\n"


def with_parameters(
    notebook: nbformat.NotebookNode, values: Mapping[str, Any]
) -> nbformat.NotebookNode:
    """The notebook with other values in the cell that is tagged `parameters`."""
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    known = {node.targets[0].id for node in ast.parse(cell.source).body}  # type: ignore[attr-defined]
    if unknown := sorted(values.keys() - known):
        raise SystemExit(f"{unknown[0]} is no parameter; there are {', '.join(sorted(known))}")
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    cell.source = "\n".join([cell.source, *lines])
    return notebook


def executed(
    notebook: nbformat.NotebookNode, folder: Path, *, timeout: int = 6 * 3600
) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in a folder."""
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", resources=resources)
    return client.execute(env=dict(os.environ))


def render(*, is_check: bool) -> None:
    """Write the notebooks, or say which of them says something else."""
    for name in NAMES:
        path, text = HERE / f"{name}.ipynb", text_of(notebook_of(name))
        if is_check and (not path.is_file() or path.read_text(encoding="utf-8") != text):
            raise SystemExit(f"{path.name} is not what {name}.py says: run `make notebooks`")
        if not is_check:
            path.write_text(text, encoding="utf-8")


def cpu_seconds() -> float:
    """What kernels that have ended took of processors, their workers included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def execute(names: list[str], values: Mapping[str, Any]) -> None:
    """Run notebooks, write them with their outputs, and how many seconds each took."""
    OUT.mkdir(exist_ok=True)
    record = OUT / "seconds.json"
    seconds = json.loads(record.read_text()) if record.is_file() else {}
    for name in names:
        shutil.rmtree(OUT / name, ignore_errors=True)  # what a run before has trained
        (OUT / name).mkdir()
        started, cpu = time.monotonic(), cpu_seconds()
        notebook = executed(with_parameters(notebook_of(name), values), OUT / name)
        taken = (time.monotonic() - started, cpu_seconds() - cpu)
        seconds[name] = dict(
            zip(("seconds", "cpu_seconds"), (round(s, 1) for s in taken), strict=True)
        )
        (OUT / f"{name}.ipynb").write_text(text_of(notebook), encoding="utf-8")
        print(f"{name}: {taken[0]:.1f} s, of processors {taken[1]:.1f} s", flush=True)
        record.write_text(json.dumps(seconds, indent=1) + "\n")


def value_of(text: str) -> Any:
    """A literal of Python, else the text as it stands.

    >>> value_of("False"), value_of("lenet-mnist")
    (False, 'lenet-mnist')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--execute", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - {*NAMES}):
        parser.error(f"unknown notebook {unknown[0]!r}; there are {', '.join(NAMES)}")
    values = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not (name and equals):
            parser.error(f"--set {text}: wanted NAME=VALUE")
        values[name] = value_of(value)
    render(is_check=options.check)
    if options.execute:
        execute(options.names or list(NAMES), values)


if __name__ == "__main__":
    main(sys.argv[1:])
