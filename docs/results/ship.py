"""The measured part of docs/ship.md, made from the JSON files in `ship/` beside this one.

lottery bench-export RUN --level 15 --json > docs/results/ship/lenet-3.5.json
python docs/results/ship.py            # write it
python docs/results/ship.py --check    # exit 1 if the page says anything else
"""

import json
import re
from pathlib import Path
from typing import Any

from pages import is_written, markdown_table

HERE = Path(__file__).parent
PAGE = HERE.parent / "ship.md"
START, END = "<!-- measured -->\n", "<!-- /measured -->"
HEADER = ["form", "bytes", "gzip", "non-zeros", "FLOPs", "effective", "memory (MB)",
          "batch 1, p50 (ms)", "p99 (ms)", "batch 64 (/s)", "batch 256 (/s)", "accuracy (%)",
          "difference"]  # fmt: skip


def section(found: dict[str, Any]) -> str:
    """A heading, the table, what it says and where it was measured."""
    about = found["about"]
    versions = about["versions"]
    where = (
        f"{about['machine']}, {about['threads']} thread(s), torch {versions['torch']}, ONNX "
        f"Runtime {versions['onnxruntime']}; {about['seconds_each']:g} s for each form and batch "
        f"size, in turns; dense is {about['dense_is']}."
    )
    notes = "\n".join(f"- {note}" for note in found["notes"])
    table = markdown_table(HEADER, *(_line(row) for row in found["rows"]))
    return f"### {found['title']}\n\n{table}\n\n{notes}\n\n{where}\n"


def _line(row: dict[str, Any]) -> list[str]:
    memory, accuracy = row["peak_memory_bytes"], row["accuracy"]
    return [
        row["form"],
        f"{row['file_bytes']:,}",
        f"{row['gzip_bytes']:,}",
        f"{row['num_nonzero']:,}",
        f"{row['flops']:,}",
        f"{row['effective_flops']:,}",
        "–" if memory is None else f"{memory / 1e6:.1f}",
        f"{row['latency_p50_ms']:.3f}",
        f"{row['latency_p99_ms']:.3f}",
        f"{row['throughput_64']:,.0f}",
        f"{row['throughput_256']:,.0f}",
        "–" if accuracy is None else f"{100 * accuracy:.2f}",
        f"{row['max_difference']:.2g}",
    ]


def rendered(text: str, folder: Path = HERE / "ship") -> str:
    """The page with its measured part made anew."""
    files = sorted(folder.glob("*.json"))
    parts = [section(json.loads(path.read_text(encoding="utf-8"))) for path in files]
    body = "\n".join(parts) or "Not measured yet.\n"
    pattern = re.escape(START) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: f"{START}{body}{END}", text, flags=re.S)


if __name__ == "__main__":
    is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), "ship.py")
