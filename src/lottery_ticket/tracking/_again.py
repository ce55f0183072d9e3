"""How to send later what a tracker lacks."""

import shlex
from pathlib import Path

from lottery_ticket.store import Store, default_store_path
from lottery_ticket.tracking._tracker import Named

__all__ = ["again"]


def again(named: Named, run_id: str, store: Store) -> str:
    """The command, or the call, that sends to a tracker what it lacks of a run.

    Args:
        named: the tracker, as it was asked for.
        run_id, store: which run, and where it is.
    """
    default = default_store_path()
    is_default = store.location in (default, str(Path(default).absolute()))
    if not named.given:  # an object: only the one who made it can name it
        place = "" if is_default else f", store={store.location!r}"
        return f"lottery_ticket.load_run({run_id!r}{place}).track(…)"
    place = "" if is_default else f" --store {shlex.quote(store.location)}"
    return f"lottery track {run_id} --to {shlex.quote(named.given)}{place}"
