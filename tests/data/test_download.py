import gzip
import io
import shutil
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lottery_ticket.data import load_dataset, resolve_data_dir
from lottery_ticket.data._download import unpack
from lottery_ticket.data._sources import SOURCES
from lottery_ticket.errors import DataError

FIRST = "train-images-idx3-ubyte.gz"


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; hangs up half way through the files of `/cut/`."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        if not self.path.startswith("/cut/"):
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(bytes(500))
        return None


@pytest.fixture
def serve():
    """A function that serves a folder on 127.0.0.1 and gives its address."""
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no folder chosen."""
    for variable in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.delenv("LOTTERY_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = resolve_data_dir(None)
    assert folder.is_relative_to(tmp_path)
    return folder


def check_failure(cache, address, problem):
    with pytest.raises(DataError, match=problem) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    assert f"cannot download {address}/mnist/{FIRST}" in message
    assert f"Put the file into {cache / 'mnist'} yourself" in message
    assert "--data-dir or LOTTERY_DATA" in message
    assert list((cache / "mnist").iterdir()) == []


def test_real_mnist_is_downloaded_once(cache, serve, data_dir, real_mnist, monkeypatch, capfd):
    monkeypatch.setenv("LOTTERY_MIRROR", serve(data_dir) + "/")
    assert load_dataset("mnist").digest == real_mnist.digest
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(
        source.file_name for source in SOURCES["mnist"]
    )
    assert capfd.readouterr() == ("", "")
    # from now on nothing is asked of the network
    monkeypatch.setenv("LOTTERY_MIRROR", "http://127.0.0.1:9")
    assert load_dataset("mnist", validation=10).digest == real_mnist.digest


def test_only_what_is_missing_is_downloaded(
    cache, serve, data_dir, real_mnist, tmp_path, monkeypatch
):
    last = SOURCES["mnist"][-1].file_name
    shutil.copytree(data_dir / "mnist", cache / "mnist", ignore=lambda *_: [last])
    # the mirror has the one file: asking it for another would fail
    (tmp_path / "mirror/mnist").mkdir(parents=True)
    shutil.copy(data_dir / "mnist" / last, tmp_path / "mirror/mnist")
    monkeypatch.setenv("LOTTERY_MIRROR", serve(tmp_path / "mirror"))
    assert load_dataset("mnist").digest == real_mnist.digest


# the real bytes are needed for a hash to match; any others are a wrong one
def test_wrong_hash(cache, serve, tmp_path, monkeypatch):
    (tmp_path / "mirror/mnist").mkdir(parents=True)
    (tmp_path / "mirror/mnist" / FIRST).write_bytes(gzip.compress(b"other bytes"))
    address = serve(tmp_path / "mirror")
    monkeypatch.setenv("LOTTERY_MIRROR", address)
    check_failure(cache, address, "another SHA-256 than the original file")


def test_truncated(cache, serve, tmp_path, monkeypatch):
    address = serve(tmp_path) + "/cut"
    monkeypatch.setenv("LOTTERY_MIRROR", address)
    check_failure(cache, address, "ChunkedEncodingError|another SHA-256")


def test_not_found(cache, serve, tmp_path, monkeypatch):
    address = serve(tmp_path)
    monkeypatch.setenv("LOTTERY_MIRROR", address)
    check_failure(cache, address, "404")


def test_server_down(cache, monkeypatch):
    # a port that was free a moment ago
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("LOTTERY_MIRROR", address)
    check_failure(cache, address, "ConnectionError")


def test_no_address(cache, monkeypatch):
    monkeypatch.setenv("LOTTERY_MIRROR", "nowhere")
    check_failure(cache, "nowhere", "MissingSchema")


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_chosen_folder_is_never_downloaded_into(
    how, cache, serve, data_dir, tmp_path, monkeypatch
):
    monkeypatch.setenv("LOTTERY_MIRROR", serve(data_dir))
    chosen = tmp_path / "chosen"
    if how == "variable":
        monkeypatch.setenv("LOTTERY_DATA", str(chosen))
    with pytest.raises(DataError, match="Put the missing files there"):
        load_dataset("mnist", data_dir=chosen if how == "argument" else None)
    assert not chosen.exists()
    assert not cache.exists()


def test_a_damaged_file_in_the_cache_says_how_to_repair(cache, write_mnist):
    path = write_mnist(cache / "mnist") / "train-images-idx3-ubyte"
    path.write_bytes(b"")
    with pytest.raises(
        DataError, match="may also be deleted, it is then downloaded again"
    ) as caught:
        load_dataset("mnist")
    assert str(path) in str(caught.value)


def test_every_source_is_pinned():
    assert list(SOURCES) == ["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn"]
    for sources in SOURCES.values():
        for source in sources:
            assert len(bytes.fromhex(source.sha256)) == 32
            assert source.url.startswith("http")


def archive(path, name):
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    return path


def test_unpack(tmp_path):
    (tmp_path / "target").mkdir()
    path = archive(tmp_path / "a.tar.gz", "cifar-10-batches-bin/test_batch.bin")
    unpack(path, tmp_path / "target")
    unpack(path, tmp_path / "target")
    assert (tmp_path / "target/cifar-10-batches-bin/test_batch.bin").read_bytes() == b"abc"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.tar.gz", "target"]


def test_unpack_refuses_to_leave_its_folder(tmp_path):
    (tmp_path / "in/target").mkdir(parents=True)
    path = archive(tmp_path / "in/a.tar.gz", "../../escaped")
    with pytest.raises(DataError, match=r"a\.tar\.gz: cannot be read: OutsideDestinationError"):
        unpack(path, tmp_path / "in/target")
    assert not (tmp_path / "escaped").exists()
    assert list((tmp_path / "in/target").iterdir()) == []


def test_unpack_of_a_damaged_archive(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="Replace it with an intact copy") as caught:
        unpack(path, tmp_path)
    assert str(path) in str(caught.value)
