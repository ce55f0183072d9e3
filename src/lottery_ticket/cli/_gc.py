"""`lottery gc`."""

from lottery_ticket.cli._options import DryRun, StorePath, open_store
from lottery_ticket.cli._print import console, size_text

__all__ = ["gc"]


def gc(dry_run: DryRun = False, store: StorePath = None) -> None:
    """Remove cells and leftovers that belong to no run; says how much that frees."""
    freed = open_store(store).collect_garbage(dry_run=dry_run)
    verb = "would free" if dry_run else "freed"
    console.print(f"{verb} {size_text(freed.num_bytes)} ({freed.num_cells} cells)")
