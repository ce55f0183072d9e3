import hashlib
import json
import os
import zlib

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from small_tickets import PLAIN, drawn_ticket, same_bits, stored_ticket

from lottery_ticket.errors import DataError, LotteryError
from lottery_ticket.masks import PruningMask
from lottery_ticket.tickets import Ticket, WeightsOrigin, weights_sha256

law = settings(
    max_examples=40,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)


def tiny(**more):
    mask = PruningMask.from_tensors(
        {
            "z.weight": torch.tensor([[True, False, True], [True, True, False]]),
            "a.weight": torch.tensor([True, False]),
        }
    )
    tensors = {
        "z.weight": torch.arange(6.0).view(2, 3),
        "a.weight": torch.tensor([7.0, 8.0]),
        "a.steps": torch.tensor(9),
    }
    return Ticket(mask, WeightsOrigin(tensors, step=3), **{**PLAIN, **more})


def test_pinned_bytes():
    data = tiny().to_bytes()
    found = {name: value.tolist() for name, value in load_tensors(data).items()}
    assert bytes(found.pop("mask/z.weight")) == zlib.compress(bytes([0b10111000]))
    assert bytes(found.pop("mask/a.weight")) == zlib.compress(bytes([0b10000000]))
    assert found == {
        "weights/z.weight": [0.0, 2.0, 3.0, 4.0],
        "weights/a.weight": [7.0],
        "weights/a.steps": 9,
    }
    assert (
        hashlib.sha256(data).hexdigest()
        == "7fa51fc338a93461e5f98f44502fada4fca7a26478f22577cc192b379eecc785"
    )


def test_the_header_says_what_there_is():
    header, _ = opened(tiny().to_bytes())
    digest = header.pop("sha256")
    assert len(digest) == 64
    assert header == {
        "format": "lottery_ticket.ticket/1",
        "layers": [
            {"name": "z.weight", "shape": [2, 3], "kept": 4, "code": "bits"},
            {"name": "a.weight", "shape": [2], "kept": 1, "code": "bits"},
        ],
        "origin": {"weights": "kept", "step": 3, "model": None, "options": {}},
        "has_trained": False,
        **PLAIN,
    }
    header, tensors = opened(drawn_ticket().to_bytes())
    assert set(header["origin"]) == {"model", "options", "seed", "sha256"}
    assert set(tensors) == {f"mask/fc{i}.weight" for i in (1, 2, 3)}


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@st.composite
def tickets(draw):
    stream = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    density = draw(st.sampled_from([0.0, 0.02, 0.4, 1.0]))
    shapes = draw(st.dictionaries(names, st.lists(st.integers(0, 40), max_size=3), max_size=3))
    dtype = draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float64]))
    tensors = {n: torch.randn(s, generator=stream).to(dtype) for n, s in shapes.items()}
    mask = {n: torch.rand(s, generator=stream) < density for n, s in shapes.items()}
    tensors |= {"other": torch.ones(2, 0), "count": torch.tensor(3)}
    mask = PruningMask.from_tensors(mask)
    trained = {n: torch.where(mask[n], v, 0) if n in mask else v for n, v in tensors.items()}
    json_values = st.dictionaries(
        st.text(max_size=3),
        st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    )
    return Ticket(
        mask,
        WeightsOrigin(tensors, draw(st.integers(0, 9)), draw(st.sampled_from(["kept", "all"]))),
        draw(json_values),
        draw(json_values),
        trained if draw(st.booleans()) else None,
    )


def check_round_trip(write, read):
    @law
    @given(tickets())
    def check(ticket):
        data = write(ticket)
        found = read(data)
        assert list(found.mask) == list(ticket.mask)
        assert found.mask == ticket.mask
        assert (found.trained is None) == (ticket.trained is None)
        for trained in [False, True] if ticket.trained else [False]:
            assert same_bits(found.weights(trained=trained), ticket.weights(trained=trained))
        if ticket.origin.weights == "all":
            assert same_bits(found.origin.tensors, ticket.origin.tensors)
        assert (found.metrics, found.provenance) == (ticket.metrics, ticket.provenance)
        assert (found.origin.step, found.origin.weights) == (
            ticket.origin.step,
            ticket.origin.weights,
        )
        assert write(found) == data == write(ticket)

    check()


def test_round_trip():
    check_round_trip(Ticket.to_bytes, Ticket.from_bytes)


