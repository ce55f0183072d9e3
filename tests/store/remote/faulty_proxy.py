"""A proxy on 127.0.0.1 that lets a share of requests go wrong, as networks and servers do."""

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

FAULTS = ("500", "503", "409", "429", "late", "done, then 500", "done, then dropped", "dropped")
"""Answers instead of the server's; a late one is the server's own; "done" ones carry the request
out and do not say so; dropped connections end without an answer."""

AMBIGUOUS = ("done, then 500", "done, then dropped")

OF_CONNECTIONS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Exchange:
    """A request that the server has answered, whatever the client heard of it.

    Args:
        method, path, body: as it was asked.
        status: of the server's answer.
        began, ended: when it was handed on, and when the answer came; by this machine's monotonic
            clock.
    """

    method: str
    path: str
    body: bytes
    status: int
    began: float
    ended: float


class FaultyProxy:
    """Hands requests on to `server` and spoils some of them.

    Args:
        server: `http://127.0.0.1:port`.
        share: of the requests that go wrong.
        faults: which of `FAULTS`, each as likely as any other.
        seed: of the choice, which hangs on the order of arrival too.
        late_seconds: how long a late answer takes.
        without_headers: taken from every request, lower case: a server that knows no conditions is
            one that never sees `if-match`.
        forbid: (method, path) → whether it is answered with 403.
        heard: is told of each request that the server has answered, from any thread.

    `plan` is used up before anything is left to chance: a fault, or None for none, per request.
    `counts` says what was done, `last_headers` are those of the last request, as it came.
    """

    def __init__(
        self,
        server: str,
        *,
        share: float = 0.0,
        faults: Iterable[str] = FAULTS,
        seed: int = 0,
        late_seconds: float = 1.0,
        without_headers: Iterable[str] = (),
        forbid: Callable[[str, str], bool] = lambda method, path: False,
        heard: Callable[[Exchange], object] = lambda exchange: None,
    ) -> None:
        self.address = urlsplit(server).netloc
        self.share, self.faults, self.late_seconds = share, tuple(faults), late_seconds
        self.without_headers, self.forbid = frozenset(without_headers), forbid
        self.heard = heard
        self.plan: deque[str | None] = deque()
        self.counts: Counter[str] = Counter()
        self.last_headers: dict[str, str] = {}
        self._random, self._lock, self._up_again = random.Random(seed), threading.Lock(), 0.0
        self._proxy = _Listener(("127.0.0.1", 0), _Exchange)
        self._proxy.owner = self
        self.url = f"http://127.0.0.1:{self._proxy.server_address[1]}"

    def go_down(self, seconds: float) -> None:
        """Drop every connection for as long."""
        self._up_again = time.monotonic() + seconds

    def next_fault(self, method: str, path: str) -> str | None:
        """What happens to this request."""
        with self._lock:
            fault = self._chosen(method, path)
            self.counts[fault or "none"] += 1
        return fault

    def _chosen(self, method: str, path: str) -> str | None:
        if time.monotonic() < self._up_again:
            return "dropped"
        if self.forbid(method, path):
            return "403"
        if self.plan:
            return self.plan.popleft()
        return self._random.choice(self.faults) if self._random.random() < self.share else None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.shutdown()
        self._thread.join()
        self._proxy.server_close()


class _Listener(ThreadingHTTPServer):
    owner: FaultyProxy
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # clients keep their connections open

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has hung up, or that we hung up on, is what this is about."""


class _Exchange(BaseHTTPRequestHandler):
    """One client's connection; requests are handed on as they came, Host and signature too."""

    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_request(self) -> None:
        owner = self.server.owner
        owner.last_headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = owner.next_fault(self.command, self.path)
        if fault == "dropped":
            self.close_connection = True
        elif fault is not None and fault.isdigit():
            self._answer(int(fault), _error(fault), {"content-type": "application/xml"})
        else:
            if fault == "late":
                time.sleep(owner.late_seconds)
            self._hand_on(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

    def _hand_on(self, body: bytes, fault: str | None) -> None:
        began = time.monotonic()
        try:
            status, data, headers = self._ask_server(body)
        except (OSError, HTTPException):  # the server is gone
            self.close_connection = True
            return
        ended = time.monotonic()
        self.server.owner.heard(Exchange(self.command, self.path, body, status, began, ended))
        if fault == "done, then dropped":
            self.close_connection = True
        elif fault == "done, then 500":
            self._answer(500, _error("500"), {"content-type": "application/xml"})
        else:
            self._answer(status, data, headers)

    def _ask_server(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        upstream = HTTPConnection(self.server.owner.address, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in self.server.owner.without_headers:
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            response = upstream.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            upstream.close()

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}"]
        lines += [f"{k}: {v}" for k, v in headers.items() if k.lower() not in OF_CONNECTIONS]
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        lines += [f"content-length: {length or len(data)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests say themselves what went wrong."""


def _error(status: str) -> bytes:
    code = {"409": "ConditionalRequestConflict", "403": "AccessDenied", "500": "InternalError"}
    return f"<Error><Code>{code.get(status, 'SlowDown')}</Code></Error>".encode()
