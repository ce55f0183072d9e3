"""A spec in a file: a net that trains for as long as is said."""

from pathlib import Path


def write(folder: Path, duration: str = "1ep") -> Path:
    path = folder / "small.yaml"
    batch_size = 256 if duration == "1ep" else 1
    path.write_text(
        "name: small\ndata: {name: digits}\nmodel: {name: MLP, hidden: [16]}\n"
        f"train: {{lr: 0.01, batch_size: {batch_size}, duration: {duration}}}\n"
        "prune: {rate: 0.5, levels: 1}\n"
    )
    return path
