import hashlib
import io
import json
import math
import os

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as save_tensors

from lottery_ticket.errors import DataError, UsageError
from lottery_ticket.masks import PruningMask

law = settings(max_examples=25, derandomize=True, phases=[Phase.explicit, Phase.generate])

shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@st.composite
def masks(draw):
    seed = draw(st.integers(0, 99))
    return PruningMask.from_tensors(
        {
            name: torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.4
            for name, shape in draw(
                st.dictionaries(names.filter(lambda n: n != "__metadata__"), shapes, max_size=3)
            ).items()
        }
    )


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def small():
    return PruningMask.from_tensors(
        {
            "z.weight": torch.tensor([[True, False, True], [True, True, False]]),
            "a.weight": torch.tensor([True] * 9),
        }
    )


def test_pinned_bytes():
    data = small().to_bytes()
    # 1,0,1,1,1,0 little bit first; nine ones
    assert data[-3:] == bytes([0xFF, 0x01, 0b011101])
    digest = "02a479dad2e2f6c46375f1141d5102bb93ce1b1f84227998e07e28f2489776e5"
    assert hashlib.sha256(data).hexdigest() == digest


def check_round_trip(write, read):
    @law
    @given(masks())
    def check(mask):
        data = write(mask)
        found = read(data)
        assert list(found) == list(mask)
        for name, kept in mask.items():
            assert found[name].dtype == torch.bool
            assert found[name].shape == kept.shape
            assert found[name].tolist() == kept.tolist()
        assert write(found) == data

    check()


def test_round_trip():
    check_round_trip(PruningMask.to_bytes, PruningMask.from_bytes)


def test_a_reader_of_sorted_names_is_caught():
    def sorted_names(data):
        mask = PruningMask.from_bytes(data)
        return PruningMask.from_tensors({name: mask[name] for name in sorted(mask)})

    with pytest.raises(AssertionError):
        check_round_trip(PruningMask.to_bytes, sorted_names)


def test_eight_weights_to_the_byte():
    mask = PruningMask.from_tensors({"w": torch.ones(1000, 80, dtype=torch.bool)})
    assert 10_000 <= len(mask.to_bytes()) < 10_300


@pytest.mark.parametrize("name", ["mask.safetensors", "mask.pt", "mask"])
def test_save_and_load(name, tmp_path):
    path = tmp_path / name
    mask = small()
    mask.save(path)
    assert names_in(tmp_path) == [name]
    assert PruningMask.from_file(str(path)) == mask
    assert list(PruningMask.from_file(path)) == ["z.weight", "a.weight"]
    other = PruningMask.from_tensors({n: torch.ones_like(m) for n, m in mask.items()})
    assert other.load(path) is other
    assert other == mask
    assert list(other) == ["z.weight", "a.weight"]


@pytest.mark.parametrize("name", ["mask.safetensors", "mask.pt"])
def test_the_bytes_do_not_depend_on_where(name, tmp_path):
    (tmp_path / "folder").mkdir()
    small().save(tmp_path / name)
    small().save(tmp_path / "folder" / f"other-{name}")
    other = (tmp_path / "folder" / f"other-{name}").read_bytes()
    assert (tmp_path / name).read_bytes() == other


def test_pt_is_plain_torch(tmp_path):
    small().save(tmp_path / "mask.pt")
    plain = torch.load(tmp_path / "mask.pt", weights_only=True)
    assert type(plain) is dict
    assert PruningMask.from_tensors(plain) == small()


@pytest.mark.parametrize("name", ["mask.safetensors", "mask.pt"])
@pytest.mark.parametrize("folder", ["absent", "file"])
def test_save_where_nothing_can_be_written(folder, name, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="cannot write the mask") as caught:
        small().save(tmp_path / folder / name)
    assert str(tmp_path / folder / name) in str(caught.value)
    assert names_in(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_save_into_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="cannot write the mask"):
        small().save(tmp_path / "mask.safetensors")


def test_save_with_too_long_a_name(tmp_path):
    with pytest.raises(DataError, match="File name too long"):
        small().save(tmp_path / ("x" * 300))


@pytest.mark.parametrize("name", ["mask.safetensors", "mask.pt"])
def test_save_is_atomic(name, tmp_path):
    """What fails leaves the mask that was there, and nothing beside it."""
    (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="a folder is there, which is not replaced"):
        small().save(tmp_path / name)
    assert names_in(tmp_path) == [name]
    (tmp_path / name).rmdir()
    small().save(tmp_path / name)
    small().save(tmp_path / name)
    assert names_in(tmp_path) == [name]


def test_a_missing_file(tmp_path):
    for path in (tmp_path / "absent.safetensors", tmp_path / "absent.pt", tmp_path):
        with pytest.raises(DataError, match="no such mask file; write one with") as caught:
            PruningMask.from_file(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"z.weight": (2, 3)}, "no parameter 'a.weight'|no mask for 'a.weight'"),
        ({"z.weight": (3, 2), "a.weight": (9,)}, r"'z.weight' has shape \(2, 3\)"),
        ({"z.weight": (2, 3), "a.weight": (9,), "more": (1,)}, "no mask for 'more'"),
    ],
)
@pytest.mark.parametrize("name", ["mask.safetensors", "mask.pt"])
def test_a_mask_of_another_model(name, other, problem, tmp_path):
    small().save(tmp_path / name)
    mask = PruningMask.from_tensors({n: torch.ones(s, dtype=bool) for n, s in other.items()})
    with pytest.raises(UsageError, match=problem) as caught:
        mask.load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert mask.density == 1.0
    assert list(mask) == list(other)