def sorts_its_layers(data):
    ticket = Ticket.from_bytes(data)
    mask = PruningMask.from_tensors({name: ticket.mask[name] for name in sorted(ticket.mask)})
    return Ticket(mask, ticket.origin, ticket.metrics, ticket.provenance, ticket.trained)


def forgets_the_trained(data):
    ticket = Ticket.from_bytes(data)
    return Ticket(ticket.mask, ticket.origin, ticket.metrics, ticket.provenance)


def reads_the_trained_as_initial(data):
    ticket = Ticket.from_bytes(data)
    return Ticket(
        ticket.mask,
        WeightsOrigin(ticket.weights(), ticket.origin.step, ticket.origin.weights),
        ticket.metrics,
        ticket.provenance,
        ticket.trained,
    )


@pytest.mark.parametrize(
    "mutant", [sorts_its_layers, forgets_the_trained, reads_the_trained_as_initial]
)
def test_other_readers_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_round_trip(Ticket.to_bytes, mutant)


def test_equal_values_are_equal_bytes():
    one = tiny(metrics={"a": 1, "b": [2.0]}, provenance={"x": None, "y": {"p": 1, "q": 2}})
    other = tiny(metrics={"b": (2.0,), "a": 1}, provenance={"y": {"q": 2, "p": 1}, "x": None})
    assert one.to_bytes() == other.to_bytes()
    strided = WeightsOrigin(
        {n: v.mT.contiguous().mT if v.ndim > 1 else v for n, v in one.origin.tensors.items()},
        step=3,
    )
    assert Ticket(one.mask, strided, one.metrics, one.provenance).to_bytes() == one.to_bytes()


def test_save_and_load(tmp_path):
    path = tmp_path / "mine.ticket.safetensors"
    tiny().save(str(path))
    tiny().save(path)
    assert Ticket.load(str(path)) == Ticket.load(path) == tiny()
    assert path.read_bytes() == tiny().to_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_save_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "absent" / "t", tmp_path / "file" / "t", tmp_path / "folder"):
        with pytest.raises(
            LotteryError, match=r"cannot write the ticket|is not replaced"
        ) as caught:
            tiny().save(path)
        assert str(path) in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "absent.ticket.safetensors", tmp_path):
        with pytest.raises(DataError, match="no such ticket file; write one with Ticket") as caught:
            Ticket.load(path)
        assert str(path) in str(caught.value)


def opened(data):
    length = int.from_bytes(data[:8], "little")
    return (
        json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["ticket"]),
        load_tensors(data),
    )


def resealed(header, tensors):
    """A file with a right checksum, written by the format's description alone."""
    header.pop("sha256", None)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(f"{text}\n{weights_sha256(tensors)}".encode()).hexdigest()
    return save_tensors(tensors, metadata={"ticket": json.dumps({**header, "sha256": checksum})})


def test_other_writers_can_follow_the_description():
    for ticket in (tiny(), drawn_ticket(), stored_ticket("all")):
        assert Ticket.from_bytes(resealed(*opened(ticket.to_bytes()))) == ticket


def hostile(change):
    header, tensors = opened(tiny().to_bytes())
    change(header, tensors)
    return resealed(header, tensors)


def layer(**values):
    return lambda header, tensors: header["layers"][1].update(values)


def origin(**values):
    return lambda header, tensors: header["origin"].update(values)


