"""The card of an export: what it is, where it came from and how to load it; JSON and Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from lottery_ticket.export._formats import FORMATS
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.hub import TAGS, front_matter
from lottery_ticket.tickets import versions

__all__ = ["card_of", "readme_of"]


def card_of(pruned: PrunedModel, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The card as plain JSON values.

    Args:
        pruned: what was exported.
        files: of each file `format`, `file`, `num_bytes`, `max_difference`, `tolerance`, `facts`.
    """
    facts, mask = dict(pruned.facts), pruned.mask
    model = facts.pop("model", {})
    return {
        "format": "lottery_ticket.card/1",
        "title": facts.pop("title", type(pruned.model).__name__),
        "model": {
            "class": type(pruned.model).__name__,
            **model,
            "num_parameters": sum(p.numel() for p in pruned.model.parameters()),
            "input_shape": list(pruned.inputs.shape[1:]),
        },
        "pruning": {
            "num_kept": mask.num_kept,
            "num_prunable": mask.num_prunable,
            "density": mask.density,
            "sparsity": mask.sparsity,
            "layers": [
                {
                    "name": name,
                    "shape": list(kept.shape),
                    "num_kept": int(kept.sum()),
                    "density": float(kept.double().mean()),
                }
                for name, kept in mask.items()
            ],
        },
        **facts,
        "files": [dict(file) for file in files],
        "versions": versions(),
    }


def readme_of(card: Mapping[str, Any]) -> str:
    """The card as a model card for people and for the Hugging Face Hub."""
    parts = [_front_matter(card), f"# {card['title']}", _lead(card)]
    if "verdict" in card:
        parts.append(f"**Verdict:** {card['verdict'] or 'none yet.'}")
    parts += [_metrics(card), _data(card), _files(card), _provenance(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: Mapping[str, Any]) -> str:
    data = card.get("data", {})
    values: dict[str, Any] = {
        "library_name": "lottery_ticket",
        "tags": list(TAGS),
    }
    if "name" in data:
        values["datasets"] = [data["name"]]
    if "accuracy" in card.get("metrics", {}):
        values["metrics"] = ["accuracy"]
    return front_matter(values)


def _lead(card: Mapping[str, Any]) -> str:
    model, pruning = card["model"], card["pruning"]
    name = model.get("name") or model["class"]
    options = ", ".join(f"{key}={value}" for key, value in (model.get("options") or {}).items())
    return (
        f"{name}{f' ({options})' if options else ''}: {pruning['num_kept']:,} of "
        f"{pruning['num_prunable']:,} prunable weights kept, density "
        f"{100 * pruning['density']:.2f} %, sparsity {100 * pruning['sparsity']:.2f} %; "
        f"{model['num_parameters']:,} parameters in all. Input: "
        f"`(N, {', '.join(map(str, model['input_shape']))})`."
    )


def _metrics(card: Mapping[str, Any]) -> str:
    """Of the model itself, and of all replicates."""
    rows = [
        [metric, _number(found.get("this")), _spread(found.get("replicates")),
         _spread(found.get("dense"))]
        for metric, found in card.get("metrics", {}).items()
        if isinstance(found, Mapping) and "this" in found
    ]  # fmt: skip
    if not rows:
        return ""
    head = ["test", "this model", "replicates: mean ± sd (n)", "dense: mean ± sd (n)"]
    return "## Measured\n\n" + _table(head, rows)


def _data(card: Mapping[str, Any]) -> str:
    data = card.get("data")
    if not data:
        return ""
    lines = [f"## Data\n\n{data.get('name', 'unknown')}"]
    norm = data.get("normalisation")
    if norm and {"scale", "mean", "std"} <= set(norm):
        lines.append(
            f"Inputs are float32, (stored / {norm['scale']:g} − mean) / std with mean "
            f"{norm['mean']} and std {norm['std']}."
        )
    elif norm:  # somebody's own words
        lines.append(f"Inputs were normalised: {norm}.")
    lines.append(f"Licence of the data: {data.get('licence') or 'not known'}.")
    return "\n\n".join(lines)


def _files(card: Mapping[str, Any]) -> str:
    rows = [
        [f"`{file['file']}`", FORMATS[file["format"]].about, f"{file['num_bytes']:,}",
         f"{file['max_difference']:.2g}", f"{file['tolerance']:.2g}"]
        for file in card["files"]
    ]  # fmt: skip
    head = ["file", "what", "bytes", "largest difference", "tolerance"]
    parts = [
        "## Files",
        _table(head, rows),
        "Largest difference: of outputs from the masked dense model's in PyTorch, batch 1 and 64.",
    ]
    for file in card["files"]:
        usage = FORMATS[file["format"]].usage.replace("FILE", file["file"])
        usage = usage.replace("LAYERS", repr(file["facts"].get("on_gpu")))
        parts.append(f"```python\n{usage}\n```")
    return "\n\n".join([*parts, *_notes(card["files"])])


def _notes(files: Sequence[Mapping[str, Any]]) -> list[str]:
    """What there is to know of files, each thing once."""
    true_of: dict[str, list[str]] = {}
    for file in files:
        for line in filter(None, file["facts"].get("note", "").split("; ")):
            true_of.setdefault(line, []).append(file["file"])
    said: dict[tuple[str, ...], list[str]] = {}
    for line, names in true_of.items():
        said.setdefault(tuple(names), []).append(line)
    return [f"{_names(names)}: {'; '.join(lines)}." for names, lines in said.items()]


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _provenance(card: Mapping[str, Any]) -> str:
    run = card.get("run", {})
    keys = ("id", "level", "arm", "replicate", "draw", "spec_fingerprint", "cell")
    lines = [f"- {key.replace('_', ' ')}: `{run[key]}`" for key in keys if key in run]
    lines += [f"- {name}: {version}" for name, version in card["versions"].items()]
    return "## Provenance\n\n" + "\n".join(lines) + "\n\nAll of it: `card.json`."


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _spread(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "–"
    spread = "" if found["sd"] is None else f" ± {found['sd']:.4f}"
    return f"{found['mean']:.4f}{spread} ({found['n']})"
