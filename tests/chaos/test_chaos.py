"""The laws of `make chaos`, each with what breaks it, and a round."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_proxy import Exchange
from memory_bucket import MemoryBucket
from moto_server import KEYS
from small_cells import commit, name_of, run_of

from chaos import laws, rounds
from chaos.crew import OFTEN, Worker, environment_of
from chaos.disturbances import KINDS, Done, drawn
from chaos.ledger import Ledger
from chaos.rounds import Field
from chaos.runs import held, planned, undisturbed
from lottery_ticket.store import Failure, Store, Submission, note_failure, submit
from lottery_ticket.store._lease import Lease
from lottery_ticket.store.remote import ObjectStore

SECONDS = 0.1
RUN = "small-00000000"


def made(store: Store, numbers: range | list[int] = range(3), data: bytes = b"weights") -> Store:
    store.open_for_writing()
    for number in numbers:
        commit(store, number, data)
    store.save_run(run_of(numbers))
    return store


@pytest.fixture
def bucket() -> MemoryBucket:
    """It has the cells of a run, all of which are finished."""
    bucket = MemoryBucket()
    made(ObjectStore.over(bucket))
    return bucket


# cells


def test_equal_cells_are_equal_wherever_they_lie(tmp_path, bucket):
    expected = held(made(Store(tmp_path / "store")))
    assert not list(laws.differing_cells(ObjectStore.over(bucket), expected))


def test_cells_that_differ_are_lost_or_too_many_are_told(bucket):
    expected = held(ObjectStore.over(bucket))
    store = made(ObjectStore.over(MemoryBucket()), [0], b"others")
    made(store, [7])
    told = {line.partition(": ")[2] for line in laws.differing_cells(store, expected)}
    assert told == {"differs", "lost", "too many"}


def test_what_is_open_is_told(bucket):
    store = ObjectStore.over(bucket)
    assert not list(laws.open_submissions(store))
    submit(store, RUN, Submission("auto", "all", 1, {}))
    note_failure(store, name_of(0), Failure("no luck", "here", 1, 0.0))
    told = [line.partition(": ")[2] for line in laws.open_submissions(store)]
    assert told == ["still submitted", "noted as failed"]


def test_a_damaged_file_is_told(s3):
    store = made(Store(s3))
    assert isinstance(store, ObjectStore)
    assert not list(laws.unverified(store))
    key = next(one.key for one in store.bucket.list("files"))
    store.bucket.put(key, b"rotten")
    (told,) = laws.unverified(store)
    assert "damaged" in told


# what is left


def left_behind(bucket: MemoryBucket, collect=ObjectStore.collect_garbage) -> list[str]:
    return list(laws.after_garbage_collection(bucket, [RUN], collect, seconds=SECONDS))


@pytest.fixture
def littered(bucket: MemoryBucket) -> MemoryBucket:
    """With what those have left that were killed: amid a cell, amid a commit, between two cells,
    before they began."""
    dead = [Lease(seconds=SECONDS) for _ in range(3)]
    bucket.put(f"claims/{name_of(0)}", dead[0].to_bytes())
    bucket.put(f"work/{dead[0].token}/checkpoint", b"half way")
    bucket.put(f"files/{dead[1].token}/weights.safetensors", b"half way")
    bucket.put(f"uses/{RUN}.{dead[2].token}", dead[2].to_bytes())
    bucket.put("probe/0123456789abcdef", b"")
    return bucket


def test_garbage_collection_leaves_the_cells_alone(littered):
    assert left_behind(littered) == []


def test_what_is_left_behind_is_told(littered):
    told = left_behind(littered, lambda store: None)
    assert [line.split("/")[0] for line in told] == [
        f"left behind: {folder}" for folder in ("claims", "files", "probe", "uses", "work")
    ]


def test_what_goes_too_far_is_told(bucket):
    def collects_too_much(store: ObjectStore) -> None:
        bucket.remove([next(bucket.list("files")).key])

    (told,) = left_behind(bucket, collects_too_much)
    assert told.startswith("gone with the garbage: files/")


# who made what


def put(ledger: Ledger, key: str, data: bytes, at: float, status: int = 200) -> None:
    ledger.hear(Exchange("PUT", f"/bucket/chaos/{key}", data, status, at - 0.01, at))


def told_of(*, silent_seconds: float | None) -> tuple[Ledger, Lease, Lease]:
    """A cell that is claimed, and taken over, if it is, after silence."""
    ledger, first = Ledger(), Lease(seconds=3.0, process=7)
    second = first.taken_over(3.0, is_lost=True)
    put(ledger, f"claims/{name_of(0)}", first.to_bytes(), 100.0)
    put(ledger, f"claims/{name_of(0)}", first.next().to_bytes(), 101.0)
    if silent_seconds is not None:
        put(ledger, f"claims/{name_of(0)}", second.to_bytes(), 101.0 + silent_seconds - 0.01)
    return ledger, first, second


def committed(ledger: Ledger, lease: Lease, at: float, status: int = 200) -> None:
    put(ledger, f"cells/{name_of(0)}", json.dumps({"token": lease.token}).encode(), at, status)


@pytest.mark.parametrize(("silent_seconds", "is_early"), [(None, False), (3.1, False), (2.9, True)])
def test_who_is_taken_for_dead_too_early_is_told(silent_seconds, is_early):
    ledger, *_ = told_of(silent_seconds=silent_seconds)
    assert bool(list(laws.taken_too_early(ledger))) == is_early


@pytest.mark.parametrize(("silent_seconds", "is_broken"), [(None, True), (4.0, False)])
def test_who_trains_twice_without_a_lease_that_expired_is_told(silent_seconds, is_broken):
    ledger, first, second = told_of(silent_seconds=silent_seconds)
    committed(ledger, first, 110.0)
    committed(ledger, first, 110.1, status=412)  # whose answer was lost
    assert not list(laws.trained_twice_unasked(ledger))
    committed(ledger, second, 111.0, status=412)
    assert bool(list(laws.trained_twice_unasked(ledger))) == is_broken


def test_work_goes_on_when_it_is_taken_or_done():
    ledger, first, second = told_of(silent_seconds=4.0)
    done = Done("kill", 101.5, {name_of(0): first.token})
    assert done.resumed_seconds(ledger) == pytest.approx(3.49)
    assert Done("kill", 102.0).resumed_seconds(ledger) is None
    committed(ledger, second, 107.0)
    assert Done("stop", 106.0, {name_of(0): first.token}).resumed_seconds(ledger) == 1.0
    assert Done("outage", 106.5).resumed_seconds(ledger) == 0.5
    assert ledger.held(7) == ledger.held() == {}


def test_what_a_process_holds_is_known():
    ledger, first, second = told_of(silent_seconds=4.0)
    assert ledger.held(second.process) == {name_of(0): second.token}
    assert ledger.held(first.process) == {}
    refused = Lease(process=8)
    put(ledger, f"claims/{name_of(1)}", refused.to_bytes(), 120.0, status=412)
    assert ledger.held(8) == {}


# ends


@pytest.mark.parametrize(
    ("code", "is_clean"),
    [
        ("print('{}')", True),
        ("", True),
        ("exit(1)", False),
        ('print(\'{"failures": {"run": {}}, "refused": {}}\')', False),
        ("import sys; print('Traceback', file=sys.stderr)", False),
    ],
)
def test_who_does_not_end_well_is_told(code, is_clean, tmp_path):
    with (tmp_path / "stdout").open("wb") as out, (tmp_path / "stderr").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=err)
    process.wait()
    assert list(laws.unclean_ends([Worker(process, tmp_path, was_killed=True)])) == []
    assert bool(list(laws.unclean_ends([Worker(process, tmp_path)]))) != is_clean


# rounds


def test_a_round_is_its_number():
    plans = [drawn(random.Random(f"0 {number}"), 40) for number in range(1, 51)]
    assert plans == [drawn(random.Random(f"0 {number}"), 40) for number in range(1, 51)]
    assert {one.kind for plan in plans for one in plan} == set(KINDS)
    assert all([one.kind for one in plan].count("outage") <= 1 for plan in plans)
    assert all(plan == sorted(plan, key=lambda one: one.after) for plan in plans)
    assert all(one.leases > 1 for plan in plans for one in plan)


@pytest.fixture(scope="module")
def field(moto: str, tmp_path_factory: pytest.TempPathFactory):
    """What rounds have in common, in this process's environment."""
    folder = tmp_path_factory.mktemp("chaos")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment_of(moto, KEYS, folder / "cache").items():
            patched.setenv(name, value)
        plans = planned()
        expected = undisturbed(plans, folder / "undisturbed")
        yield Field(moto, plans, expected, 3.0, folder / "findings")


@pytest.mark.slow
def test_a_round(field):
    row = rounds.play(field, 4, seed=0)
    assert row.broken == []
    assert row.num_cells == len(field.expected)
    assert row.num_kills + row.num_stops + row.num_outages == len(row.disturbed.split())
    assert not list(Path(field.keep).iterdir())


@pytest.mark.slow
def test_a_worker_that_trains_otherwise_is_found(field):
    wrong = Path(__file__).with_name("wrong_order.py")
    row = rounds.play(field, 2, seed=0, imports=(OFTEN, wrong))
    assert any("differs" in line for line in row.broken)
    assert (field.keep / "round-2" / "ledger.txt").read_text()
