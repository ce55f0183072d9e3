"""`until_decided`: a run goes on from look to look, under one id, and its α is spent once."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from staged_specs import LOOKS, spec, winning

from lottery_ticket import load_run, load_runs, run
from lottery_ticket.analysis import ALPHA, verdict
from lottery_ticket.api import prepare
from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.experiment import recorded, run_plan
from lottery_ticket.staging import following_plan, most_of, stage_plan
from lottery_ticket.store import RunRecord, Store, copy_runs, looks_of, plan_copy

QUIET = {"jobs": 1, "progress": False}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A store with a staged run that no look decided, and what its hook was told."""
    store, told = tmp_path_factory.mktemp("staged") / "store", []
    result = run(spec(), store=store, on_level=told.append, **QUIET)
    return store, result, told


def ordinary(replicates: int, **changes: object) -> dict[str, object]:
    """The same experiment with so many replicates, as somebody raises them by hand."""
    return spec(replicates=replicates, until_decided=None, **changes)


# one id, look by look


def test_a_run_goes_on_look_by_look_under_one_id(done):
    store, result, told = done
    opened = Store(store)
    assert opened.run_ids() == [result.id]
    record = opened.read_run(result.id)
    assert record.spec["replicates"] == LOOKS[-1]
    assert record.spec["until_decided"]["looks"] == LOOKS
    assert sum(record.spec["until_decided"]["alphas"]) == pytest.approx(ALPHA)
    assert {row.cell for row in record.rows} <= opened.cell_names()
    assert result.outcome.num_made == len(record.cells())
    assert result.outcome.num_found == 0
    places = [(one.arm, one.level, one.replicate) for one in told]
    assert sorted(places) == sorted({(row.arm, row.level, row.replicate) for row in record.rows})


def test_replicates_are_those_of_a_fixed_number(done):
    """Seeds do not depend on how many there are: what is there is not trained again."""
    store, result, _ = done
    fixed = prepare(ordinary(9), store=store).plan
    staged = prepare(spec(), store=store).plan
    assert set(staged.rows) < set(fixed.rows)
    assert staged.id == result.id != fixed.id


def test_run_again_it_trains_nothing_and_says_the_same(done):
    store, result, _ = done
    for again in (spec(), spec(replicates=17), result.id):
        found = run(again, store=store, **QUIET)
        assert (found.id, found.outcome.num_made) == (result.id, 0)
        assert found.verdict().sentence == result.verdict().sentence
    assert load_run(store=store).record.margin == 1


def test_it_ends_at_the_look_that_decides_it(tmp_path):
    result = run(winning(), store=tmp_path, **QUIET)
    found = result.verdict()
    assert (found.label, found.num_replicates, found.look.number) == ("winning", 5, 1)
    assert result.record.spec["replicates"] == 5
    assert found.alpha == pytest.approx(ALPHA / 3)


def test_the_argument_is_the_key_of_the_spec(tmp_path):
    values = spec()
    del values["until_decided"]
    by_argument = prepare(values, store=tmp_path, until_decided=True).plan
    by_key = prepare({**values, "until_decided": True}, store=tmp_path).plan
    assert by_argument.id == by_key.id
    assert by_argument.spec.until_decided.looks == (5, 10, 20, 30)
    assert by_argument.spec.until_decided.alphas == (0.005, 0.01, 0.015, 0.02)
    off = prepare({**values, "until_decided": False}, store=tmp_path).plan
    assert off.id == prepare(values, store=tmp_path).plan.id != by_key.id


# stopped at any moment


def check_goes_on(store, look) -> None:
    """What was killed after its last training and before it was looked at goes on as if it had not
    been: the same look, the same record, nothing trained twice."""
    prepared = prepare(spec(), store=store)
    opened, plans = prepared.store, []
    for n in LOOKS:
        planned = look(prepared.plan.spec, prepared.plan.inputs, opened)
        assert planned.spec.replicates == n
        plans.append(planned)
        outcome = run_plan(planned, opened, prepared.context)  # and here it is killed
        assert outcome.num_made == len(planned.cells) - (len(plans[-2].cells) if plans[1:] else 0)
        assert opened.read_run(planned.id).spec["replicates"] == n
    assert following_plan(plans[-1], opened) is None
    assert run(spec(), store=store, **QUIET).outcome.num_made == 0


def test_killed_before_its_look_is_recorded_it_goes_on_alike(tmp_path):
    check_goes_on(tmp_path, stage_plan)


