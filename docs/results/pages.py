"""What the scripts of this folder share: a page is written, or with --check compared."""

import sys
from pathlib import Path

__all__ = ["is_written"]


def is_written(page: Path, text: str, script: str) -> bool:
    """Write `text` to the page; with `--check` only exit 1 if the page says anything else."""
    if "--check" not in sys.argv:
        page.write_text(text, encoding="utf-8")
        return True
    if page.read_text(encoding="utf-8") != text:
        raise SystemExit(f"{page.name} is not what docs/results says: run {script} --render")
    return False
