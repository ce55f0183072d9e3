"""The page's server: on this machine alone, to read alone, for a browser that came by itself."""

import contextlib
import errno
import hashlib
import ipaddress
import re
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from lottery_ticket.api import RunResult, load_run, report
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.report import page_part
from lottery_ticket.store import Store
from lottery_ticket.watch._live import LiveRuns
from lottery_ticket.watch._parts import Part, answer

__all__ = ["Watcher", "open_watcher"]

_ADDRESSED = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII | re.IGNORECASE)
_NAMES = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_POLICY = (
    "default-src 'none'; style-src {0}; script-src {0}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_OWN = _POLICY.format("'self'")
_WHOLE = _POLICY.format("'unsafe-inline'").replace("connect-src 'self'; ", "")  # a report
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_IDLE_SECONDS = 30


class _Page(NamedTuple):
    """What is sent."""

    data: bytes
    kind: str = "application/json"
    status: int = HTTPStatus.OK
    policy: str = _OWN


class Watcher(ThreadingHTTPServer):
    """Serves the live page of a store until it is closed; see `open_watcher`.

    Args:
        location: of the store.
        host: an address of this machine that no other reaches.
        port: 0 for one that is free.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False

    def __init__(self, location: str, host: str, port: int) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.runs = LiveRuns(location)
        self._reports: dict[str, tuple[str, bytes]] = {}
        self._reporting = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without the name of this machine, which is looked up in a network."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)

    @property
    def url(self) -> str:
        """Where the page is."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}/"

    def url_of(self, run_id: str) -> str:
        """Where the page of a run is."""
        return f"{self.url}run/{run_id}"

    def is_addressed(self, host: str | None) -> bool:
        """Whether a request was for this machine by one of its own names: a page elsewhere can let
        a name of its own lead here, and would read what is served. By which port does not matter:
        a tunnel from another machine begins at one of its own."""
        return _ADDRESSED.fullmatch(host or "") is not None

    def report(self, run_id: str) -> bytes:
        """The report of a run, written anew where what it tells has changed.

        Raises:
            LotteryError: there is none yet.
        """
        with self._reporting:
            result = load_run(run_id, store=Store(self.runs.location))
            state = _state_of(result)
            known, page = self._reports.get(run_id, ("", b""))
            if known != state:
                page = report([result]).encode()
                self._reports[run_id] = state, page
            return page

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is none."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Watcher  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server_version, sys_version = "lottery_ticket", ""

    def do_GET(self) -> None:
        self._send(self._answered(), has_body=True)

    def do_HEAD(self) -> None:
        self._send(self._answered(), has_body=False)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """All else: methods that write, and what is no request."""
        self.close_connection = True
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        said = f"{status.phrase}: this page only reads\n"
        self._send(_Page(said.encode(), "text/plain; charset=utf-8", status), has_body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a request every two seconds is no news."""

    def version_string(self) -> str:
        return self.server_version

    def _answered(self) -> _Page:
        if not self.server.is_addressed(self.headers.get("Host")):
            return _plain(HTTPStatus.FORBIDDEN, f"this page is at {self.server.url}")
        if self.headers.get("Sec-Fetch-Site", "none") == "cross-site":
            return _plain(HTTPStatus.FORBIDDEN, "another site asked for this page")
        try:
            parts = urlsplit(self.path)
            path, known = unquote(parts.path), dict(parse_qsl(parts.query))
        except ValueError as error:
            return _plain(HTTPStatus.BAD_REQUEST, f"no address of a page: {error}")
        try:
            return _answer(self.server, path, known)
        except LotteryError as error:
            return _plain(HTTPStatus.NOT_FOUND, str(error))
        except Exception as error:  # a browser that is told nothing shows nothing
            said = f"this page cannot be made: {type(error).__name__}: {error}"
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, said)

    def _send(self, page: _Page, *, has_body: bool) -> None:
        self.send_response(page.status)
        headers = _HEADERS | {
            "Content-Type": page.kind,
            "Content-Length": str(len(page.data)),
            "Content-Security-Policy": page.policy,
        }
        if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self.wfile.write(page.data)


def _state_of(result: RunResult) -> str:
    """Differs where a report of the run does: in its cells, how they were made, what it is called
    and what is asked of it."""
    cells = result.store.cells(result.record.cells())
    labels = result.store.labels_of(result.id)
    found = sorted((cell.name, cell.content, repr(cell.execution)) for cell in cells.values())
    return hashlib.sha256(repr((result.record, labels, found)).encode()).hexdigest()


def _answer(server: Watcher, path: str, known: Mapping[str, str]) -> _Page:
    if path in _FILES:
        return _FILES[path]()
    if path == "/" or path.startswith("/run/"):
        return _shell()
    if path == "/api/runs":
        return _Page(answer(server.runs.parts(), known))
    if path.startswith("/api/run/"):
        run = server.runs.run(path.removeprefix("/api/run/"))
        if run is None:
            said = {"problem": Part("there is no such run in the store")}
            return _Page(answer(said, {}))
        return _Page(answer(run.parts(), known))
    if path.startswith("/report/"):
        page = server.report(path.removeprefix("/report/"))
        return _Page(page, "text/html; charset=utf-8", policy=_WHOLE)
    return _plain(HTTPStatus.NOT_FOUND, "there is no such page")


def _plain(status: HTTPStatus, text: str) -> _Page:
    return _Page(f"{text}\n".encode(), "text/plain; charset=utf-8", status)


def _own_part(name: str) -> str:
    return (files("lottery_ticket.watch") / "page" / name).read_text(encoding="utf-8")


def _shell() -> _Page:
    html = _own_part("watch.html").replace("@version@", version("lottery-ticket"))
    return _Page(html.encode(), "text/html; charset=utf-8")


def _style() -> _Page:
    data = f"{page_part('page.css')}\n{_own_part('watch.css')}"
    return _Page(data.encode(), "text/css; charset=utf-8")


def _script() -> _Page:
    data = f"{page_part('chart.js')}\n{_own_part('watch.js')}"
    return _Page(data.encode(), "text/javascript; charset=utf-8")


_FILES = {"/style.css": _style, "/script.js": _script}


@contextlib.contextmanager
def open_watcher(location: str, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Watcher]:
    """A block in which the live page of a store can be served: `watcher.serve_forever()`.

    Args:
        location: of the store, a folder or an address.
        host: `"127.0.0.1"`, `"localhost"` or `"::1"`. No other: the page has no password, and what
            it says would go over the network as plain text.
        port: 0 for one that is free.

    Raises:
        UsageError: the host is not this machine alone, or the port cannot be had.

    >>> with open_watcher("lottery_runs") as watcher:
    ...     watcher.url.startswith("http://127.0.0.1:")
    True
    """
    if host not in _NAMES:
        raise UsageError(_not_here(host))
    if not 0 <= port < 2**16:
        raise UsageError(f"port: got {port}, wanted 0 (one that is free) to 65535")
    try:
        watcher = Watcher(location, _NAMES[host], port)
    except OSError as error:
        raise UsageError(f"port {port}: {_why_not(error)}; choose another, or none") from None
    try:
        yield watcher
    finally:
        watcher.server_close()


def _not_here(host: str) -> str:
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return f"host: got {host}, wanted one of {', '.join(_NAMES)}"
    return (
        f"host: got {host}, wanted one of {', '.join(_NAMES)}: the page has no password, so that "
        "other machines must not reach it. From another machine: ssh -L 9000:127.0.0.1:8000 THIS, "
        "with --port 8000 here, and http://127.0.0.1:9000/ there"
    )


def _why_not(error: OSError) -> str:
    reasons = {errno.EADDRINUSE: "it is taken", errno.EACCES: "this user may not have it"}
    return reasons.get(error.errno or 0, error.strerror or str(error))
