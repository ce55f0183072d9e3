import hashlib

import pytest
import torch

from lottery_ticket.tickets import weights_sha256
from lottery_ticket.tickets._canonical import little_endian


def test_pinned():
    tensors = {"b": torch.tensor([1.0, -2.5]), "a": torch.tensor(3)}
    content = b'["a","int64",[]]\n' + bytes([3, 0, 0, 0, 0, 0, 0, 0])
    content += b'["b","float32",[2]]\n' + bytes.fromhex("0000803f000020c0")
    assert weights_sha256(tensors) == hashlib.sha256(content).hexdigest()
    digest = "33de626f55c1b44132352885fe3f1aba7943821424228f20cb89b8935ca6d054"
    assert weights_sha256(tensors) == digest


BASE = {"w": torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "v": torch.tensor([1, 2])}
OTHERS = {
    "a value": BASE | {"v": torch.tensor([1, 3])},
    "a sign of zero": BASE | {"w": torch.tensor([[-0.0, 1.0], [2.0, 3.0]])},
    "a shape": BASE | {"w": BASE["w"].view(4)},
    "a dtype": BASE | {"v": torch.tensor([1, 2], dtype=torch.int32)},
    "an order": BASE | {"w": BASE["w"].T},
    "a name": {"w": BASE["w"], "u": BASE["v"]},
    "names exchanged": {"w": BASE["v"], "v": BASE["w"]},
    "one more": BASE | {"u": torch.empty(0)},
    "one less": {"w": BASE["w"]},
}


def check_tells_apart(digest):
    assert digest(BASE) == digest(dict(reversed(BASE.items())))
    assert digest(BASE) == digest(BASE | {"w": BASE["w"].T.contiguous().T})
    for what, other in OTHERS.items():
        assert digest(other) != digest(BASE), what


def test_tells_apart():
    check_tells_apart(weights_sha256)


def of_values(tensors):
    return [(name, tensors[name].tolist()) for name in sorted(tensors)]


def of_bytes(tensors):
    return b"".join(little_endian(tensors[name]).tobytes() for name in sorted(tensors))


def in_order(tensors):
    return [(name, weights_sha256({name: value})) for name, value in tensors.items()]


def of_storage(tensors):
    return [
        (n, t.dtype, t.shape, bytes(t.untyped_storage().tolist()))
        for n, t in sorted(tensors.items())
    ]


@pytest.mark.parametrize("mutant", [of_values, of_bytes, in_order, of_storage])
def test_other_digests_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_tells_apart(mutant)


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float64, torch.complex64],
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 2)])
def test_any_dtype_and_shape(dtype, shape):
    value = torch.ones(shape, dtype=dtype)
    assert len(weights_sha256({"w": value})) == 64
    assert len(little_endian(value)) == value.numel() * value.element_size()


@pytest.mark.parametrize("dtype", [torch.int16, torch.float64, torch.complex64])
def test_a_machine_with_the_big_end_first(dtype):
    """Its memory holds each number the other way round; what is hashed is the same."""
    value = torch.tensor([[1, 300], [-5, 2]]).to(dtype)
    real = torch.view_as_real(value) if dtype.is_complex else value
    octets = real.contiguous().view(-1).view(torch.uint8).view(-1, real.element_size())
    as_there = octets.flip(1).reshape(-1).view(real.dtype).view(real.shape)
    as_there = torch.view_as_complex(as_there) if dtype.is_complex else as_there
    assert bytes(little_endian(as_there, "big")) == bytes(little_endian(value, "little"))
