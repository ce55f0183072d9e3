"""Laws of the simulated workers, on any DAG; and that a simulation which breaks one is caught."""

import itertools
import math
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_bucket import MemoryBucket
from tiny_runs import planned

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import (
    IDEAL,
    Assumptions,
    Context,
    Task,
    cell_seconds,
    execute,
    forecast,
    simulate,
    tasks_of,
)
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.forecast.paths import critical_path, path_text
from lottery_ticket.experiment.forecast.simulate import (
    CLAIM_REQUESTS,
    COMMIT_REQUESTS,
    MOST_LEASES,
    READ_REQUESTS,
)
from lottery_ticket.store.remote import ObjectStore

CLOSE = {"rel": 1e-9, "abs": 1e-6}
SLOW = Assumptions(
    poll_seconds=1.0, longest_poll_seconds=3.0, requests_per_second=math.inf,
    checkpoint_seconds=3.0, price_per_hour=2.0,
)  # fmt: skip


@st.composite
def dags(draw, *, max_cells: int = 12):
    """Tasks, parents first; seconds are quarters, so that sums of them are exact."""
    tasks: dict[str, Task] = {}
    for number in range(draw(st.integers(1, max_cells))):
        parents = draw(st.sets(st.sampled_from(sorted(tasks)), max_size=3)) if tasks else set()
        tasks[f"c{number:02}"] = Task(
            parents=tuple(sorted(parents)),
            seconds=draw(st.integers(0, 40)) / 4,
            num_read=len(parents),
            read_bytes=10**6 * len(parents),
            num_written=draw(st.integers(0, 2)),
            written_bytes=draw(st.sampled_from([0, 10**6, 10**8])),
            checkpoint_bytes=draw(st.sampled_from([0, 10**6])),
        )
    return tasks


def span(spells) -> float:
    return max(spell.end for spell in spells)


def work(tasks) -> float:
    return sum(task.seconds for task in tasks.values())


def longest(tasks) -> float:
    """The longest chain, from each cell back to its parents."""
    ends = {}
    for name, task in tasks.items():
        ends[name] = task.seconds + max((ends[parent] for parent in task.parents), default=0.0)
    return max(ends.values())


# what every simulation keeps to


def makes_everything(tasks, assumed, spells) -> None:
    finished = sorted(spell.cell for spell in spells if not spell.is_lost)
    assert finished == sorted(tasks)


def parents_come_first(tasks, assumed, spells) -> None:
    ends = defaultdict(lambda: math.inf)
    ends |= {spell.cell: spell.end for spell in spells if not spell.is_lost}
    for spell in spells:
        assert all(ends[parent] <= spell.start for parent in tasks[spell.cell].parents)


def a_worker_does_one_thing_at_a_time(tasks, assumed, spells) -> None:
    by_worker = defaultdict(list)
    for spell in sorted(spells, key=lambda spell: (spell.start, spell.end)):
        by_worker[spell.worker].append(spell)
    for own in by_worker.values():
        assert own[0].start >= assumed.start_seconds
        for before, after in itertools.pairwise(own):
            gap = assumed.start_seconds if before.is_lost else 0.0
            assert after.start >= before.end + gap - 1e-9


def everything_takes_its_time(tasks, assumed, spells) -> None:
    """Without losses to the second, of a store that is never overburdened."""
    for spell in spells:
        task = tasks[spell.cell]
        assert spell.start <= spell.begin <= spell.trained <= spell.end
        if not (spell.is_lost or spell.is_continued):
            reads = 2 * task.num_read * assumed.request_seconds
            before = assumed.claim_seconds + reads + task.read_bytes / assumed.bytes_per_second
            after = assumed.commit_seconds + task.written_bytes / assumed.bytes_per_second
            each = assumed.request_seconds + task.checkpoint_bytes / assumed.bytes_per_second
            making = task.seconds + spell.num_checkpoints * each
            assert spell.begin - spell.start == pytest.approx(before, **CLOSE)
            assert spell.trained - spell.begin == pytest.approx(making, **CLOSE)
            assert spell.end - spell.trained == pytest.approx(after, **CLOSE)


