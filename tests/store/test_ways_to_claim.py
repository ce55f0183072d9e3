"""How a store holds its claims: what was asked of a new one stays, and says so to all."""

import pickle

import pytest
from small_cells import commit, everything, name_of, run_of

from lottery_ticket import choices
from lottery_ticket.errors import StoreError, UsageError
from lottery_ticket.store import Store, repair
from lottery_ticket.store.local.claims import CLAIMS

VERSION_1 = b'{\n "format": "lottery_ticket.store",\n "version": 1\n}\n'
VERSION_2 = b'{\n "format": "lottery_ticket.store",\n "version": 2\n}\n'


@pytest.fixture
def leased(tmp_path):
    store = Store(tmp_path / "store", claims="lease")
    store.open_for_writing()
    return store


def test_the_ways_are_those_that_are_offered():
    assert tuple(CLAIMS) == choices.CLAIMS


@pytest.mark.parametrize(
    ("asked", "kind", "written"),
    [(None, "lock", VERSION_1), ("lock", "lock", VERSION_1), ("lease", "lease", VERSION_2)],
)
def test_a_new_store_has_what_was_asked(asked, kind, written, tmp_path):
    store = Store(tmp_path / "store", claims=asked)
    assert not (tmp_path / "store").exists()
    store.open_for_writing()
    assert (tmp_path / "store" / "format.json").read_bytes() == written
    commit(store, 1)
    again = Store(tmp_path / "store")
    again.open_for_writing()
    for each in (store, again, again.absolute(), pickle.loads(pickle.dumps(again))):
        assert each.claims == kind
    assert (tmp_path / "store" / "format.json").read_bytes() == written


@pytest.mark.parametrize(("has", "asked"), [("lock", "lease"), ("lease", "lock")])
def test_another_way_than_it_has_is_refused_once_there_are_results(has, asked, tmp_path):
    place = tmp_path / "store"
    Store(place, claims=has).open_for_writing()
    changed = Store(place, claims=asked)  # nothing is in it yet
    changed.open_for_writing()
    assert Store(place).claims == asked
    Store(place, claims=has).open_for_writing()
    store = Store(place)
    store.save_run(run_of([1]))
    before = everything(place)
    with pytest.raises(UsageError, match=rf"got '{asked}', but the store holds .* by {has}"):
        Store(place, claims=asked)
    assert everything(place) == before
    assert Store(place, claims=has).claims == has


def test_a_way_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"claims: unknown choice 'leases'; did you mean 'lease'"):
        Store(tmp_path / "store", claims="leases")
    assert not (tmp_path / "store").exists()


def test_whoever_is_second_to_make_a_store_takes_it_as_it_is(tmp_path):
    first, second = Store(tmp_path / "store", claims="lease"), Store(tmp_path / "store")
    first.open_for_writing()
    second.open_for_writing()
    assert second.claims == "lease"
    assert (tmp_path / "store" / "format.json").read_bytes() == VERSION_2


def test_who_opened_it_before_begins_no_run_in_another_way(tmp_path):
    """A store that is empty can be changed while others have it open."""
    ways = (None, None, "lock")
    early, late, asked = (Store(tmp_path / "store", claims=claims) for claims in ways)
    for each in (early, late, asked):
        each.open_for_writing()
    other = Store(tmp_path / "store", claims="lease")
    other.open_for_writing()
    twin = early.absolute()
    with early.in_use("small-00000000"):
        assert early.claims == twin.claims == "lease"
        claim = twin.claim(name_of(1))
        assert other.claim(name_of(1)) is None
        claim.clear()
    with pytest.raises(StoreError, match="by lease; leave --claims out"), asked.in_use("small-0"):
        pytest.fail("it began")
    assert asked.claims == "lock"
    with pytest.raises(StoreError, match="by lease"):
        asked.open_for_writing()  # who had it open does not change it back
    late.open_for_writing()
    assert late.claims == Store(tmp_path / "store").claims == "lease"
    assert {path.name for path in (tmp_path / "store" / "work").iterdir()} == {"leases"}


@pytest.mark.parametrize("left", [None, b"", b"{", b'{"version": 2}', b'{"format": "x"}'])
@pytest.mark.parametrize("claims", ["lock", "lease"])
def test_repair_keeps_the_way(claims, left, tmp_path):
    store = Store(tmp_path / "store", claims=claims)
    store.open_for_writing()
    commit(store, 1)
    path = tmp_path / "store" / "format.json"
    whole = path.read_bytes()
    path.unlink()
    if left is not None and not (claims == "lock" and b"2" in left):
        path.write_bytes(left)
    with pytest.raises(StoreError, match="doctor --repair"):
        Store(tmp_path / "store")
    (done,) = repair(tmp_path / "store")
    assert done.endswith("written anew, for claims by lease" if claims == "lease" else "anew")
    assert path.read_bytes() == whole
    assert Store(tmp_path / "store").claims == claims


def test_leases_of_cells_tell_it_too(leased):
    commit(leased, 1)
    claim = leased.claim(name_of(2))
    (leased.root / "format.json").unlink()
    (leased.root / "work" / "leases").unlink()
    repair(leased.root)
    assert Store(leased.root).claims == "lease"
    claim.clear()


def test_of_what_is_lost_each_claim_keeps_its_own(leased):
    """A checkpoint that cannot be continued stays until garbage is collected, as by locks."""
    claim = leased.claim(name_of(1))
    claim.desk.write("checkpoint", b"broken")
    kept = claim.desk.set_aside("checkpoint")
    claim.clear()
    assert [str(path) for path in (leased.root / "work").glob("unread-*")] == [kept]
    assert leased.collect_garbage().num_bytes == len(b"broken")


def test_a_work_folder_that_is_a_link_is_refused(leased, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    leased.work_folder(name_of(1)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link, which a store does not follow"):
        leased.claim(name_of(1))
    assert list((tmp_path / "elsewhere").iterdir()) == []