# trainings told of: in the midst of the first look, at its end, in the midst of the second
@pytest.mark.parametrize("num_told", [3, 8, 10])
@pytest.mark.parametrize("by", ["SIGKILL", "SIGINT"])
def test_stopped_in_the_midst_it_goes_on_alike(num_told, by, done, tmp_path):
    _, whole, _ = done
    command = [sys.executable, Path(__file__).parent / "dies.py", tmp_path, str(num_told), by]
    assert subprocess.run(command, capture_output=True).returncode
    opened = Store(tmp_path)
    num_before = len(opened.cell_names())
    assert 0 < num_before < len(whole.record.cells())
    result = run(spec(), store=tmp_path, **QUIET)
    assert result.id == whole.id
    assert result.outcome.num_made + num_before == len(whole.record.cells())
    assert {row.cell for row in result.record.rows} == {row.cell for row in whole.record.rows}
    assert result.verdict().look == whole.verdict().look
    assert result.verdict().sentence == whole.verdict().sentence


def looks_at_once(spec, inputs, store):
    return most_of(stage_plan(spec, inputs, store))


def never_goes_on(spec, inputs, store):
    made = stage_plan(spec, inputs, store)
    return made if not store.run_ids() else prepare(ordinary(LOOKS[0]), store=store.location).plan


@pytest.mark.parametrize("mutant", [looks_at_once, never_goes_on])
def test_other_ways_to_go_on_are_caught(mutant, tmp_path):
    with pytest.raises(AssertionError):
        check_goes_on(tmp_path, mutant)


def test_who_comes_later_with_an_earlier_look_takes_nothing_away(done):
    store, result, _ = done
    prepared = prepare(spec(), store=store)
    first = replace(prepared.plan, spec=prepared.plan.spec.model_copy(update={"replicates": 2}))
    opened = prepared.store
    assert recorded(first, opened, opened.earlier_run(result.id)).rows == result.record.rows


def test_failures_keep_a_look_from_being_taken(tmp_path):
    """A replicate that is not finished is not looked at, and there is no verdict before."""
    prepared = prepare(spec(), store=tmp_path)
    run_plan(prepared.plan, prepared.store, prepared.context)
    missing = next(row for row in prepared.plan.rows if row.replicate == 1 and row.level == 1)
    prepared.store.discard(missing.cell)
    result = load_run(store=tmp_path)
    with pytest.raises(UsageError, match=r"no look is taken yet: .* at 2 replicates, and 1 is"):
        result.verdict()
    assert "no look is taken yet" in result.report().lower()
    assert load_runs(tmp_path)["verdict"].isna().all()


# every later verdict honours it


def check_is_honoured(judged) -> None:
    """α is spent: more replicates by hand give no fresh one."""
    found = judged
    assert found.label == "not decided"
    assert found.alpha < ALPHA
    assert found.look.number == len(LOOKS)
    assert found.look.spent == pytest.approx(ALPHA)
    assert found.num_replicates == LOOKS[-1]


@pytest.fixture(scope="module")
def raised(done):
    """The store, and the same experiment with more replicates by hand."""
    store, result, _ = done
    return store, run(ordinary(6), store=store, **QUIET), result


def test_more_replicates_by_hand_are_judged_by_its_looks(raised):
    _, result, staged = raised
    check_is_honoured(result.verdict())
    said = result.verdict().sentence
    assert f"the tickets are those of {staged.id}" in said
    assert "6 replicates are finished, and those after 4 are not looked at" in said


def test_a_fresh_five_percent_is_caught(raised):
    _, result, _ = raised
    with pytest.raises((AssertionError, AttributeError)):
        check_is_honoured(verdict(result.table, margin=1.0))


def test_so_are_reports_lists_tables_and_other_arms(raised, tmp_path):
    store, result, staged = raised
    assert "Look 3 of 3" in result.report()
    assert "one-sided at 2.5" in result.to_latex()
    assert result.between("ticket", "reinit").alpha == pytest.approx(0.025)
    assert result.between("ticket", "reinit").table["n"].tolist() == [LOOKS[-1]]
    assert "look 3 of 3" in result.cite().text
    listed = load_runs(store).set_index("id")["verdict"]
    assert listed[result.id] == listed[staged.id] == "not decided"


def test_fewer_by_hand_are_at_an_earlier_look(done):
    store, _, _ = done
    two = run(ordinary(2), store=store, **QUIET).verdict()
    assert (two.look.number, two.look.next_replicates) == (1, 3)
    with pytest.raises(UsageError, match="no look is taken yet"):
        run(ordinary(1), store=store, **QUIET).verdict()


def test_other_trainings_are_judged_as_ever(done):
    store, _, _ = done
    other = run(ordinary(2, seed=3), store=store, **QUIET)
    assert other.verdict().look is None
    dense_alone = run(ordinary(2, prune={"rate": 0.3, "levels": 1}), store=store, **QUIET)
    assert dense_alone.verdict().look is None