def others_wait_for_the_lease(tasks, assumed, spells) -> None:
    """Of a lost cell; and nobody makes one that somebody makes already."""
    by_cell = defaultdict(list)
    for spell in sorted(spells, key=lambda spell: (spell.start, spell.end)):
        by_cell[spell.cell].append(spell)
    for own in by_cell.values():
        assert [spell.is_lost for spell in own] == [True] * (len(own) - 1) + [False]
        for before, after in itertools.pairwise(own):
            assert after.start >= before.end + assumed.lease_seconds - 1e-9


LAWS = [
    makes_everything,
    parents_come_first,
    a_worker_does_one_thing_at_a_time,
    everything_takes_its_time,
    others_wait_for_the_lease,
]
ASSUMED = {"ideal": IDEAL, "slow": SLOW, "lossy": replace(SLOW, losses_per_hour=120.0)}


def broken(simulated, tasks, num_workers, assumed, seed) -> set[str]:
    """The names of the laws that a simulation breaks."""
    spells, found = simulated(tasks, num_workers, assumed, seed=seed), set()
    for law in LAWS:
        try:
            law(tasks, assumed, spells)
        except AssertionError:
            found.add(law.__name__)
    return found


@settings(max_examples=60)
@given(dags(), st.integers(1, 6), st.sampled_from(sorted(ASSUMED)), st.integers(0, 99))
def test_every_law_holds_on_any_dag(tasks, num_workers, which, seed):
    assert broken(simulate, tasks, num_workers, ASSUMED[which], seed) == set()


# simulations that do not


def starts_children_at_once(tasks, num_workers, assumed, *, seed=0):
    orphans = {name: replace(task, parents=()) for name, task in tasks.items()}
    return simulate(orphans, num_workers, assumed, seed=seed)


def forgets_commits(tasks, num_workers, assumed, *, seed=0):
    return simulate(tasks, num_workers, replace(assumed, commit_seconds=0.0), seed=seed)


def loses_cells(tasks, num_workers, assumed, *, seed=0):
    spells = simulate(tasks, num_workers, assumed, seed=seed)
    gone = {spell.cell for spell in spells if spell.is_lost}
    return [spell for spell in spells if spell.is_lost or spell.cell not in gone]


def takes_over_at_once(tasks, num_workers, assumed, *, seed=0):
    return simulate(tasks, num_workers, replace(assumed, lease_seconds=0.0), seed=seed)


def has_one_worker_for_all(tasks, num_workers, assumed, *, seed=0):
    spells = simulate(tasks, num_workers, assumed, seed=seed)
    return [replace(spell, worker=0) for spell in spells]


MUTANTS = {
    "parents_come_first": starts_children_at_once,
    "everything_takes_its_time": forgets_commits,
    "makes_everything": loses_cells,
    "others_wait_for_the_lease": takes_over_at_once,
    "a_worker_does_one_thing_at_a_time": has_one_worker_for_all,
}


@pytest.mark.parametrize("law", MUTANTS)
def test_a_simulation_that_breaks_a_law_is_caught(law):
    chains = {
        f"{chain}{level}": Task(
            parents=(f"{chain}{level - 1}",) if level else (), seconds=40.0, checkpoint_bytes=10**6
        )
        for chain in "abcd"
        for level in range(4)
    }
    lossy = ASSUMED["lossy"]
    assert any(spell.is_lost for spell in simulate(chains, 4, lossy))
    assert law in broken(MUTANTS[law], chains, 4, lossy, 0)


def test_there_is_a_mutant_of_every_law():
    assert set(MUTANTS) == {law.__name__ for law in LAWS}


# how long it takes


@given(dags(), st.integers(0, 9))
def test_one_worker_without_latencies_takes_the_sum(tasks, seed):
    assert span(simulate(tasks, 1, IDEAL, seed=seed)) == pytest.approx(work(tasks), **CLOSE)


@given(dags(), st.integers(0, 9))
def test_a_worker_for_each_cell_takes_the_longest_chain(tasks, seed):
    spells = simulate(tasks, len(tasks), IDEAL, seed=seed)
    assert span(spells) == pytest.approx(longest(tasks), **CLOSE)


