import math
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from lottery_ticket.gaps import decode_gaps, encode_gaps
from lottery_ticket.tickets._codec import decode_mask, encode_mask

law = settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
SHAPES = [(), (0,), (3, 0, 2), (1,), (7,), (8,), (9,), (2, 3), (40, 50), (4, 3, 5, 5), (3000,)]


def random_mask(shape, density, seed):
    return np.random.default_rng(seed).random(shape) < density


masks = st.builds(
    random_mask,
    st.sampled_from(SHAPES) | st.lists(st.integers(0, 9), max_size=4).map(tuple),
    st.sampled_from([0.0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0]) | st.floats(0, 1),
    st.integers(0, 999),
)


def kept_at(size, *positions):
    mask = np.zeros(size, dtype=bool)
    mask[list(positions)] = True
    return mask


def check_round_trip(encode, decode):
    @law
    @given(masks)
    # distances around the escape, from the start too; the first and the last weight
    @example(kept_at(4000, 254))
    @example(kept_at(4000, 255))
    @example(kept_at(4000, 0, 254, 509, 765, 1275, 3999))
    @example(kept_at(4000, 3999))
    @example(kept_at(4000))
    def check(mask):
        encoding, data = encode(mask)
        try:
            found = decode(encoding, data, mask.shape, int(mask.sum()))
        except ValueError as error:
            raise AssertionError("not read back") from error
        assert found.dtype == np.bool_
        assert found.shape == mask.shape
        assert found.tolist() == mask.tolist()

    check()


def test_round_trip():
    check_round_trip(encode_mask, decode_mask)


@pytest.mark.parametrize("piece_bytes", [1, 2, 7])
def test_gaps_are_read_in_pieces(piece_bytes):
    def encode(mask):
        return "gaps", encode_gaps(np.flatnonzero(mask))

    def decode(encoding, code, shape, num_kept):
        return decode_gaps(code, math.prod(shape), piece_bytes=piece_bytes).reshape(shape)

    check_round_trip(encode, decode)


def coded(encoding, change):
    """A wrong encoder: the right one's bytes of one encoding, changed."""

    def encode(mask):
        name, data = encode_mask(mask)
        if name != encoding:
            return name, data
        code = np.frombuffer(zlib.decompress(data), np.uint8)
        return name, zlib.compress(change(code.copy()).astype(np.uint8).tobytes())

    return encode


def little_bits_first(code):
    return np.packbits(np.unpackbits(code), bitorder="little")


def one_too_far(code):
    code[:1] += code[:1] < 254
    return code


def without_the_last(code):
    return code[:-1]


def escapes_of_256(code):
    """255 further for every 256."""
    return np.array([value + 1 if 0 < value < 254 else value for value in code])


def without_escapes(code):
    return code[code < 255]


@pytest.mark.parametrize(
    "encode",
    [
        coded("bits", little_bits_first),
        coded("bits", without_the_last),
        coded("bits", lambda code: ~code),
        coded("gaps", one_too_far),
        coded("gaps", without_the_last),
        coded("gaps", escapes_of_256),
        coded("gaps", without_escapes),
        coded("gaps", lambda code: code[::-1]),
        lambda mask: encode_mask(mask.T),
    ],
)
def test_other_encoders_are_caught(encode):
    with pytest.raises(AssertionError):
        check_round_trip(encode, decode_mask)


def forgets_the_shape(*arguments):
    return decode_mask(*arguments).reshape(-1)


def starts_at_one(encoding, data, shape, num_kept):
    found = decode_mask(encoding, data, shape, num_kept)
    return np.roll(found, 1) if encoding == "gaps" else found


def gives_bytes(*arguments):
    return decode_mask(*arguments).astype(np.uint8)


@pytest.mark.parametrize("decode", [forgets_the_shape, starts_at_one, gives_bytes])
def test_other_decoders_are_caught(decode):
    with pytest.raises(AssertionError):
        check_round_trip(encode_mask, decode)


