"""What the commands that train a run's tickets again have in common."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lottery_ticket.cli._execution import Execution
from lottery_ticket.cli._options import import_code
from lottery_ticket.cli._plan import print_plan
from lottery_ticket.cli._run import run_prepared

if TYPE_CHECKING:
    from lottery_ticket.spec import Spec

__all__ = ["run_tickets"]


def run_tickets(
    run: str,
    derive: "Callable[[Mapping[str, Any]], Spec]",
    how: Execution,
    *,
    plan: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Plan, and run unless only the plan is asked for, the spec that `derive` makes of a run's."""
    from lottery_ticket.api import load_run, prepare_tickets
    from lottery_ticket.experiment import check_registered

    import_code(how.imports)
    result = load_run(run, store=how.store)
    check_registered(result.record)
    prepared = prepare_tickets(
        result, derive(result.record.spec), **how.arguments("store", "claims")
    )
    if plan or json:
        print_plan(prepared, json=json)
    else:
        run_prepared(prepared, quiet=quiet)