@given(dags(), st.integers(1, 6), st.sampled_from(sorted(ASSUMED)), st.integers(0, 9))
def test_it_lies_between_the_least_and_all_of_it(tasks, num_workers, which, seed):
    assumed = ASSUMED[which]
    spells = simulate(tasks, num_workers, assumed, seed=seed)
    least = max(longest(tasks), work(tasks) / num_workers)
    # somebody is at work at any time, but for the start, a look after each cell, and the losses
    looks = assumed.longest_poll_seconds * (1 + len(spells))
    losses = sum(spell.is_lost for spell in spells)
    waits = losses * (assumed.lease_seconds + assumed.start_seconds)
    most = assumed.start_seconds + looks + waits + sum(s.end - s.start for s in spells)
    assert least - 1e-6 <= span(spells) <= most + 1e-6


def by_hand(tasks, num_workers):
    """The makespan of the greedy rule, a quarter of a second after the other."""
    below = dict.fromkeys(tasks, 0.0)
    for name in reversed(list(tasks)):
        for parent in tasks[name].parents:
            below[parent] = max(below[parent], below[name] + tasks[name].seconds)
    now, done, running = 0.0, set(), {}
    while len(done) < len(tasks):
        done |= {name for name, end in running.items() if end <= now}
        running = {name: end for name, end in running.items() if end > now}
        ready = [
            name
            for name, task in tasks.items()
            if name not in done and name not in running and done >= set(task.parents)
        ]
        ready.sort(key=lambda name: -(tasks[name].seconds + below[name]))
        chosen = ready[: num_workers - len(running)]
        running |= {name: now + tasks[name].seconds for name in chosen}
        if all(tasks[name].seconds for name in chosen):
            now += 0.25
    return now - 0.25 if now else now


@st.composite
def untied(draw):
    """A DAG in which no two cells have chains of the same length before them."""
    tasks = draw(dags(max_cells=7))
    seconds = draw(st.permutations([2**power / 4 for power in range(len(tasks))]))
    return {n: replace(t, seconds=s) for (n, t), s in zip(tasks.items(), seconds, strict=True)}


@given(untied(), st.integers(1, 4))
def test_the_longest_chain_goes_first(tasks, num_workers):
    found = span(simulate(tasks, num_workers, IDEAL))
    assert found == pytest.approx(by_hand(tasks, num_workers), **CLOSE)


def test_the_shortest_chain_first_would_be_slower():
    tasks = {"short": Task(seconds=1.0), "long": Task(seconds=1.0)}
    tasks["end"] = Task(parents=("long",), seconds=1.0)
    assert span(simulate(tasks, 1, IDEAL)) == 3.0
    assert next(s.cell for s in simulate(tasks, 1, IDEAL)) == "long"
    assert by_hand(tasks, 2) == span(simulate(tasks, 2, IDEAL)) == 2.0


@given(dags(), st.integers(1, 4), st.integers(0, 99))
def test_the_same_seed_gives_the_same(tasks, num_workers, seed):
    lossy = ASSUMED["lossy"]
    once, again = (simulate(tasks, num_workers, lossy, seed=seed) for _ in range(2))
    assert once == again


def test_another_seed_gives_other_losses():
    tasks = {f"c{i}": Task(seconds=60.0) for i in range(20)}
    lossy = ASSUMED["lossy"]
    assert simulate(tasks, 2, lossy, seed=0) != simulate(tasks, 2, lossy, seed=1)


@pytest.mark.parametrize("losses", [0.0, 1.0, 30.0, 120.0])
def test_more_losses_lose_no_cell(losses):
    tasks = {f"c{i}": Task(seconds=20.0, checkpoint_bytes=10**6) for i in range(50)}
    assumed = replace(SLOW, losses_per_hour=losses)
    spells = simulate(tasks, 8, assumed)
    makes_everything(tasks, assumed, spells)
    assert any(spell.is_lost for spell in spells) == (losses > 1)


def test_what_was_checkpointed_is_not_made_again():
    def repeated(checkpoint_bytes):
        tasks = {f"c{i}": Task(seconds=100.0, checkpoint_bytes=checkpoint_bytes) for i in range(50)}
        return forecast(tasks, 8, ASSUMED["lossy"]).repeated_seconds

    assert repeated(10**6) < repeated(0) / 5


# a store that has much to do


