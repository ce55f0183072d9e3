"""A moto server of its own process: what S3 answers, on 127.0.0.1."""

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

KEYS = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "a-secret-of-tests"}
"""Moto takes any."""

SERVER = """
import sys
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until whoever started it closes this, or is gone
"""


@contextmanager
def moto_server() -> Iterator[str]:
    """Its address, `http://127.0.0.1:port`, until the block ends."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), "moto did not start"
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stdin.close()
            process.terminate()


def make_bucket(server: str, name: str) -> None:
    """A bucket of this name, which takes three letters at least."""
    request = urllib.request.Request(f"{server}/{name}", data=b"", method="PUT")
    # moto asks for no signature, and no proxy that the environment names may come between
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
