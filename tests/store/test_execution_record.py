"""execution.json: sealed, of one cell, and what earlier versions wrote of it."""

import json
from collections.abc import Callable

import pytest
from small_cells import cell_folder, commit, name_of, run_of

from lottery_ticket.errors import DamagedError
from lottery_ticket.store import Execution, Store, repair, table_rows
from lottery_ticket.store._files import json_bytes, sealed_json

NAME = name_of(1)
VALUES = {
    "device": "cpu", "threads": 1, "versions": {"python": "3.11.7", "torch": "2.8.0"},
    "cpu": "AVX512", "host": "here", "process": 77, "finished": 1.75e9, "train_seconds": 0.125,
    "precision": "fp32", "kernels": {"step": "direct"}, "not_kept": ["optimizer.safetensors"],
}  # fmt: skip
NEW = Execution(VALUES).to_bytes(NAME)
OLD = json_bytes(VALUES)  # as before there was a checksum


def read(data: bytes, cell: str, where: str) -> Execution:
    return Execution.from_bytes(data, cell, where)


def test_what_was_written_is_read():
    assert read(NEW, NAME, "here") == Execution(VALUES)
    assert read(OLD, NAME, "here") == Execution(VALUES, is_sealed=False)
    assert read(NEW, NAME, "here").not_kept == {"optimizer.safetensors"}
    assert next(iter(json.loads(NEW))) == "checksum"


def notices_every_flipped_bit(read: Callable[[bytes, str, str], object]) -> None:
    """The law: no bit of it can change unnoticed, and what is left of its seal is no old one."""
    for index in range(len(NEW)):
        for bit in range(8):
            damaged = bytearray(NEW)
            damaged[index] ^= 1 << bit
            with pytest.raises(DamagedError, match=r"^here: damaged: "):
                read(bytes(damaged), NAME, "here")


def notices_a_broken_seal(read: Callable[[bytes, str, str], object]) -> None:
    body = json.loads(NEW)
    del body["checksum"]
    parts = [NEW[:cut] for cut in range(len(NEW))] + [NEW[cut:] for cut in range(1, len(NEW))]
    lines = NEW.splitlines(keepends=True)
    without_lines = [
        b"".join(lines[:first] + lines[last:])
        for first in range(1, len(lines))
        for last in range(first + 1, len(lines))
    ]
    edited = json_bytes({**body, "threads": 9})
    for data in (*parts, *without_lines, json_bytes(body), edited):
        with pytest.raises(DamagedError, match=r"^here: damaged: "):
            read(data, NAME, "here")


def test_every_flipped_bit_is_noticed():
    notices_every_flipped_bit(read)


def test_a_broken_seal_is_no_old_file():
    notices_a_broken_seal(read)


def reads_the_unsealed_too(data: bytes, cell: str, where: str) -> Execution:
    """As if what fails its checksum had been written before there was one."""
    try:
        return Execution.from_bytes(data, cell, where)
    except DamagedError:
        try:
            values = json.loads(data)
            values.pop("checksum", None)
            return Execution(values, is_sealed=False)
        except (ValueError, AttributeError):
            raise DamagedError(f"{where}: damaged: no JSON") from None


@pytest.mark.parametrize("law", [notices_every_flipped_bit, notices_a_broken_seal])
def test_a_reader_that_falls_back_to_the_unsealed_is_caught(law):
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        law(reads_the_unsealed_too)


def test_that_of_another_cell_is_damage():
    with pytest.raises(DamagedError, match="it is of another cell"):
        read(NEW, name_of(2), "here")
    with pytest.raises(DamagedError, match="it is of another cell"):
        read(sealed_json(VALUES), NAME, "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": "9"}, {"threads": True}, {"threads": -1}, {"device": 5}, {"versions": []},
        {"versions": {"torch": 2}}, {"train_seconds": "long"}, {"not_kept": 5},
        {"not_kept": ["../x"]}, {"kernels": 5}, {"device": "\x1b[2J"}, {"finished": None},
    ],
)  # fmt: skip
def test_values_of_another_type_are_damage(changes):
    for data in (
        Execution({**VALUES, **changes}).to_bytes(NAME),
        json_bytes({**VALUES, **changes}),
    ):
        with pytest.raises(DamagedError, match=r"execution\.\w+: got "):
            read(data, NAME, "here")


def test_an_old_one_is_what_an_earlier_version_could_write():
    del_one = {key: value for key, value in VALUES.items() if key != "host"}
    for data in (
        json_bytes({**VALUES, "more": 1}), json_bytes(del_one), json.dumps(VALUES).encode(),
        OLD + b"\n", OLD[:-1], OLD.replace(b"0.125", b"0.1250"), OLD.replace(b'"cpu":', b'"cqu":'),
        OLD.replace(b' "device": "cpu",\n', b' "device": "gpu",\n "device": "cpu",\n'),
    ):  # fmt: skip
        with pytest.raises(DamagedError):
            read(data, NAME, "here")


def unseal(store: Store, number: int) -> None:
    """As an earlier version wrote it."""
    path = cell_folder(store, commit(store, number)) / "execution.json"
    path.write_bytes(json_bytes({key: VALUES[key] for key in VALUES if key != "not_kept"}))


def test_a_store_of_an_earlier_version_stays_readable_and_can_be_sealed(store):
    for number in range(3):
        unseal(store, number)
    commit(store, 3)
    before = table_rows(store, run_of(range(4)))
    assert len(before) == 4
    found = [store.checked(name_of(number)) for number in range(4)]
    assert [cell.execution.is_sealed for cell in found] == [False, False, False, True]
    records = {n: store.get(name_of(n)) for n in range(4)}
    assert repair(store.root) == [f"{store.root}: gave 3 cells a checksum of how they ran"]
    assert repair(store.root) == []
    found = [store.checked(name_of(number)) for number in range(4)]
    assert all(cell.execution.is_sealed for cell in found)
    assert {n: store.get(name_of(n)) for n in range(4)} == records
    assert table_rows(store, run_of(range(4))) == before
    assert list((store.root / "work").iterdir()) == []
