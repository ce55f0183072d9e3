"""What the server answers, and what it refuses."""

import http.client
import json
import signal
import subprocess
import threading
from urllib.parse import urlsplit

import pytest
from watched import LOTTERY, get, watching

from lottery_ticket.errors import UsageError
from lottery_ticket.store import RunEdit, Store
from lottery_ticket.watch import Watcher, open_watcher


@pytest.fixture(scope="module")
def served(_made):
    """One server for all that only reads."""
    store, run_id = _made
    with watching(store, run_id) as (url, process):
        yield url.split("/run/")[0], run_id, process


def asked(url: str, method: str = "GET", path: str = "/", **headers: str):
    """A request as it is sent, whatever its host and method."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


def test_only_its_own_names_are_answered(served):
    url, _, _ = served
    port = urlsplit(url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", "[::1]"):
        assert asked(url, Host=host)[0] == 200
    for host in ("127.0.0.1:9000", "localhost:80", "127.0.0.1"):  # a tunnel begins at its own port
        assert asked(url, Host=host)[0] == 200
    for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "", "127.0.0.1:x",
                 f"evil.example:80@127.0.0.1:{port}", "[::1].evil.example"):  # fmt: skip
        status, _, body = asked(url, path="/api/runs", Host=host)
        assert status == 403
        assert b"small" not in body


def test_another_site_is_refused(served):
    url, run_id, _ = served
    assert asked(url, path=f"/api/run/{run_id}", Sec_Fetch_Site="cross-site")[0] == 403
    assert asked(url, path=f"/api/run/{run_id}", Sec_Fetch_Site="same-origin")[0] == 200
    assert "Access-Control-Allow-Origin" not in asked(url, path="/api/runs")[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
def test_nothing_but_reading_is_allowed(served, method):
    url, _, _ = served
    status, headers, _ = asked(url, method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_alone(served):
    url, _, _ = served
    status, headers, body = asked(url, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 100


def test_every_page_has_strict_headers(served):
    url, run_id, _ = served
    for path in ("/", "/style.css", "/script.js", "/api/runs", f"/report/{run_id}", "/nothing"):
        _, headers, _ = asked(url, path=path)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert ("unsafe-inline" in policy) == path.startswith("/report/")
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/page/watch.js", "/run", "/%00", "/api/"])
def test_there_are_no_other_pages(served, path):
    url, _, _ = served
    assert asked(url, path=path)[0] == 404


@pytest.mark.parametrize("path", ["http://[x/", "http://[::1/api/runs"])
def test_what_is_no_address_is_said(served, path):
    url, _, _ = served
    status, _, body = asked(url, path=path, Host="localhost")
    assert status == 400
    assert b"no address" in body


def test_what_goes_wrong_is_said_and_no_traceback(made, capfd):
    class Broken(Watcher):
        def report(self, run_id):
            raise {"os": OSError("the disk is gone"), "bug": KeyError("x")}[run_id]

    watcher = Broken(str(made[0]), "127.0.0.1", 0)
    threading.Thread(target=watcher.serve_forever, daemon=True).start()
    try:
        for name, said in (("os", b"OSError: the disk is gone"), ("bug", b"KeyError: 'x'")):
            status, _, body = asked(watcher.url, path=f"/report/{name}")
            assert status == 500
            assert said in body
            assert body.count(b"\n") == 1
    finally:
        watcher.shutdown()
        watcher.server_close()
    assert capfd.readouterr().err == ""


def test_a_report_is_made_anew_where_it_tells_something_else(made):
    store, run_id = made
    with open_watcher(str(store)) as watcher:
        first = watcher.report(run_id)
        assert watcher.report(run_id) is first
        Store(store).edit_run(run_id, RunEdit(name="quite new"))
        second = watcher.report(run_id)
        assert b"quite new" in second
        Store(store).edit_run(run_id, RunEdit(notes="as it should be"))
        assert b"as it should be" in watcher.report(run_id)


def test_a_run_that_is_not_there_is_a_problem_and_no_error(served):
    url, _, _ = served
    for name in ("other-12345678", "..%2f..%2fetc", "%00", "x" * 3000):
        status, _, body = get(f"{url}/api/run/{name}")
        assert (status, set(json.loads(body))) == (200, {"problem"})
        assert get(f"{url}/report/{name}")[0] == 404


def test_a_part_that_is_known_is_not_sent_again(served):
    url, run_id, _ = served
    first = json.loads(get(f"{url}/api/run/{run_id}")[2])
    assert {"now", "grid", "cells"} <= set(first)
    known = "&".join(f"{name}={part['version']}" for name, part in first.items())
    again = json.loads(get(f"{url}/api/run/{run_id}?{known}")[2])
    assert not {"now", "grid", "cells"} & set(again)
    other = json.loads(get(f"{url}/api/run/{run_id}?{known}&grid=other")[2])
    assert "grid" in other


def test_ctrl_c_ends_it_as_it_ends_status(made):
    store, run_id = made
    with watching(store, run_id) as (url, process):
        assert get(url)[0] == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["last", "--host", "0.0.0.0"], "has no password"),
        (["last", "--host", "example.org"], "has no password"),
        (["nothing"], "no run 'nothing'"),
        (["last", "--store", "/nowhere/at/all"], "no store is there"),
        (["last", "--port", "70000"], "70000"),
    ],
)
def test_what_cannot_be_is_said(made, arguments, said):
    store, _ = made
    command = [*LOTTERY, "watch", "--no-open", "--store", str(store), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said(made):
    store, _ = made
    with open_watcher(str(store)) as watcher:
        port = watcher.server_port
        taken = pytest.raises(UsageError, match=f"port {port}: it is taken")
        with taken, open_watcher(str(store), port=port):
            pass
