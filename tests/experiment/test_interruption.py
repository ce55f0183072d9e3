"""Nothing finished is ever lost: kills, parallel runs, other numbers of jobs — the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wrong_engines as wrong
from every_arm import TRAIN, spec_of
from run_processes import (
    NOISY,
    NOISY_NET,
    STOPPED,
    Moment,
    cells_told,
    start,
    start_noisy,
    steps_told,
)
from tiny_runs import digests, planned, run_in

from lottery_ticket.experiment import import_user_code
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import Store

HERE = Path(__file__).parent
NUM_STEPS = 18  # of the noisy run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    """The bytes of the noisy run."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    with start_noisy(store) as run:
        assert run.wait() == 0
    assert steps_told(store).total() == NUM_STEPS
    return digests(store)


def check_survives_kills(
    store, undisturbed, kills, engine=None, begin=start_noisy, num_steps=NUM_STEPS, **orders
) -> int:
    """What a kill leaves is complete, it costs one step at most, and the bytes are the same.

    Returns how many kills came before the end.
    """
    codes = []
    for kill_at in [*kills, None]:
        with begin(store, wrong=engine, kill_at=kill_at, **orders) as run:
            if "lease_seconds" not in orders:  # by which the dead seem to be at work for a while
                run.wait_until(lambda: bool(cells_told(store, "busy")))
                assert not cells_told(store, "busy"), "nobody else is at work"
            codes.append(run.wait())
        opened = Store(store)
        assert all(opened.check(name) for name in opened.cell_names())
    num_hits = codes.count(-signal.SIGKILL)
    assert codes.count(0) == len(codes) - num_hits
    assert digests(store) == undisturbed
    steps = steps_told(store)
    assert len(steps) == num_steps
    assert steps.total() - num_steps <= num_hits
    assert max(cells_told(store, "made").values()) == 1
    return num_hits


KILLS = [
    Moment("step", 5),
    Moment("half checkpoint", 3),
    Moment("half record.json", 1),
    Moment("half mask.safetensors", 1),
    Moment("step", 2),
]


def test_killed_at_delicate_moments_ends_in_the_same_bytes(tmp_path, undisturbed):
    assert check_survives_kills(tmp_path / "store", undisturbed, KILLS) == len(KILLS)


LEASED = {"lease_seconds": 0.5}


def test_killed_at_delicate_moments_with_leases_ends_in_the_same_bytes(tmp_path, undisturbed):
    store = tmp_path / "store"
    assert check_survives_kills(store, undisturbed, KILLS, **LEASED) == len(KILLS)
    assert Store(store).claims == "lease"
    assert Store(store).work_names() == set()


@pytest.mark.parametrize("engine", [wrong.starts_from_scratch, wrong.leaves_what_the_dead_had])
def test_engines_that_do_not_survive_kills_with_leases_are_caught(engine, tmp_path, undisturbed):
    with pytest.raises(AssertionError):
        check_survives_kills(tmp_path / "store", undisturbed, [KILLS[0]], engine, **LEASED)


@pytest.mark.parametrize(
    ("engine", "kill"),
    [
        (wrong.forgets_the_optimizer, KILLS[0]),
        (wrong.forgets_the_random_state, KILLS[0]),
        (wrong.goes_back_to_the_first_batch, KILLS[0]),
        (wrong.starts_from_scratch, KILLS[0]),
        (wrong.makes_no_checkpoint, KILLS[0]),
        (wrong.writes_checkpoints_in_place, KILLS[1]),
        (wrong.takes_nothing_for_finished, KILLS[3]),
        (wrong.clears_before_it_commits, KILLS[2]),
        (wrong.lets_the_dead_hold_their_claims, KILLS[0]),
    ],
)
def test_engines_that_do_not_survive_kills_are_caught(engine, kill, tmp_path, undisturbed):
    with pytest.raises(AssertionError):
        check_survives_kills(tmp_path / "store", undisturbed, [kill], engine)


def test_killed_again_and_again_ends_in_the_same_bytes(tmp_path, undisturbed):
    kills = [Moment("any", count) for count in range(1, 50, 4)]
    assert check_survives_kills(tmp_path / "store", undisturbed, kills) > 10