WHOLE = tiny().to_bytes()
DAMAGED = {
    "empty": b"",
    "text": b"garbage",
    "cut": WHOLE[:-1],
    "cut in the header": WHOLE[:100],
    "longer": WHOLE + b"\0",
    "a mask file": tiny().mask.to_bytes(),
    "weights": save_tensors({"w": torch.ones(3)}),
    "no JSON": save_tensors({"w": torch.ones(3)}, metadata={"ticket": "{"}),
    "a list": save_tensors({"w": torch.ones(3)}, metadata={"ticket": "[]"}),
    "deep JSON": save_tensors({"w": torch.ones(3)}, metadata={"ticket": "[" * 100_000}),
    "another format": hostile(lambda header, _: header.update(format="lottery_ticket.ticket/2")),
    "no layers": hostile(lambda header, _: header.pop("layers")),
    "no origin": hostile(lambda header, _: header.pop("origin")),
    "no metrics": hostile(lambda header, _: header.pop("metrics")),
    "metrics of another kind": hostile(lambda header, _: header.update(metrics=[1])),
    "an unknown tensor": hostile(lambda _, tensors: tensors.update(more=torch.ones(1))),
    "no mask": hostile(lambda _, tensors: tensors.pop("mask/z.weight")),
    "a mask of floats": hostile(
        lambda _, tensors: tensors.update({"mask/z.weight": tensors["mask/z.weight"].float()})
    ),
    "no weights": hostile(lambda _, tensors: tensors.pop("weights/z.weight")),
    "too many weights": hostile(
        lambda _, tensors: tensors.update({"weights/z.weight": torch.ones(5)})
    ),
    "no trained weights": hostile(lambda header, _: header.update(has_trained=True)),
    "a layer twice": hostile(lambda header, _: header["layers"].append(header["layers"][0])),
    "a negative shape": hostile(layer(shape=[-1, -2])),
    "an open shape": hostile(layer(shape=[-1])),
    "a fraction": hostile(layer(shape=[2.0])),
    "a text": hostile(layer(shape="2")),
    "true": hostile(layer(shape=[True, 2])),
    "huge and empty": hostile(layer(shape=[0, 10**30])),
    "kept more than there are": hostile(layer(kept=3)),
    "kept less than there are": hostile(layer(kept=0)),
    "kept none": hostile(layer(kept=None)),
    "another encoding": hostile(layer(code="runs")),
    "a negative step": hostile(origin(step=-1)),
    "another choice": hostile(origin(weights="some")),
    "an unknown key": hostile(origin(more=1)),
    "a seed beside weights": hostile(origin(seed=1)),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files(damage, tmp_path):
    path = tmp_path / "t.ticket.safetensors"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(DataError, match=r"not a (readable )?ticket file") as caught:
        Ticket.load(path)
    assert str(caught.value).startswith(str(path))


def read_or_refused(data):
    """The ticket, or None for an error that names the file."""
    try:
        return Ticket.from_bytes(data, "mine")
    except DataError as error:
        return None if str(error).startswith("mine: ") else error


def test_any_wrong_bit_is_noticed():
    for ticket in (tiny(), drawn_ticket()):
        data = ticket.to_bytes()
        num_refused = 0
        for index in range(len(data)):
            for bit in (1, 128):
                damaged = bytearray(data)
                damaged[index] ^= bit
                found = read_or_refused(bytes(damaged))
                num_refused += found is None
                assert found is None or found == ticket
        assert num_refused == 2 * len(data)


def test_a_file_cut_anywhere_is_refused():
    for length in range(len(WHOLE)):
        with pytest.raises(DataError, match="mine: not a readable ticket file"):
            Ticket.from_bytes(WHOLE[:length], "mine")


def test_a_small_file_that_claims_much():
    gaps = torch.frombuffer(bytearray(zlib.compress(b"\x05")), dtype=torch.uint8)
    shape = [2**40, 2]
    claimed = hostile(
        lambda header, tensors: (
            header["layers"].append({"name": "huge", "shape": shape, "kept": 1, "code": "gaps"}),
            tensors.update({"mask/huge": gaps, "weights/huge": torch.ones(1)}),
        )
    )
    with pytest.raises(DataError, match=r"claims 2,199,023,255,560 weights.*max_weights=2199"):
        Ticket.from_bytes(claimed)
    whole = tiny().to_bytes()
    assert Ticket.from_bytes(whole, max_weights=8) == tiny()
    with pytest.raises(DataError, match="ticket: claims 8 weights"):
        Ticket.from_bytes(whole, max_weights=7)


def test_a_mask_that_is_a_bomb():
    bomb = torch.frombuffer(bytearray(zlib.compress(bytes(10**7))), dtype=torch.uint8)
    data = hostile(lambda _, tensors: tensors.update({"mask/z.weight": bomb}))
    with pytest.raises(DataError, match="zlib data of another length than wanted"):
        Ticket.from_bytes(data)


class Malicious:
    """Unpickled, it would run a command."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"echo > {self.trace}",)


def test_code_in_a_file_does_not_run(tmp_path):
    path, trace = tmp_path / "t.ticket.safetensors", tmp_path / "trace"
    torch.save({"w": Malicious(trace)}, path)
    with pytest.raises(DataError, match="not a readable ticket file"):
        Ticket.load(path)
    assert not trace.exists()