def test_a_busy_store_makes_all_wait_and_bounds_it():
    tasks = {f"c{i}": Task(seconds=0.1, num_read=1, num_written=1) for i in range(200)}
    quick = forecast(tasks, 50, replace(IDEAL, requests_per_second=1e6))
    slow = forecast(tasks, 50, replace(IDEAL, requests_per_second=10.0))
    num_requests = 200 * (4 + 2 + 4)  # a claim, a read, a commit of a file
    assert (quick.num_requests, slow.num_requests) == (num_requests, num_requests)
    assert slow.makespan_seconds >= num_requests / 10
    assert (quick.bound, slow.bound) == ("workers", "store")
    assert slow.peak_requests_per_second >= slow.requests_per_second


class Counting(MemoryBucket):
    """Notes what is asked of which key."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def _note(self, kind, key):
        self.asked.append((kind, key))

    def get(self, key):
        self._note("get", key)
        return super().get(key)

    def head(self, key):
        self._note("head", key)
        return super().head(key)

    def put(self, key, data):
        self._note("put", key)
        return super().put(key, data)

    def create(self, key, data):
        self._note("create", key)
        return super().create(key, data)

    def list(self, prefix):
        self._note("list", prefix)
        return super().list(prefix)

    def remove(self, keys):
        keys = list(keys)
        for key in keys:
            self._note("remove", key)
        super().remove(keys)


def asked_for(cell, bucket):
    """How often a bucket was asked while a cell was made by a worker that knew nothing; at the
    places of the cell itself, at those of its parents, and for the signs to stop."""
    store = ObjectStore.over(bucket)
    contents = {role: store.get(parent).content for role, parent in cell.parents.items()}
    bucket.asked.clear()
    store = ObjectStore.over(bucket)
    bucket.asked.clear()
    assert store.finished(cell.name) is None
    context = Context(store, stops=("worker", "run"))
    (outcome,) = execute([cell], [contents], context)
    assert outcome.status == "made"
    kinds = [
        "signs" if key.startswith("board/stop")
        else "own" if cell.name in key or kind == "put"
        else "parents"
        for kind, key in bucket.asked
    ]  # fmt: skip
    return Counter(kinds)


def test_a_real_cell_asks_as_often_as_a_simulated_one(tiny):
    made, bucket = planned(tiny()), Counting()
    ObjectStore.over(bucket).open_for_writing()
    tasks = tasks_of(made, (), cell_seconds(made, {}, {}))
    for cell in made.cells.values():
        asked, task = asked_for(cell, bucket), tasks[cell.name]
        assert asked["own"] == CLAIM_REQUESTS + COMMIT_REQUESTS + task.num_written
        assert asked["parents"] == READ_REQUESTS * task.num_read
        assert asked["signs"] == (2 if cell.num_steps else 0)


def test_rough_looks_cost_a_listing_and_some_leases():
    bucket = Counting()
    store = ObjectStore.over(bucket)
    store.open_for_writing()
    claims = [store.claim(f"{number:064x}") for number in range(MOST_LEASES + 8)]
    other = ObjectStore.over(bucket)
    bucket.asked.clear()
    assert other.claimed_names(is_rough=True) == {claim.name for claim in claims}
    assert len(bucket.asked) == 1 + MOST_LEASES
    for claim in claims:
        claim.release()
    assert ObjectStore.over(bucket).claimed_names() == set()
    looks = [other.claimed_names(is_rough=True) for _ in range(3)]
    assert [len(found) for found in looks] == [8, 0, 0]


def test_what_bounds_it():
    chain = {f"c{i}": Task(parents=(f"c{i - 1}",) if i else (), seconds=9.0) for i in range(9)}
    wide = {f"w{i}": Task(seconds=9.0) for i in range(90)}
    assert forecast(chain, 8, IDEAL).bound == "critical path"
    assert forecast(wide, 8, IDEAL).bound == "workers"
    assert forecast(chain, 8, replace(IDEAL, commit_seconds=5.0)).bound == "store"


def test_figures_add_up():
    tasks = {
        name: Task(
            seconds=10.0, num_written=1, written_bytes=1000, checkpoint_bytes=10, label=label
        )
        for name, label in (
            ("a", Label("ticket", 0, 3, 0, 1.0)),
            ("b", Label("reinit", 1, 3, 0, 0.8)),
        )
    }
    assumed = replace(
        IDEAL, start_seconds=5.0, beat_seconds=2.0, checkpoint_seconds=4.0, price_per_hour=7200.0
    )
    found = forecast(tasks, 1, assumed)
    assert found.makespan_seconds == 25.0
    assert found.cost == 50.0
    assert found.utilisation == 20 / 25
    assert (found.num_cells, found.work_seconds, found.num_repeated) == (2, 20.0, 0)
    # of each: a claim, signs to stop, a commit of a file, beats every 2 s, two checkpoints
    assert found.num_requests == 2 * (4 + 2 + 4 + 7 * 5 + 2)
    assert found.num_bytes == 2 * (1000 + 2 * 10)
    assert found.bytes_per_second == found.num_bytes / 25
    assert found.critical_path == "ticket level 0 of replicate 3"


def test_nothing_left_takes_nothing():
    found = forecast({}, 8, Assumptions(price_per_hour=1.0))
    assert (found.makespan_seconds, found.cost, found.num_requests) == (0.0, 0.0, 0)


# what a plan gives it


def test_chains_are_told_in_words():
    chain = [Label("ticket", level, 3, 0, 1.0) for level in (0, 1, 1, 2)]
    assert path_text(chain) == "ticket levels 0–2 of replicate 3"
    branch = [Label("ticket", 0, 1, 0, 1.0), Label("reinit", 2, 1, 1, 1.0)]
    assert path_text(branch) == "ticket level 0, reinit level 2, draw 1, of replicate 1"


def test_a_plan_as_tasks(tiny):
    made = planned(tiny(arms=["ticket", "reinit", "finetune"], replicates=2))
    tried = {name: 5.0 for name, cell in made.cells.items() if cell.num_steps}
    seconds = cell_seconds(made, tried, {})
    assert all((s > 5) == (name in tried) for name, s in seconds.items())
    tasks = tasks_of(made, (), seconds)
    assert list(tasks) == list(made.cells)
    assert all(set(t.parents) == set(made.cells[n].parents.values()) for n, t in tasks.items())
    assert all(bool(t.checkpoint_bytes) == bool(made.cells[n].num_steps) for n, t in tasks.items())
    assert sum(t.written_bytes for t in tasks_of(made, (), seconds, keep="needed").values()) < sum(
        t.written_bytes for t in tasks.values()
    )
    found = forecast(tasks, 4, Assumptions())
    assert found.critical_path.startswith("ticket levels 0–")
    assert found.critical_seconds == pytest.approx(
        sum(tasks[n].seconds for n in critical_path(tasks))
    )
    done = set(list(made.cells)[:5])
    assert list(tasks_of(made, done, seconds)) == [n for n in made.cells if n not in done]


def test_like_cells_take_as_long_as_those_that_were_measured(tiny):
    made = planned(tiny(replicates=3))
    of_first = {n: c for n, c in made.cells.items() if c.label.replicate == 0}
    measured = {n: {"train_seconds": 1.0 + c.label.level} for n, c in of_first.items()}
    found = cell_seconds(made, {}, measured)
    assert found == pytest.approx({n: 1.0 + c.label.level for n, c in made.cells.items()})


# what makes no sense


WRONG = {
    "a word": ({"claim_seconds": "x"}, "claim_seconds: got 'x', wanted a number, 0 or more"),
    "less than none": ({"losses_per_hour": -1.0}, "losses_per_hour: got -1.0"),
    "no bytes": ({"bytes_per_second": 0.0}, "bytes_per_second: got 0.0, wanted a number, more"),
    "for ever": ({"lease_seconds": math.inf}, "lease_seconds: got inf"),
    "no number": ({"price_per_hour": math.nan}, "price_per_hour: got nan"),
}


@pytest.mark.parametrize("what", WRONG)
def test_assumptions_that_make_no_sense(what):
    arguments, message = WRONG[what]
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        Assumptions(**arguments)


def test_no_workers_and_workers_that_never_finish():
    tasks = {"a": Task(seconds=3600.0)}
    with pytest.raises(UsageError, match="workers: got 0, wanted at least 1"):
        simulate(tasks, 0, IDEAL)
    with pytest.raises(UsageError, match="and a worker lives for 60"):
        simulate(tasks, 1, replace(IDEAL, losses_per_hour=60.0))
    kept = {"a": Task(seconds=3600.0, checkpoint_bytes=1)}
    assert span(simulate(kept, 1, replace(IDEAL, losses_per_hour=60.0))) > 3600
