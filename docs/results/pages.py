"""What the scripts of this folder share: a page is written, or with --check compared."""

import sys
from pathlib import Path

__all__ = ["is_written", "markdown_table"]


def is_written(page: Path, text: str, script: str) -> bool:
    """Write `text` to the page; with `--check` only exit 1 if the page says anything else."""
    if "--check" not in sys.argv:
        page.write_text(text, encoding="utf-8")
        return True
    if page.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{page.name} is not what docs/results says: run {script}")
    return False


def markdown_table(header: list[str], *rows: list[str]) -> str:
    """A GitHub table, its numbers to the right."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
