"""The bytes of record.json."""

import hashlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.errors import StoreError
from lottery_ticket.store import CellRecord

RECORD = CellRecord.of(
    "ab" * 32,
    {"kind": "train", "train": {"lr": 1e-05, "note": "é"}},
    {"mask": "cd" * 32},
    {"weights.safetensors": b"\0\1\2"},
    {"test_accuracy": 0.9133333333333333, "val_loss": None, "num_steps": 38},
)
BYTES = RECORD.to_bytes()


def test_the_bytes_are_pinned():
    # changing them makes every record in every store a damaged one
    assert hashlib.sha256(BYTES).hexdigest() == (
        "b2c1aae2f45e43faf6a20b2fb4a816f7e80ffe52c5a0bae495aa27739f93f82f"
    )
    assert RECORD.content == "c01403a9031455d9ff9e255ef34c193a294012214362b12d0d19478c69b62e9e"
    assert RECORD.files == {
        "weights.safetensors": {
            "sha256": "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc",
            "bytes": 3,
        }
    }


def test_read_is_what_was_written():
    assert CellRecord.from_bytes(BYTES, "here") == RECORD


def notices_every_flipped_bit(read: Callable[[bytes, str], object]) -> None:
    """The law: no bit of a record can change unnoticed."""
    for index in range(len(BYTES)):
        for bit in range(8):
            damaged = bytearray(BYTES)
            damaged[index] ^= 1 << bit
            with pytest.raises(StoreError, match=r"^here: damaged: "):
                read(bytes(damaged), "here")


def test_every_flipped_bit_is_noticed():
    notices_every_flipped_bit(CellRecord.from_bytes)


def test_a_reader_that_compares_values_breaks_the_law():
    def read(data: bytes, where: str) -> CellRecord:
        try:
            values = json.loads(data)
            checksum = values.pop("checksum")
            record = CellRecord(**values)
            written = json.loads(record.to_bytes())["checksum"]  # 1E-05 is 1e-05 here
        except (ValueError, TypeError, KeyError, AttributeError):
            raise StoreError(f"{where}: damaged: no record") from None
        if written != checksum:
            raise StoreError(f"{where}: damaged: differs")
        return record

    assert read(BYTES, "here") == RECORD
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        notices_every_flipped_bit(read)


@given(data=st.binary(max_size=80) | st.sampled_from([b"{}", b"[]", b"3", b"null", BYTES + b"\n"]))
def test_anything_else_is_refused(data):
    with pytest.raises(StoreError, match=r"^here: damaged: "):
        CellRecord.from_bytes(data, "here")


@pytest.mark.parametrize("length", [0, 1, len(BYTES) // 2, len(BYTES) - 1])
def test_a_truncated_record_is_refused(length):
    with pytest.raises(StoreError, match=r"^here: damaged: "):
        CellRecord.from_bytes(BYTES[:length], "here")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


own_names = st.text().map("own {}".format)  # of others it is known what they may be


@given(results=st.dictionaries(own_names, plain, max_size=5), data=st.binary(max_size=20))
def test_any_results_make_the_round_trip(results, data):
    record = CellRecord.of("ab" * 32, {}, {}, {"file": data}, results)
    again = CellRecord.from_bytes(record.to_bytes(), "here")
    assert again == record
    assert again.content == record.content


def test_content_depends_on_results_and_files_alone():
    same = CellRecord("other", {"seed": 5}, {"mask": "x"}, RECORD.files, RECORD.results)
    assert same.content == RECORD.content
    other = CellRecord.of(RECORD.name, RECORD.inputs, {}, {"w": b"\0\1\3"}, RECORD.results)
    assert other.content != RECORD.content
    worse = {**RECORD.results, "num_steps": 39}
    other = CellRecord(RECORD.name, RECORD.inputs, {}, RECORD.files, worse)
    assert other.content != RECORD.content


def test_not_a_number_is_not_written():
    with pytest.raises(ValueError, match="JSON"):
        CellRecord.of("n", {}, {}, {}, {"loss": float("nan")}).to_bytes()