def raw_codes(mask):
    """Both encodings before zlib, slow and plainly right."""
    bits = bytearray(-(-mask.size // 8))
    gaps, last = bytearray(), 0
    for position in np.flatnonzero(mask).tolist():
        bits[position // 8] |= 128 >> position % 8
        gap, last = position - last, position
        gaps += b"\xff" * (gap // 255) + bytes([gap % 255])
    return {"bits": bytes(bits), "gaps": bytes(gaps)}


def deflated(code, raw):
    deflate = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY if code == "gaps" else 0)
    return deflate.compress(raw) + deflate.flush()


def check_is_the_smaller(encode):
    chosen = set()

    @law
    @given(masks)
    def check(mask):
        encoding, data = encode(mask)
        raw = raw_codes(mask)
        lengths = {name: len(deflated(name, code)) for name, code in raw.items()}
        assert zlib.decompress(data) == raw[encoding]
        assert len(data) == min(lengths.values())
        if lengths["bits"] == lengths["gaps"]:
            assert encoding == "bits"
        chosen.add(encoding)

    check()
    assert chosen == {"bits", "gaps"}


def test_is_the_smaller():
    check_is_the_smaller(encode_mask)


@pytest.mark.parametrize(
    "encode",
    [
        lambda mask: ("bits", deflated("bits", raw_codes(mask)["bits"])),
        lambda mask: ("gaps", deflated("gaps", raw_codes(mask)["gaps"])),
        lambda mask: max((deflated(*item), item[0]) for item in raw_codes(mask).items())[::-1],
        lambda mask: (encode_mask(mask)[0], zlib.compress(raw_codes(mask)[encode_mask(mask)[0]])),
    ],
)
def test_longer_codes_are_caught(encode):
    with pytest.raises(AssertionError):
        check_is_the_smaller(encode)


def test_literal_codes():
    mask = kept_at(600, 0, 3, 258, 514)
    encoding, data = encode_mask(mask)
    assert (encoding, zlib.decompress(data)) == ("gaps", bytes([0, 3, 255, 0, 255, 1]))
    mask = kept_at(9, 0, 2, 8)
    encoding, data = encode_mask(mask)
    assert (encoding, zlib.decompress(data)) == ("bits", bytes([0b10100000, 128]))


def test_close_to_the_entropy():
    """Random positions at LeNet-300-100's density of level 20 cost at most 10 % over it."""
    density, shape = 0.006, (300, 784)
    mask = random_mask(shape, density, 0)
    share = mask.mean()
    bits = -(share * math.log2(share) + (1 - share) * math.log2(1 - share)) * mask.size
    assert bits / 8 < len(encode_mask(mask)[1]) < 1.1 * bits / 8


BITS = zlib.compress(bytes([0b10100000]))
GAPS = zlib.compress(bytes([0, 2]))
WRONG = {
    "no zlib": ("bits", b"garbage", (8,), 2, "incorrect header check"),
    "empty": ("bits", b"", (8,), 2, "zlib data of another length than wanted"),
    "cut": ("bits", BITS[:-1], (8,), 2, "zlib data of another length"),
    "a byte more": ("bits", BITS + b"\0", (8,), 2, "zlib data of another length"),
    "damaged": ("bits", BITS[:-1] + bytes([BITS[-1] ^ 1]), (8,), 2, "incorrect data check"),
    "too many bytes": ("bits", zlib.compress(bytes(2)), (8,), 0, "zlib data of another length"),
    "too few bytes": ("bits", BITS, (9,), 2, "1 bytes of packed bits for 9 weights"),
    "a bit beyond the end": ("bits", BITS, (2,), 2, "1 bytes of packed bits for 2 weights"),
    "another count": ("bits", BITS, (8,), 3, "2 weights kept, wanted 3"),
    "more gaps than counted": ("gaps", GAPS, (8,), 1, "zlib data of another length"),
    "more gaps, no escapes": ("gaps", GAPS, (800,), 1, "2 weights kept, wanted 1"),
    "fewer gaps than counted": ("gaps", GAPS, (8,), 3, "2 weights kept, wanted 3"),
    "beyond the end": ("gaps", GAPS, (2,), 2, "gaps that lead nowhere, in 2 weights"),
    "one weight twice": ("gaps", zlib.compress(bytes([1, 0])), (8,), 2, "gaps that lead nowhere"),
    "an open end": ("gaps", zlib.compress(bytes([0, 255])), (800,), 1, "gaps that lead nowhere"),
    "another encoding": ("runs", BITS, (8,), 2, "unknown encoding 'runs'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_data_is_refused(case):
    *arguments, problem = WRONG[case]
    with pytest.raises(ValueError, match=problem):
        decode_mask(*arguments)


def check_never_inflates_a_bomb(decode):
    bomb = zlib.compress(bytes(30_000_000))
    for encoding in ("bits", "gaps"):
        tracemalloc.start()
        try:
            decode(encoding, bomb, (8, 100), 10)
        except ValueError:
            pass
        else:
            raise AssertionError("a bomb was read")
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 1_000_000


def test_never_inflates_a_bomb():
    check_never_inflates_a_bomb(decode_mask)


def test_inflating_a_bomb_is_caught():
    def inflates_all(encoding, data, shape, num_kept):
        return decode_mask(encoding, zlib.compress(zlib.decompress(data)), shape, num_kept)

    with pytest.raises(AssertionError):
        check_never_inflates_a_bomb(inflates_all)