@pytest.mark.slow
def test_killed_at_every_moment_ends_in_the_same_bytes(tmp_path, undisturbed):
    count = 1
    while check_survives_kills(tmp_path / str(count), undisturbed, [Moment("any", count)]):
        count += 1
    assert count > 100


# nine steps to a training; rewound to the fourth, gone on from the end, …
ARMS_TRAIN = TRAIN | {"batch_size": 512, "duration": "3ep", "milestones": ["7it"]}
NEW_ARMS = [
    "ticket",
    "finetune",
    "sign_reinit",
    "dense_small",
    "snip",
    "transfer",
    "gradual",
    "rigl",
    "supermask",
    "early_bird",
]
ARMS_SPEC = spec_of(
    NEW_ARMS,
    train=ARMS_TRAIN,
    source={"train": ARMS_TRAIN | {"lr": 0.05}},
    rewind="4it",
    prune={"rate": 0.4, "levels": 1},
)


def start_arms(store, **orders):
    return start(ARMS_SPEC, store, **orders)


@pytest.fixture(scope="module")
def undisturbed_arms(tmp_path_factory) -> dict[str, str]:
    store = tmp_path_factory.mktemp("arms") / "store"
    with start_arms(store) as run:
        assert run.wait() == 0
    return digests(store)


ARMS_KILLS = [
    Moment("half optimizer.safetensors", 2),
    Moment("step", 15),
    Moment("half mask.safetensors", 1),
    *(Moment("step", count) for count in (9, 8, 7, 6)),
]


def check_arms_survive(store, undisturbed_arms, engine=None):
    num_steps = planned(ARMS_SPEC).num_steps
    orders = {"begin": start_arms, "num_steps": num_steps, "engine": engine}
    hits = check_survives_kills(store, undisturbed_arms, ARMS_KILLS, **orders)
    assert hits == len(ARMS_KILLS)


@pytest.mark.slow
def test_every_kind_of_training_survives_kills(tmp_path, undisturbed_arms):
    check_arms_survive(tmp_path / "store", undisturbed_arms)


@pytest.mark.slow
@pytest.mark.parametrize("engine", [wrong.forgets_the_optimizer, wrong.starts_from_scratch])
def test_engines_whose_arms_do_not_survive_are_caught(engine, tmp_path, undisturbed_arms):
    with pytest.raises(AssertionError):
        check_arms_survive(tmp_path / "store", undisturbed_arms, engine)


def check_stops_and_continues(store, undisturbed, engine=None):
    """Ctrl-C ends a run at once with a code that says so, and not a step is lost."""
    with start_noisy(
        store, wrong=engine, pause_at=Moment("step", 5), checkpoint_seconds=3600.0
    ) as run:
        run.wait_for_pause()
        os.kill(run.pid, signal.SIGINT)
        run.resume()
        assert run.wait() == STOPPED
    assert steps_told(store).total() == 5
    with start_noisy(store, wrong=engine) as run:
        assert run.wait() == 0
    assert digests(store) == undisturbed
    assert steps_told(store).total() == NUM_STEPS


def test_interrupted_run_says_so_and_continues(tmp_path, undisturbed):
    check_stops_and_continues(tmp_path / "store", undisturbed)


@pytest.mark.parametrize(
    "engine", [wrong.hears_no_stop, wrong.starts_from_scratch, wrong.forgets_the_random_state]
)
def test_engines_that_do_not_stop_well_are_caught(engine, tmp_path, undisturbed):
    with pytest.raises(AssertionError):
        check_stops_and_continues(tmp_path / "store", undisturbed, engine)


def test_a_signal_to_every_process_of_a_job_ends_it_as_one_to_the_parent(tmp_path, tiny):
    """Slurm, and a shell that goes, send SIGTERM to the workers as well: they are left to their
    parent, checkpoint, and come home."""
    spec = tiny(train={"duration": "2000ep"}, arms=["ticket"], prune={"levels": 1}, replicates=2)
    path, store = tmp_path / "spec.json", Store(tmp_path / "store")
    path.write_text(spec.model_dump_json(exclude_unset=True))
    line = [sys.executable, "-m", "lottery_ticket.cli", "run", path, "--store", store.root]
    with subprocess.Popen(
        [*map(str, line), "--jobs", "2"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, text=True,
    ) as run:  # fmt: skip
        shown = store.root / "work"
        until = time.monotonic() + 120
        while len(list(shown.glob("*/progress.json"))) < 2:
            assert time.monotonic() < until
            assert run.poll() is None
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGTERM)
        _, told = run.communicate(timeout=120)
    assert run.returncode == 130, told
    assert "died" not in told
    assert len(list(shown.glob("*/checkpoint"))) == 2


