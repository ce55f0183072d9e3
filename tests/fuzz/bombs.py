"""Small files that claim much, or unpack to much."""

import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save

__all__ = [
    "Bombs",
    "archives",
    "graphs",
    "idx_files",
    "masks",
    "npz_files",
    "packed_files",
    "plain_masks",
    "specs",
    "tickets",
]

Bombs = dict[str, Callable[[], bytes]]
GIB = 2**30
RAN = "LOTTERY_FUZZ_RAN"
"""Set in the environment by code that should not have run."""
CODE = f"__import__('os').environ.__setitem__('{RAN}', 'yes')"


@dataclass(frozen=True)
class Long:
    """Bytes that begin with `start` and go on with `num_zeros` zeros, never written out."""

    start: bytes
    num_zeros: int

    @property
    def size(self) -> int:
        """How many they are."""
        return len(self.start) + self.num_zeros

    @property
    def crc(self) -> int:
        """Their CRC-32."""
        value = zlib.crc32(self.start)
        for piece in _pieces(self.num_zeros):
            value = zlib.crc32(_MIB[:piece], value)
        return value

    @property
    def adler(self) -> int:
        """Their Adler-32, which for zeros is a formula."""
        value = zlib.adler32(self.start)
        low, high = value & 0xFFFF, value >> 16
        return (high + low * self.num_zeros) % 65521 << 16 | low

    def deflated(self) -> bytes:
        """As a raw deflate stream: a block of zeros, many times."""
        first = zlib.compressobj(9, wbits=-15)
        head = first.compress(self.start) + first.flush(zlib.Z_FULL_FLUSH)
        block = first.compress(_MIB) + first.flush(zlib.Z_FULL_FLUSH)
        rest = first.compress(_MIB[: self.num_zeros % 2**20]) + first.flush(zlib.Z_FINISH)
        return head + block * (self.num_zeros >> 20) + rest

    def as_zlib(self) -> bytes:
        """As zlib data."""
        return b"\x78\xda" + self.deflated() + self.adler.to_bytes(4, "big")

    def as_gzip(self) -> bytes:
        """As gzip data."""
        end = struct.pack("<2I", self.crc, self.size % 2**32)
        return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + self.deflated() + end


_MIB = bytes(2**20)


def archive_of(entries: Mapping[str, Long]) -> bytes:
    """A zip archive of deflated entries."""
    body, directory = b"", b""
    for name, entry in entries.items():
        data, coded = entry.deflated(), name.encode()
        numbers = (20, 0, 8, 0, 0, entry.crc, len(data), entry.size, len(coded), 0)
        place = len(body)
        body += struct.pack("<4s5H3I2H", b"PK\3\4", *numbers) + coded + data
        more = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *numbers, 0, 0, 0, 0, place)
        directory += more + coded
    end = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(body), 0
    )
    return body + directory + end


def _pieces(size: int) -> Iterator[int]:
    while size > 0:
        yield min(size, 2**20)
        size -= 2**20


def uint8(data: bytes) -> torch.Tensor:
    """Bytes as a tensor."""
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy())