class Malicious:
    """Unpickled, it would run a command."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"echo > {self.trace}",)


def check_runs_nothing(read, folder):
    """A mask file with code in it is refused by name, and the code does not run."""
    path, trace = folder / "mask.pt", folder / "trace"
    torch.save({"w": torch.ones(2, dtype=torch.bool), "x": Malicious(trace)}, path)
    message = ""
    try:
        read(path)
    except DataError as error:
        message = str(error)
    assert not trace.exists(), "the code ran"
    assert message.startswith(f"{path}: refused, since loading it would execute code")


@pytest.mark.parametrize("read", [PruningMask.from_file, small().load])
def test_code_in_a_file_does_not_run(read, tmp_path):
    check_runs_nothing(read, tmp_path)
    with pytest.raises(DataError, match="would execute code"):
        read(tmp_path / "mask.pt")


def test_unpickling_is_caught(tmp_path):
    with pytest.raises(AssertionError, match="the code ran"):
        check_runs_nothing(lambda path: torch.load(path, weights_only=False), tmp_path)


def test_a_pickle_named_safetensors_does_not_run(tmp_path):
    path, trace = tmp_path / "mask.safetensors", tmp_path / "trace"
    torch.save(Malicious(trace), path)
    with pytest.raises(DataError, match="not a readable mask file"):
        PruningMask.from_file(path)
    assert not trace.exists()


OTHERS = {
    "a tensor": torch.ones(2, dtype=torch.bool),
    "a list": [torch.ones(2, dtype=torch.bool)],
    "plain lists": {"w": [True]},
    "numbered": {1: torch.ones(2, dtype=torch.bool)},
    "no values": {"w": torch.ones(2, dtype=torch.bool, device="meta")},
    "sparse": {"w": torch.ones(2, dtype=torch.bool).to_sparse()},
}


@pytest.mark.parametrize("other", OTHERS)
def test_pt_of_something_else(other, tmp_path):
    torch.save(OTHERS[other], tmp_path / "mask.pt")
    with pytest.raises(DataError, match="holds plain bool tensors by parameter name") as caught:
        PruningMask.from_file(tmp_path / "mask.pt")
    assert str(tmp_path / "mask.pt") in str(caught.value)


def header(mask_header, **tensors):
    tensors = tensors or {"w": torch.zeros(1, dtype=torch.uint8)}
    return save_tensors(tensors, metadata={"mask": mask_header})


def shaped(shape, **tensors):
    content = {"format": "lottery_ticket.mask/1", "shapes": {"w": shape}}
    return header(json.dumps(content), **tensors)


WHOLE = small().to_bytes()
DAMAGED = {
    "empty": b"",
    "text": b"garbage",
    "cut": WHOLE[:-1],
    "cut in the header": WHOLE[:100],
    "longer": WHOLE + b"\0",
    "huge header": b"\xff" * 8 + WHOLE[8:],
    "weights": save_tensors({"w": torch.ones(3)}),
    "other format": header('{"format": "lottery_ticket.mask/9", "shapes": {}}'),
    "no format": header("{}"),
    "a list": header("[]"),
    "no JSON": header("{"),
    "deep JSON": header("[" * 100_000),
    "no shapes": header('{"format": "lottery_ticket.mask/1"}'),
    "no tensor": shaped([1], v=torch.zeros(1, dtype=torch.uint8)),
    "too many weights": shaped([9]),
    "too few weights": shaped([8], w=torch.zeros(2, dtype=torch.uint8)),
    "no bytes": shaped([8], w=torch.zeros(1, dtype=torch.int8)),
    "negative": shaped([-1, -8]),
    "open": shaped([8, -1, -1]),
    "huge": shaped([0, 10**30], w=torch.zeros(0, dtype=torch.uint8)),
    "fraction": shaped([2.0]),
    "text shape": shaped("ab"),
    "nested shape": shaped([[2]]),
    "null shape": shaped(None),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_safetensors(damage, tmp_path):
    path = tmp_path / "mask.safetensors"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(DataError, match=r"not a (readable )?mask file") as caught:
        PruningMask.from_file(path)
    assert str(path) in str(caught.value)


def plain(**options):
    buffer = io.BytesIO()
    torch.save(dict(small()), buffer, **options)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_damaged_pt_is_a_mask_or_a_data_error(options, tmp_path):
    """Whatever bytes are wrong, the error is ours and names the file."""
    path = tmp_path / "mask.pt"
    whole = plain(**options)
    num_refused = 0

    @settings(law, max_examples=150)
    @given(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=3),
        st.sampled_from([1.0, 1.0, 0.99, 0.5, 0.0]),
    )
    def check(changes, part):
        nonlocal num_refused
        damaged = bytearray(whole)
        for index, value in changes:
            damaged[index] = value
        path.write_bytes(damaged[: math.ceil(part * len(whole))])
        message = str(path)
        try:
            found = PruningMask.from_file(path)
        except DataError as error:
            num_refused += 1
            message = str(error)
        else:
            assert all(mask.dtype == torch.bool for mask in found.values())
        assert message.startswith(str(path))

    check()
    assert num_refused > 20


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_every_suffix_is_read_as_it_was_written(suffix, tmp_path):
    mask = PruningMask.from_tensors({"w": torch.tensor([[True, False, True]])})
    mask.save(tmp_path / f"mask{suffix}")
    assert PruningMask.from_file(tmp_path / f"mask{suffix}") == mask
