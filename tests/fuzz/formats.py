"""What can be done inside a format that stays whole: safetensors, zip, pickle, YAML and others."""

import gzip
import io
import json
import pickletools
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from fuzz.mutations import BYTES, Dice, Mutant, Mutation, NotApplicableError, odd_value, of_json

__all__ = [
    "OPCODES",
    "in_gzip",
    "in_json",
    "in_pickle",
    "in_safetensors",
    "in_sqlite",
    "in_yaml",
    "in_zip",
    "of_npy",
    "reheaded",
    "sections",
    "with_other_tensors",
    "with_seal",
]


def in_json(data: bytes, dice: Dice) -> Mutant:
    """One value of a JSON file."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise NotApplicableError from None
    what, changed = of_json(text, dice)
    return Mutant(what, changed.encode(errors="surrogatepass"))


def sections(data: bytes) -> tuple[str, bytes]:
    """The JSON header of a safetensors file, and its values."""
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= len(data) - 8:
        raise NotApplicableError
    return data[8 : 8 + length].decode(), data[8 + length :]


def reheaded(header: str, values: bytes) -> bytes:
    """A safetensors file of such parts, whatever they say."""
    coded = header.encode(errors="surrogatepass")
    return len(coded).to_bytes(8, "little") + coded + values


def in_safetensors(data: bytes, dice: Dice) -> Mutant:
    """The header alone, or the values alone."""
    header, values = sections(data)
    if values and dice.random() < 0.2:
        inner = dice.choice(BYTES)(values, dice)
        return Mutant(f"values: {inner.what}", reheaded(header, inner.data))
    what, changed = of_json(header, dice)
    return Mutant(f"header: {what}", reheaded(changed, values))


def with_other_tensors(data: bytes, dice: Dice) -> Mutant:
    """A right safetensors file, in which a tensor is another, or the metadata are."""
    try:
        tensors = load(data)
    except (SafetensorError, ValueError):
        raise NotApplicableError from None
    metadata = json.loads(sections(data)[0]).get("__metadata__") or {}
    if metadata and (not tensors or dice.random() < 0.6):
        key = dice.choice(sorted(metadata))
        what, metadata[key] = of_json(metadata[key], dice)
    elif tensors:
        what = _other_tensor(tensors, dice)
    else:
        raise NotApplicableError
    clean = {key: text.encode(errors="replace").decode() for key, text in metadata.items()}
    return Mutant(f"inside: {what}", save(tensors, clean))


def _other_tensor(tensors: dict[str, torch.Tensor], dice: Dice) -> str:
    name = dice.choice(sorted(tensors))
    value, others = tensors[name], sorted(tensors)
    what, changed = dice.choice(
        (
            ("gone", lambda: None),
            ("of another dtype", lambda: value.to(dice.choice(_DTYPES))),
            ("flat", lambda: value.reshape(-1)),
            ("one longer", lambda: torch.cat([value.reshape(-1), value.reshape(-1)[:1]])),
            ("one shorter", lambda: value.reshape(-1)[1:].clone()),
            ("empty", lambda: value.reshape(-1)[:0].clone()),
            ("a number", lambda: torch.tensor(3)),
            ("all ones", lambda: torch.full_like(value, 1)),
            ("all the largest", lambda: torch.full_like(value, 255)),
            ("of another name", lambda: tensors.update({f"{name}x": value.clone()})),
            ("another's", lambda: tensors[dice.choice(others)].clone()),
            ("not a number", lambda: torch.full_like(value.float(), float("nan"))),
        )
    )
    tensors.pop(name) if (made := changed()) is None else tensors.update({name: made})
    return f"{name!r} is {what}"


_DTYPES = (
    torch.uint8,
    torch.int32,
    torch.int64,
    torch.float64,
    torch.float16,
    torch.bool,
    torch.bfloat16,
)


def in_zip(entry: Mutation, suffix: str = "") -> Mutation:
    """An archive that is whole, in which an entry (of such a suffix) is another."""

    def changed(data: bytes, dice: Dice) -> Mutant:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = {info.filename: archive.read(info) for info in archive.infolist()}
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError):
            raise NotApplicableError from None
        name = dice.choice([name for name in sorted(entries) if name.endswith(suffix)])
        ways = (_entry_changed, _entry_changed, _entry_changed, _entry_renamed, _entry_gone)
        what, found = dice.choice(ways)(entries, name, entry, dice)
        return Mutant(what, _zipped(found, dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))))

    return changed


Entries = dict[str, bytes]
Found = tuple[str, list[tuple[str, bytes]]]


def _entry_changed(entries: Entries, name: str, entry: Mutation, dice: Dice) -> Found:
    inner = entry(entries[name], dice)
    return f"{name}: {inner.what}", list({**entries, name: inner.data}.items())


def _entry_renamed(entries: Entries, name: str, entry: Mutation, dice: Dice) -> Found:
    new = dice.choice((f"x{name}", "../canary/kept", dice.choice(sorted(entries)), name.upper()))
    rest = [(key, value) for key, value in entries.items() if key != name]
    return f"{name} is called {new}", [*rest, (new, entries[name])]


def _entry_gone(entries: Entries, name: str, entry: Mutation, dice: Dice) -> Found:
    return f"{name} is gone", [(key, value) for key, value in entries.items() if key != name]


def _zipped(entries: list[tuple[str, bytes]], how: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, how)
    return buffer.getvalue()


def of_npy(data: bytes, dice: Dice) -> Mutant:
    """The header of an array: another shape, another type."""
    if not data.startswith(b"\x93NUMPY") or dice.random() < 0.3:
        return dice.choice(BYTES)(data, dice)
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")].decode("latin1")
    shape = dice.choice(
        (
            "(1099511627776,)",
            "(2147483648, 8)",
            "(-1,)",
            "(1, 2, 3)",
            "()",
            "5",
            "(1.5,)",
            "(0,)",
            "(0, 1099511627776)",
            "('x',)",
            "None",
            "(" * 300,
            "(True, 2)",
        )
    )
    descr = dice.choice(
        (
            "'|O'",
            "'<U8'",
            "'|V2147483647'",
            "'<f8'",
            "'|b1'",
            "[('a', '<f4')]",
            "'<M8[s]'",
            "'<c16'",
            "1",
            "''",
            "'<f2'",
            "'>i4'",
            "[('a', '|V2147483647', (9, 9))]",
        )
    )
    changed = (
        re.sub(r"'shape': \([^)]*\)", f"'shape': {shape}", header)
        if dice.random() < 0.6
        else re.sub(r"'descr': '[^']*'", f"'descr': {descr}", header)
    )
    coded = changed.encode("latin1")
    rest = data[10 + len(header) :]
    return Mutant(changed.strip()[:100], data[:8] + len(coded).to_bytes(2, "little") + coded + rest)


def in_gzip(inner: Mutation) -> Mutation:
    """Compressed bytes that are whole, of something else."""

    def changed(data: bytes, dice: Dice) -> Mutant:
        try:
            plain = gzip.decompress(data)
        except (OSError, EOFError, ValueError):
            raise NotApplicableError from None
        found = inner(plain, dice)
        return Mutant(f"unpacked: {found.what}", gzip.compress(found.data, mtime=0))

    return changed


OPCODES: tuple[tuple[str, bytes], ...] = (
    ("a memo of 2^31 places", b"r\xff\xff\xff\x7f"),
    ("a memo of 10^11 places", b"p99999999999\n"),
    ("10^12 bytes", b"\x8e" + (10**12).to_bytes(8, "little")),
    ("3·10^9 bytes", b"B" + (3 * 10**9).to_bytes(4, "little")),
    ("text of 10^12 bytes", b"\x8d" + (10**12).to_bytes(8, "little")),
    ("an array of 10^12 bytes", b"\x96" + (10**12).to_bytes(8, "little")),
    ("a number of 2^31 bytes", b"\x8b" + (2**31 - 1).to_bytes(4, "little")),
    ("a frame of 2^60 bytes", b"\x95" + (2**60).to_bytes(8, "little")),
    ("eval", b"c__builtin__\neval\n(X\x01\x00\x00\x001tR"),
    ("os.system", b"cposix\nsystem\n(X\x04\x00\x00\x00truetR0"),
    ("a bytearray of 2^31", b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R0"),
    ("a bytearray of 2^31 in Python 2", b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R0"),
    ("a tensor of 2^31", b"ctorch\nFloatTensor\nJ\xff\xff\xff\x7f\x85R0"),
    ("a number of 10^5 digits", b"I" + b"9" * 100_000 + b"\n"),
    ("another protocol", b"\x80\xff"),
    ("an extension", b"\x82\x01"),
    ("pop", b"0"),
    ("dup", b"2"),
    ("mark", b"("),
    ("reduce", b"R"),
    ("build", b"b"),
    ("newobj", b"\x81"),
    ("obj", b"o"),
    ("stop", b"."),
    ("none", b"N"),
    ("setitem", b"s"),
    ("appends", b"e"),
    ("persistent", b"Q"),
    ("persistent text", b"Pstorage\n"),
    ("dict", b"}"),
    ("get", b"h\xfe"),
    ("next buffer", b"\x97"),
    ("instance", b"(iposix\nsystem\n"),
)


def in_pickle(data: bytes, dice: Dice) -> Mutant:
    """An opcode more, or one less, between two others."""
    try:
        places = [place for _, _, place in pickletools.genops(data) if place is not None]
    except Exception:  # whatever it cannot read
        raise NotApplicableError from None
    at = dice.choice(places)
    if dice.random() < 0.2:
        after = next((place for place in places if place > at), len(data))
        return Mutant(f"an opcode less at {at}", data[:at] + data[after:])
    what, code = dice.choice(OPCODES)
    return Mutant(f"{what} at {at}", data[:at] + code + data[at:])


def in_yaml(data: bytes, dice: Dice) -> Mutant:
    """A line of a YAML file."""
    lines = data.decode(errors="replace").splitlines()
    if not lines:
        raise NotApplicableError
    at = dice.randrange(len(lines))
    key = lines[at].partition(":")[0]
    new = dice.choice(
        (
            f"{key}: {json.dumps(odd_value(dice))}",
            f"{key}: {dice.choice(_SCALARS)}",
            f"{lines[at]}\n{lines[at]}",
            f" {lines[at]}",
            f"{lines[at]} {dice.choice(_SIGNS)}",
            "",
            f"{key}: &a {{x: *a}}",
            f"{key}: &a [*a, *a]",
            f"{key}: {_aliases(dice.choice((3, 30)))}",
            f"{key}: {'[' * 5000}",
            f"? {lines[at]}",
            "--- \n---",
            f"<<: {{{key.strip()}: 1}}",
        )
    )
    return Mutant(
        f"line {at}: {new[:60]!r}",
        "\n".join([*lines[:at], new, *lines[at + 1 :]]).encode("utf-8", "surrogatepass"),
    )


_SIGNS = ("{", "[", "&a", "*a", "!!python/object:os.system", "|", "%")
_SCALARS = (
    "1e999",
    "-1e999",
    ".nan",
    ".inf",
    "1e-400",
    "0x" + "f" * 5000,
    "9" * 5000,
    "1_000",
    "0o17",
    "2001-01-01",
    "!!binary aGk=",
    "!!set {a}",
    "!!float x",
    "!!int x",
    "~",
    "yes",
    "1:30",
    "-0",
    "5ep5it",
    "10it",
    "1e400ep",
    "99999999999999999999ep",
    "0ep",
    "-1ep",
    "2:4",
    "0:0",
)


def _aliases(depth: int) -> str:
    """A text in which each list holds the one before ten times."""
    lists = ["&l0 [x, x]", *(f"&l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, depth))]
    return f"[{', '.join(lists)}]"


def in_sqlite(data: bytes, dice: Dice) -> Mutant:
    """A value of a database, written by its own means."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database"
        path.write_bytes(data)
        try:
            what = _edited(path, dice)
        except (sqlite3.Error, OverflowError, UnicodeError, IndexError):
            raise NotApplicableError from None
        return Mutant(what, path.read_bytes())