# what is refused


def test_the_rule_and_the_margin_stay_as_they_were_stated(done):
    store, result, _ = done
    for change, message in (
        ({"until_decided": {"looks": [2, 3, 4, 9]}}, "until_decided: got"),
        ({"until_decided": {"looks": LOOKS, "alphas": [0.01, 0.01, 0.03]}}, "until_decided: got"),
        ({"margin": 2}, "margin: got 2.0"),
    ):
        with pytest.raises(UsageError, match=message):
            run(spec(**change), store=store, **QUIET)
    assert looks_of(load_run(result.id, store=store).record).replicates == tuple(LOOKS)


def test_before_there_is_anything_to_see_it_may_change(tmp_path):
    first = prepare(spec(), store=tmp_path)
    first.store.open_for_writing()
    first.store.save_run(recorded(first.plan, first.store, None))
    result = run(spec(until_decided={"looks": [2, 3]}), store=tmp_path, **QUIET)
    assert looks_of(result.record).replicates == (2, 3)


def test_a_rule_comes_before_the_results(tmp_path):
    run(ordinary(2), store=tmp_path, **QUIET)
    with pytest.raises(UsageError, match="2 replicates of this experiment have results already"):
        prepare(spec(), store=tmp_path)
    assert prepare(spec(seed=1), store=tmp_path).plan.spec.replicates == 2
    one = tmp_path / "one"
    run(ordinary(1), store=one, **QUIET)  # of which there is no verdict
    assert prepare(spec(), store=one).plan.spec.replicates == 2


def test_replicates_by_hand_are_refused(done):
    store, result, _ = done
    with pytest.raises(UsageError, match="its looks are at 2, 3, 4 replicates"):
        run(result.id, overrides=["replicates=40"], store=store, **QUIET)
    with pytest.raises(UsageError, match="replicates: has no effect"):
        run("quickstart", overrides=["replicates=3"], until_decided=True, store=store, **QUIET)
    taken_back = ["until_decided=false", "replicates=5"]
    by_hand = run(result.id, overrides=taken_back, store=store, **QUIET)
    check_is_honoured(by_hand.verdict())


def test_nobody_waits_for_what_is_submitted(tmp_path):
    with pytest.raises(UsageError, match="somebody has to wait for each look"):
        prepare(spec(), store=tmp_path, executor="workers").submit()


def test_tickets_that_are_trained_again_are_no_staged_run(done):
    store, result, _ = done
    again = load_run(result.id, store=store).retrain(1, overrides=["train.lr=0.05"], **QUIET)
    assert looks_of(again.record) is None
    assert again.record.spec["replicates"] == LOOKS[-1]


# what stands in files


def test_readers_that_know_no_looks_read_its_record(done):
    """The rule stands within the spec, of which readers pass over what they do not know."""
    _, result, _ = done
    values = json.loads(result.record.to_bytes())
    fixed = json.loads(replace(result.record, spec=spec_without(result)).to_bytes())
    keys = [set(one.get("content", one)) for one in (values, fixed)]
    assert keys[0] == keys[1]
    assert RunRecord.from_bytes(result.record.to_bytes(), "here") == result.record


def spec_without(result) -> dict[str, object]:
    return {key: value for key, value in result.record.spec.items() if key != "until_decided"}


@pytest.mark.parametrize(
    "rule",
    [
        True, {}, {"looks": [5, 10]}, {"looks": [5, 10], "alphas": [0.05]},
        {"looks": [10, 5], "alphas": [0.01, 0.01]}, {"looks": [5, 10], "alphas": [0.05, 0.05]},
        {"looks": ["5", 10], "alphas": [0.01, 0.01]}, {"looks": [5, 10], "alphas": [-1, 0.01]},
        {"looks": [0, 10], "alphas": [0.01, 0.01]}, {"looks": [], "alphas": []},
    ],
)  # fmt: skip
def test_a_rule_of_a_stranger_is_looked_at_first(rule, done):
    _, result, _ = done
    strange = replace(result.record, spec={**result.record.spec, "until_decided": rule})
    with pytest.raises(DamagedError, match="until_decided"):
        RunRecord.from_bytes(strange.to_bytes(), "here")


def test_copied_it_keeps_its_looks(done, tmp_path):
    store, result, _ = done
    source, target = Store(store), Store(tmp_path / "copy")
    copy_runs(plan_copy(source, target, [result.id]))
    assert load_run(store=target).verdict().look == result.verdict().look
    by_hand = run(ordinary(5), store=tmp_path / "copy", **QUIET)
    check_is_honoured(by_hand.verdict())