# two replicates, each a mask between two trainings
PAIR = NOISY | {"replicates": 2}


@pytest.fixture(scope="module")
def pair() -> Spec:
    import_user_code((NOISY_NET,))
    return spec_from_mapping(PAIR)


@pytest.fixture(scope="module")
def undisturbed_pair(pair, tmp_path_factory) -> dict[str, str]:
    store = tmp_path_factory.mktemp("pair") / "store"
    run_in(store, pair, threads=1)
    return digests(store)


def check_two_runs_share(folder, spec, undisturbed, engine=None, **orders):
    """While one run is at a cell, another makes all that does not hang on it, and not the cell."""
    store, plan = folder / "shared", planned(spec)
    held = next(iter(plan.cells))
    below = {held}
    for cell in plan.cells.values():  # parents come first
        if below & set(cell.parents.values()):
            below.add(cell.name)
    others = set(plan.cells) - below
    with start_noisy(store, PAIR, wrong=engine, pause_at=Moment("step", 2), **orders) as first:
        first.wait_for_pause()
        with start_noisy(store, PAIR, wrong=engine, **orders) as second:
            second.wait_until(
                lambda: (
                    cells_told(store, "busy").keys() - {held}
                    or (cells_told(store, "made").keys() >= others and cells_told(store, "busy"))
                )
            )
            assert cells_told(store, "busy").keys() == {held}
            assert cells_told(store, "made").keys() == others
            first.resume()
            assert (first.wait(), second.wait()) == (0, 0)
    assert digests(store) == undisturbed
    assert set(steps_told(store).values()) == {1}
    assert cells_told(store, "made") == dict.fromkeys(plan.cells, 1)


@pytest.mark.parametrize("orders", [{}, {"lease_seconds": 3.0}])
def test_two_runs_on_one_store_share_the_work(orders, tmp_path, pair, undisturbed_pair):
    check_two_runs_share(tmp_path, pair, undisturbed_pair, **orders)


@pytest.mark.parametrize(
    "engine",
    [wrong.grants_every_claim, wrong.claims_the_whole_store, wrong.takes_busy_for_failed],
)
def test_engines_that_do_not_share_are_caught(engine, tmp_path, pair, undisturbed_pair):
    with pytest.raises(AssertionError):
        check_two_runs_share(tmp_path, pair, undisturbed_pair, engine)


def check_jobs(folder, spec, begin=start, **orders):
    """Two worker processes make the bytes that one process makes."""
    for jobs in (1, 2):
        store, how = folder / str(jobs), {"jobs": jobs, "checkpoint_seconds": 60.0}
        with begin(spec=spec, store=store, **how, **orders) as run:
            assert run.wait() == 0
    assert digests(folder / "1") == digests(folder / "2")


ARMS = ["ticket", "reinit", "random"]


def test_two_jobs_give_the_bytes_of_one(tmp_path):
    check_jobs(tmp_path, PAIR | {"arms": ARMS}, start_noisy, are_workers_forked=True)


def test_two_jobs_with_leases_give_the_bytes_of_one(tmp_path, undisturbed_pair):
    """Workers that were forked renew what is theirs."""
    store = tmp_path / "store"
    with start_noisy(store, PAIR, jobs=2, are_workers_forked=True, lease_seconds=2.0) as run:
        assert run.wait() == 0
    assert digests(store) == undisturbed_pair
    assert max(cells_told(store, "made").values()) == 1


def check_who_slept_does_no_harm(store, undisturbed_pair, engine=None):
    """A run stands still; another makes all that is left; the first wakes and finds it made."""
    orders = {"wrong": engine, "pause_at": Moment("step", 5), "lease_seconds": 0.5}
    with start_noisy(store, PAIR, **orders) as first:
        first.wait_for_pause()
        os.kill(first.pid, signal.SIGSTOP)
        with start_noisy(store, PAIR, lease_seconds=0.5) as second:
            assert second.wait() == 0
        assert digests(store) == undisturbed_pair
        first.resume()
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait() == 0
    assert digests(store) == undisturbed_pair
    opened = Store(store)
    assert all(opened.check(name) for name in opened.cell_names())
    assert opened.work_names() == set()