def _edited(path: Path, dice: Dice) -> str:
    database = sqlite3.connect(path)
    try:
        with database:
            tables = [
                n
                for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            table = dice.choice(sorted(tables))
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            column = dice.choice(columns)
            rows = database.execute(f'SELECT "{columns[0]}", "{column}" FROM "{table}"').fetchall()
            key, old = dice.choice(rows)
            new = _other_cell(old, dice)
            database.execute(
                f'UPDATE "{table}" SET "{column}" = ? WHERE "{columns[0]}" = ?', (new, key)
            )
    finally:
        database.close()
    return f"{table}.{column}: {str(new)[:60]!r}"


def _other_cell(old: Any, dice: Dice) -> Any:
    if isinstance(old, str) and dice.random() < 0.7:
        try:
            return of_json(old, dice)[1]
        except NotApplicableError:
            pass
    return dice.choice((None, 0, 2**62, "x", "", "{}", "[]", b"\0", 0.5, old))


def with_seal(mutation: Mutation, seal: Callable[[bytes], bytes]) -> Mutation:
    """What is changed so, with a checksum that is right again."""

    def changed(data: bytes, dice: Dice) -> Mutant:
        found = mutation(data, dice)
        try:
            return Mutant(f"forged: {found.what}", seal(found.data), is_forged=True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
            raise NotApplicableError from None

    return changed
