"""How far a staged run is, and with how many replicates it goes on: until it is decided."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lottery_ticket.analysis import DECIDED, glance
from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Inputs, Plan, RunOutcome, plan, recorded
from lottery_ticket.spec import Spec, canonical, parse_overrides, spec_from_mapping
from lottery_ticket.store import Looks, Store, rows_of

__all__ = ["following_plan", "joined_outcome", "looks_text", "most_of", "stage_plan", "staged_spec"]


def staged_spec(spec: Spec, *, is_asked: bool, overrides: Sequence[str] = ()) -> Spec:
    """A spec that is run until it is decided, where that is asked for, or it says so itself.

    Args:
        spec: the spec; how many replicates it has does not matter then, the looks say it.
        is_asked: whether it is asked for beside the spec.
        overrides: what was changed of the spec by hand.

    Raises:
        UsageError: the number of replicates was changed by hand, or the rule does not fit the spec.
    """
    if is_asked and spec.until_decided is None:
        spec = spec_from_mapping({**dict(spec), "until_decided": True}, spec.name)
    if spec.until_decided is not None and ("replicates",) in parse_overrides(overrides):
        looks = ", ".join(map(str, spec.until_decided.looks))
        raise UsageError(
            "replicates: has no effect on a run that goes on until it is decided: its looks are "
            f"at {looks} replicates, and what all may spend is shared out among them. Leave it out"
        )
    return spec


def stage_plan(spec: Spec, inputs: Inputs, store: Store) -> Plan:
    """The plan up to the next look: the first that is not taken yet, or at which it is decided;
    else the last. Of a spec that is not staged, its plan.

    It depends on the spec and on what is finished alone, so that a run that was killed between its
    last training and its next look goes on alike.

    Raises:
        UsageError: the rule was changed after there was something to see; as `plan`.
    """
    rule = spec.until_decided
    if rule is None:
        return plan(spec, inputs)
    *earlier, last = rule.looks
    for n in earlier:
        made = _with(spec, n, inputs)
        if _is_open(made, store):
            return made
    return _with(spec, last, inputs)


def following_plan(made: Plan, store: Store) -> Plan | None:
    """The plan up to the look after that of a plan all of whose cells are finished; None where the
    run is decided, or has no other look."""
    if made.spec.until_decided is None:
        return None
    following = stage_plan(made.spec, made.inputs, store)
    return following if following.spec.replicates > made.spec.replicates else None


def most_of(made: Plan) -> Plan:
    """The plan of a staged run that is decided at no look."""
    rule = made.spec.until_decided
    return made if rule is None else _with(made.spec, rule.looks[-1], made.inputs)


def looks_text(made: Plan) -> str:
    """Which look a plan leads to, in words; empty where its run is not staged.

    Args:
        made: the plan.
    """
    rule = made.spec.until_decided
    if rule is None:
        return ""
    number = rule.looks.index(made.spec.replicates) + 1
    alpha, spent = rule.alphas[number - 1], sum(rule.alphas[:number])
    return (
        f"look {number} of {len(rule.looks)}, at {made.spec.replicates} replicates, with "
        f"α = {alpha:.4g}; {spent:.4g} of {sum(rule.alphas):.4g} are spent then"
    )


def joined_outcome(one: RunOutcome, other: RunOutcome) -> RunOutcome:
    """How two calls ended of which the other went on where the one had made everything."""
    return replace(
        other,
        num_made=one.num_made + other.num_made,
        num_found=one.num_found,
        seconds=one.seconds + other.seconds,
    )


def _with(spec: Spec, replicates: int, inputs: Inputs) -> Plan:
    return plan(spec.model_copy(update={"replicates": replicates}), inputs)


def _is_open(made: Plan, store: Store) -> bool:
    """Whether a plan is to be run: it is not finished, or what it shows decides the run."""
    assert made.spec.until_decided is not None
    cells = store.cells(row.cell for row in made.rows)
    if any(row.cell not in cells for row in made.rows):
        return True
    record = replace(recorded(made, store, store.earlier_run(made.id)), rows=made.rows)
    rule: Any = canonical(made.spec.until_decided)
    found = glance(
        rows_of(record, cells),
        margin=record.margin,
        claim=record.claim,
        looks=Looks(made.id, tuple(rule["looks"]), tuple(rule["alphas"])),
        num_complete=made.spec.replicates,
    )
    return found.verdict in DECIDED
