"""The rule by which a staged run is looked at: stated before its first training, it stays."""

from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment.planning.plan import Plan
from lottery_ticket.spec import canonical
from lottery_ticket.store import RunRecord, Store

__all__ = ["check_rule", "is_beyond"]


def check_rule(plan: Plan, store: Store, before: RunRecord | None) -> None:
    """See that a staged run may be looked at as its plan says.

    Args:
        plan: of the run.
        store: where it will be.
        before: the run's record, if it was started before.

    Raises:
        UsageError: its rule or its margin are others than they were; or its trainings are there
            from a run of another rule, whose verdict was a look of its own.
    """
    if plan.spec.until_decided is None:
        return
    seen = _seen(plan, store)
    if before is not None and seen:
        _check_same(plan, before)
    elif not store.has_run(plan.id) and len(seen) > 1:
        raise UsageError(
            f"until_decided: {len(seen)} replicates of this experiment have results already, "
            "without a rule that says when they are looked at: a verdict of theirs may be why "
            "there are to be more, and it spent the 5 % that all looks share. Take fresh ones "
            f"(--set seed={plan.spec.seed + 1}), or leave it out"
        )


def is_beyond(plan: Plan, before: RunRecord | None) -> bool:
    """Whether a staged run has come further than its plan: somebody else goes on with it."""
    if plan.spec.until_decided is None or before is None:
        return False
    return before.spec.get("replicates", 1) > plan.spec.replicates


def _seen(plan: Plan, store: Store) -> set[int]:
    """The replicates of which something is known that a verdict is made of."""
    judged = {
        row.cell: row.replicate for row in plan.rows if row.level and row.arm in (TICKET, REINIT)
    }
    return {judged[name] for name in judged.keys() & store.cell_names()}


def _check_same(plan: Plan, before: RunRecord) -> None:
    stated = {"until_decided": before.spec.get("until_decided"), "margin": before.margin}
    asked = {"until_decided": canonical(plan.spec.until_decided), "margin": plan.spec.margin}
    for name, was in stated.items():
        if asked[name] != was:
            raise UsageError(
                f"{name}: got {asked[name]}, and {plan.id} is looked at by {was} since before its "
                "first training; what was seen since may be why it is to be changed. Leave it as "
                f"it is, or take fresh replicates (--set seed={plan.spec.seed + 1})"
            )