def test_who_was_stopped_beyond_its_lease_does_no_harm(tmp_path, undisturbed_pair):
    check_who_slept_does_no_harm(tmp_path / "store", undisturbed_pair)


def test_an_engine_that_brings_back_what_was_cleared_is_caught(tmp_path, undisturbed_pair):
    wrong_engine = wrong.brings_its_folder_back
    with pytest.raises(AssertionError):
        check_who_slept_does_no_harm(tmp_path / "store", undisturbed_pair, wrong_engine)


@pytest.mark.slow
def test_two_jobs_of_loky_give_the_bytes_of_one(tmp_path, tiny):
    check_jobs(tmp_path, tiny(arms=ARMS, replicates=2))


def test_an_order_that_depends_on_the_worker_is_caught(tmp_path):
    wrong_order = str(HERE / "order_by_process.py")
    orders = {"are_workers_forked": True, "imports": (wrong_order,)}
    with pytest.raises(AssertionError):
        check_jobs(tmp_path, PAIR, start_noisy, **orders)


def check_outlives_a_worker(folder, undisturbed, moment, **orders):
    """A run one of whose workers was killed is complete, with the same bytes."""
    death = folder / f"die at {moment}"
    death.touch()
    dies_once = shutil.copy(HERE / "dies_once.py", folder)
    with start_noisy(folder / "killed", PAIR, jobs=2, imports=(dies_once,), **orders) as run:
        code = run.wait()
    assert not death.exists()
    assert code == 0
    assert digests(folder / "killed") == undisturbed
    assert max(cells_told(folder / "killed", "made").values()) == 1


@pytest.mark.parametrize(
    ("moment", "are_workers_forked"),
    [
        ("step 5", True),
        ("the end of a commit", True),
        pytest.param("step 5", False, marks=pytest.mark.slow),
    ],
)
def test_a_worker_that_dies_takes_nothing_with_it(
    moment, are_workers_forked, tmp_path, undisturbed_pair
):
    orders = {"are_workers_forked": are_workers_forked}
    check_outlives_a_worker(tmp_path, undisturbed_pair, moment, **orders)


def test_an_engine_that_gives_its_dead_workers_cells_up_is_caught(tmp_path, undisturbed_pair):
    orders = {"wrong": wrong.gives_up_with_its_worker, "are_workers_forked": True}
    with pytest.raises(AssertionError):
        check_outlives_a_worker(tmp_path, undisturbed_pair, "step 5", **orders)


SCRIPT = """
import json, sys
import lottery_ticket
spec, store, jobs, often = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
print("begin", flush=True)
lottery_ticket.run(spec, store=store, jobs=jobs, threads=1, imports=[often])
"""
OFTEN = HERE / "checkpoints_often.py"  # so that a kill finds a checkpoint


def launch(spec, store: Path, jobs: int) -> subprocess.Popen:
    """A run in a session of its own, workers included, once its imports are done."""
    values = spec.model_dump_json(exclude_unset=True)
    command = [sys.executable, "-c", SCRIPT, values, str(store), str(jobs), str(OFTEN)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def kill_at_random_moments(spec, folder: Path, jobs: int, times: int, within: float) -> int:
    """Kill -9 the whole run `times` times, then let it finish; returns how many kills hit."""
    moments = random.Random(0)
    hits = 0
    for _ in range(times):
        process = launch(spec, folder, jobs)
        try:
            process.wait(moments.uniform(0.05, within))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            hits += 1
        process.communicate()
    process = launch(spec, folder, jobs)
    process.communicate()
    assert process.returncode == 0
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_ten_times(tmp_path, tiny, jobs):
    spec = tiny(train={"duration": "200ep"}, prune={"levels": 5}, replicates=2)
    started = time.monotonic()
    launch(spec, tmp_path / "undisturbed", jobs).communicate()
    within = (time.monotonic() - started) / 6  # ten kills take five sixths of that, however fast
    hits = kill_at_random_moments(spec, tmp_path / "killed", jobs, times=10, within=within)
    assert hits >= 8
    assert digests(tmp_path / "killed") == digests(tmp_path / "undisturbed")