def tickets(seal: Callable[[dict, dict], bytes]) -> Bombs:
    """Tickets with a right checksum; `seal` makes one of a header and tensors."""

    def claiming(
        layers: Iterable[tuple], tensors: dict[str, torch.Tensor], **origin: object
    ) -> bytes:
        described = [
            dict(zip(("name", "shape", "kept", "code"), layer, strict=True)) for layer in layers
        ]
        origin = origin or {"model": None, "options": {}, "step": 0, "weights": "kept"}
        header = {
            "format": "lottery_ticket.ticket/1",
            "layers": described,
            "origin": origin,
            "metrics": {},
            "provenance": {},
            "has_trained": False,
        }
        return seal(header, tensors)

    def of_bits(size: int) -> bytes:
        mask = uint8(Long(b"", size // 8).as_zlib())
        return claiming([("w", [size], 0, "bits")], {"mask/w": mask, "weights/w": torch.zeros(0)})

    def of_gaps(size: int) -> bytes:
        tensors = {"mask/w": uint8(zlib.compress(b"\5")), "weights/w": torch.zeros(1)}
        return claiming([("w", [size], 1, "gaps")], tensors)

    def drawn(size: int) -> bytes:
        origin = {"model": "LeNet300", "seed": 0, "sha256": "0" * 64, "options": {}}
        mask = uint8(Long(b"", size // 8).as_zlib())
        return claiming([("w", [size], 0, "bits")], {"mask/w": mask}, **origin)

    def many(number: int) -> bytes:
        mask, none = uint8(Long(b"", 2**21).as_zlib()), torch.zeros(0, dtype=torch.float64)
        names = [f"w{index}" for index in range(number)]
        tensors = {f"mask/{name}": mask for name in names} | {
            f"weights/{name}": none for name in names
        }
        tensors = {name: value.clone() for name, value in tensors.items()}
        return claiming([(name, [2**24], 0, "bits") for name in names], tensors)

    return {
        "2^31 weights in bits": lambda: of_bits(2**31),
        "2^31 weights in bits, by a seed": lambda: drawn(2**31),
        "2^28 weights in bits": lambda: of_bits(2**28),
        "2^31 weights in gaps, one kept": lambda: of_gaps(2**31),
        "2^40 weights in gaps, one kept": lambda: of_gaps(2**40),
        "2^25 weights in gaps, all kept": lambda: _all_kept(claiming, 2**25),
        "128 layers of 2^24 weights": lambda: many(128),
        "a shape of 10^5 huge sides": lambda: claiming(
            [("w", [10**18] * 100_000, 0, "gaps")], {"mask/w": uint8(zlib.compress(b""))}
        ),
        "a shape of 10^5 ones": lambda: claiming(
            [("w", [1] * 100_000, 0, "gaps")], {"mask/w": uint8(zlib.compress(b""))}
        ),
    }


def _all_kept(claiming: Callable[..., bytes], size: int) -> bytes:
    """A mask in gaps that keeps every weight, of a ticket that stores none."""
    deflate = zlib.compressobj(9)
    parts = [deflate.compress(b"\0" + b"\1" * (2**20 - 1))]
    parts += [deflate.compress(b"\1" * 2**20) for _ in range((size >> 20) - 1)]
    code = uint8(b"".join([*parts, deflate.flush()]))
    origin = {"model": "LeNet300", "seed": 0, "sha256": "0" * 64, "options": {}}
    return claiming([("w", [size], size, "gaps")], {"mask/w": code}, **origin)


def masks() -> Bombs:
    """Mask files."""

    def claiming(shape: object, num_bytes: int = 1) -> bytes:
        header = {"format": "lottery_ticket.mask/1", "shapes": {"w": shape}}
        return save({"w": torch.zeros(num_bytes, dtype=torch.uint8)}, {"mask": json.dumps(header)})

    return {
        "10^12 weights": lambda: claiming([10**12]),
        "10^12 by 10^12 weights": lambda: claiming([10**12, 10**12]),
        "0 by 10^30 weights": lambda: claiming([0, 10**30], 0),
        "10^5 huge sides": lambda: claiming([10**18] * 100_000),
        "10^5 ones": lambda: claiming([1] * 100_000),
        "deep": lambda: save({"w": torch.zeros(1)}, {"mask": "[" * 100_000}),
        "a header that claims 2^62 bytes": lambda: (2**62).to_bytes(8, "little") + b"{}",
        "a tensor that claims 2^62 bytes": lambda: _with_header(
            {"w": {"dtype": "U8", "shape": [2**62], "data_offsets": [0, 2**62]}}
        ),
        "tensors that overlap": lambda: _with_header(
            {name: {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for name in "ab"}, bytes(8)
        ),
    }


def _with_header(header: dict, values: bytes = b"") -> bytes:
    coded = json.dumps(header).encode()
    return len(coded).to_bytes(8, "little") + coded + values


def plain_masks() -> Bombs:
    """Masks as `torch.save` writes them."""

    def saved(value: object) -> bytes:
        buffer = io.BytesIO()
        torch.save(value, buffer)
        return buffer.getvalue()

    def deflated(data: bytes, num_zeros: int) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {info.filename: Long(archive.read(info), 0) for info in archive.infolist()}
        long = {name: Long(b"", num_zeros) for name in entries if name.endswith("data/0")}
        return archive_of({**entries, **long})

    def expanded(*shape: int) -> bytes:
        return saved({"w": torch.ones(1, dtype=torch.bool).expand(*shape)})

    def calling(code: bytes) -> bytes:
        return deflated_pickle(saved({"w": torch.ones(2)}), b"\x80\x02" + code + b"0}.")

    return {
        "2^31 weights that are one": lambda: expanded(2**31),
        "2^40 weights that are one": lambda: expanded(2**20, 2**20),
        "values that unpack to 1 GiB": lambda: deflated(
            saved({"w": torch.ones(2, dtype=torch.bool)}), GIB
        ),
        "a bytearray of 2^31": lambda: calling(b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R"),
        "a tensor of 2^31": lambda: calling(b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R"),
        "an old file that claims 2^40 weights": lambda: _old(saved_old({"w": torch.ones(2)})),
    }


def deflated_pickle(data: bytes, pickled: bytes) -> bytes:
    """The same archive with another pickle in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            is_pickle = info.filename.endswith("data.pkl")
            new.writestr(zipfile.ZipInfo(info.filename), pickled if is_pickle else old.read(info))
    return buffer.getvalue()


def saved_old(value: object) -> bytes:
    """As torch before 1.6 wrote it."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _old(data: bytes) -> bytes:
    # the number of values of the one storage: K\x02, after the place cpu
    at = data.index(b"cpu") + data[data.index(b"cpu") :].index(b"K\x02")
    return data[:at] + b"J\xff\xff\xff\x7f" + data[at + 2 :]


def npz_files() -> Bombs:
    """Archives of arrays."""

    def unpacking(shape: tuple[int, ...], descr: str, num_bytes: int) -> bytes:
        """x of zeros, y of two classes."""
        labels = io.BytesIO()
        np.save(labels, np.arange(min(shape[0], 10**4)) % 2)
        x = Long(_npy_header(shape, descr), num_bytes)
        return archive_of({"x.npy": x, "y.npy": Long(labels.getvalue(), 0)})

    return {
        "bytes that unpack to 1 GiB": lambda: unpacking((1024, 2**20), "|u1", GIB),
        "10^12 numbers": lambda: unpacking((1000, 10**9), "<f4", 0),
        "2^31 bytes each": lambda: unpacking((4,), "|V2147483647", 0),
        "255 MiB of bytes": lambda: unpacking((255, 2**20), "|u1", 255 * 2**20),
    }


def _npy_header(shape: tuple[int, ...], descr: str) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def idx_files() -> Bombs:
    """Images of MNIST."""

    def claiming(number: int, *, num_bytes: int) -> bytes:
        return Long(struct.pack(">4I", 0x0803, number, 28, 28), num_bytes).as_gzip()

    return {
        "1 GiB of images": lambda: claiming(GIB // 784, num_bytes=GIB // 784 * 784),
        "1 GiB behind six images": lambda: claiming(6, num_bytes=GIB),
        "255 MiB of images": lambda: claiming(
            2**28 // 784 - 99, num_bytes=(2**28 // 784 - 99) * 784
        ),
        "2^32 images": lambda: claiming(2**32 - 1, num_bytes=784),
        "2^32 images, plain": lambda: struct.pack(">4I", 0x0803, 2**32 - 1, 28, 28),
    }


def packed_files() -> Bombs:
    """Files of the format `packed`."""

    def claiming(shape: object, kept: int = 0, code: bytes = b"") -> bytes:
        tensors = {"w.gaps": uint8(code), "w.kept": torch.ones(kept)}
        return save(tensors, {"packed": json.dumps({"w": shape})})

    return {
        "2^30 weights": lambda: claiming([2**30]),
        "2^32 weights": lambda: claiming([2**16, 2**16], 1, b"\5"),
        "10^12 weights": lambda: claiming([10**12]),
        "0 by 10^30": lambda: claiming([0, 10**30]),
        "10^5 huge sides": lambda: claiming([10**18] * 100_000),
        "many of 2^24": lambda: save(
            {
                f"w{n}{end}": uint8(b"") if end == ".gaps" else torch.ones(0)
                for n in range(128)
                for end in (".gaps", ".kept")
            },
            {"packed": json.dumps({f"w{n}": [2**24] for n in range(128)})},
        ),
    }


def graphs(change: Callable[[Callable[[dict, dict], object]], bytes]) -> Bombs:
    """Files of `Sparse.save`; `change` changes the description and the tensors of a good one."""

    def node(
        op: str, target: str, *args: object, **kwargs: object
    ) -> Callable[[dict, dict], object]:
        def applied(content: dict, tensors: dict) -> None:
            described = {"args": {"tuple": list(args)}, "kwargs": {"dict": kwargs}}
            content["nodes"].insert(1, {"name": "bomb", "op": op, "target": target, **described})

        return applied

    def towers(content: dict, tensors: dict) -> None:
        """2 ** 2 ** 40, by squaring."""
        for number in range(40):
            value = {"node": f"b{number - 1}"} if number else 10**18
            content["nodes"].insert(
                1 + number,
                {
                    "name": f"b{number}",
                    "op": "call_function",
                    "target": "operator.mul",
                    "args": {"tuple": [value, value]},
                    "kwargs": {"dict": {}},
                },
            )

    x = {"node": "input_1"}
    return {
        "an input of 10^10": lambda: change(lambda c, t: c.update(inputs=[["float32", 10**10]])),
        "an input of 2^30": lambda: change(lambda c, t: c.update(inputs=[["float32", 2**30]])),
        "a wide tensor": lambda: change(
            lambda c, t: c["by_rows"].update(
                {name: [shape[0], 2**30] for name, shape in c["by_rows"].items()}
            )
        ),
        "a wide layer": lambda: change(lambda c, t: c["modules"]["0"].update(in_features=2**30)),
        "a wide norm": lambda: change(
            lambda c, t: c["modules"].update({"0": {"type": "BatchNorm1d", "num_features": 2**30}})
        ),
        "a text 10^10 times": lambda: change(node("call_function", "operator.mul", "ab", 10**10)),
        "a list 10^10 times": lambda: change(node("call_function", "operator.mul", [1], 10**10)),
        "a tower": lambda: change(towers),
        "code as an input's name": lambda: change(
            lambda c, t: c["nodes"][0].update(target=f"x={CODE}")
        ),
        "code as an argument's name": lambda: change(_code_as_argument),
        "code as a module's name": lambda: change(_code_as_module),
        "padding": lambda: change(
            node("call_function", "torch.nn.functional.pad", x, {"tuple": [0, 2**30]})
        ),
        "a table of sums": lambda: change(_outer),
    }


def _code_as_argument(content: dict, tensors: dict) -> None:
    described = {
        "args": {"tuple": [{"node": "input_1"}]},
        "kwargs": {"dict": {f"out={CODE}, x": None}},
    }
    content["nodes"].insert(
        1, {"name": "b", "op": "call_function", "target": "torch.relu", **described}
    )


def _code_as_module(content: dict, tensors: dict) -> None:
    name = f'a") if {CODE} else getattr(self, "a'
    content["modules"][name] = {"type": "ReLU", "inplace": False}
    described = {"args": {"tuple": [{"node": "input_1"}]}, "kwargs": {"dict": {}}}
    content["nodes"].insert(1, {"name": "b", "op": "call_module", "target": name, **described})


def _outer(content: dict, tensors: dict) -> None:
    """Broadcasts a small tensor to 2^32 sums."""
    tensors["big"] = torch.zeros(1, 2**16)
    tensors["tall"] = torch.zeros(2**16, 1)
    empty = {"args": {"tuple": []}, "kwargs": {"dict": {}}, "op": "get_attr"}
    content["nodes"][1:1] = [
        {"name": "big", "target": "big", **empty},
        {"name": "tall", "target": "tall", **empty},
        {
            "name": "outer",
            "op": "call_function",
            "target": "operator.add",
            "args": {"tuple": [{"node": "big"}, {"node": "tall"}]},
            "kwargs": {"dict": {}},
        },
    ]


def archives() -> Bombs:
    """Archives of a data set."""

    def of(name: str, size: int = 0, **more: object) -> bytes:
        info = tarfile.TarInfo(name)
        info.size = size
        for key, value in more.items():
            setattr(info, key, value)
        return Long(info.tobuf(), size + -size % 512 + 1024).as_gzip()

    return {
        "1 GiB of zeros": lambda: of("a", GIB),
        "10^12 bytes that are not there": lambda: gzip.compress(_claim(10**12), mtime=0),
        "a file above": lambda: of("../canary/kept", 4),
        "a link above": lambda: of("a", type=tarfile.SYMTYPE, linkname="../../canary/kept"),
        "a hard link above": lambda: of("a", type=tarfile.LNKTYPE, linkname="../../canary/kept"),
        "a device": lambda: of("a", type=tarfile.CHRTYPE),
        "an absolute name": lambda: of("/tmp/fuzz-canary"),
    }


def _claim(size: int) -> bytes:
    info = tarfile.TarInfo("a")
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def specs() -> Bombs:
    """YAML that unfolds to more than fits."""

    def laughing(depth: int) -> str:
        lines = ["l0: &l0 [x, x]"]
        lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, depth)]
        return "\n".join(lines)

    return {
        "a billion laughs": lambda: laughing(10).encode(),
        "laughs as arms": lambda: f"{laughing(9)}\narms: *l8\n".encode(),
        "an anchor in itself": lambda: b"name: x\nmodel: &a {name: LeNet300, hidden: *a}\n",
        "a list in itself": lambda: b"arms: &a [*a]\n",
        "merges": lambda: (
            "a0: &a0 {x: 1}\n"
            + "\n".join(
                f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9)
            )
        ).encode(),
        "deep": lambda: b"a: " + b"[" * 50_000,
        "a long number": lambda: b"name: x\nreplicates: " + b"9" * 10_000,
        "a wide net": lambda: (
            b"name: x\nmodel: {name: LeNet300, hidden: [1000000000, 1000000000]}\n"
        ),
        "many levels": lambda: b"name: x\nprune: {levels: 1000000000000}\n",
        "many replicates": lambda: b"name: x\nreplicates: 1000000000000\n",
    }
