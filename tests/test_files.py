"""What a file that is written may replace: nothing, or a file."""

import os
import socket
import stat
from pathlib import Path

import pytest

from lottery_ticket.errors import UsageError
from lottery_ticket.files import aside_of, check_folder, folder_aside, make_folder, write_file


def a_link(path: Path) -> None:
    (path.parent / "target").write_text("precious")
    path.symlink_to(path.parent / "target")


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("may not make a device here")


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "mine").write_text("precious")


THINGS = [a_link, a_link_to_nothing, a_pipe, a_socket, a_device, a_folder]


def seen(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path): (
            stat.S_IFMT(path.lstat().st_mode),
            path.read_text() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def check_stays(thing, folder, write=write_file):
    """The law: what is no file stays, and so does what it leads to."""
    path = folder / "out"
    thing(path)
    before = seen(folder)
    with pytest.raises(
        UsageError, match=r"out: a .* is there, which is not replaced; name another"
    ):
        write(path, b"new")
    assert seen(folder) == before


@pytest.mark.parametrize("thing", THINGS)
def test_what_is_no_file_is_not_replaced(thing, tmp_path):
    check_stays(thing, tmp_path)


@pytest.mark.parametrize("thing", [a_link, a_pipe, a_device])
def test_a_writer_that_does_not_look_is_caught(thing, tmp_path):
    def write(path, data):
        aside = aside_of(path)
        aside.write_bytes(data)
        aside.replace(path)

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_stays(thing, tmp_path, write)


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "out"
    for data in (b"one", b"another"):
        write_file(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_there_is_can_be_written(tmp_path):
    for name in ("x" * 255, "é" * 127):
        write_file(tmp_path / name, b"data")
        assert (tmp_path / name).read_bytes() == b"data"


@pytest.mark.parametrize("name", ["a\0b", "\0"])
def test_a_name_that_none_can_have_is_a_mistake_of_the_user(name, tmp_path):
    for use in (lambda path: write_file(path, b""), check_folder, make_folder):
        with pytest.raises(UsageError, match="no name of a"):
            use(tmp_path / name)


@pytest.mark.parametrize("thing", [a_link_to_nothing, a_pipe, a_device])
def test_a_folder_is_not_made_of_something_else(thing, tmp_path):
    thing(tmp_path / "out")
    before = seen(tmp_path)
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(UsageError, match="not a folder; name another one"):
            make_folder(folder)
    assert seen(tmp_path) == before


def test_a_link_to_a_folder_is_a_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    make_folder(tmp_path / "out" / "below")
    write_file(tmp_path / "out" / "below" / "file", b"data")
    assert (tmp_path / "real" / "below" / "file").read_bytes() == b"data"


def test_a_folder_aside_takes_nothing_that_was_there(tmp_path):
    mine = tmp_path / f".out.{os.getpid()}"
    mine.mkdir()
    (mine / "thesis").write_text("precious")
    with folder_aside(tmp_path / "out") as one, folder_aside(tmp_path / "out") as two:
        assert one != two
        assert list(one.iterdir()) == []
    assert (mine / "thesis").read_text() == "precious"
    assert list(tmp_path.iterdir()) == [mine]
