"""A Hub on 127.0.0.1 with the few endpoints that files of a repository need, and no others."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Hub", "serving"]


class Hub(ThreadingHTTPServer):
    """Repositories by id: name of a file → its bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.is_down = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Hub]:
    """A block with a Hub."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._file(is_head=True)

    def do_GET(self) -> None:
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/main)?", self._path):
            self._known(found[1], {"id": found[1], "sha": "0" * 40, "siblings": []})
        else:
            self._file(is_head=False)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.is_down:
            return self._answer(503, {"error": "down"})
        if self._path == "/api/repos/create":
            return self._create(json.loads(body))
        if self._path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self._path)
        if found is None:
            return self._answer(404, {"error": f"no endpoint {self._path}"})
        if found[2] == "preupload":
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in json.loads(body)["files"]
            ]
            return self._known(found[1], {"files": files})
        return self._commit(found[1], [json.loads(line) for line in body.splitlines()])

    @property
    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _create(self, asked: dict[str, Any]) -> None:
        name = asked["name"] if "/" in asked["name"] else f"{asked['organization']}/{asked['name']}"
        if asked.get("organization") and "/" not in asked["name"]:
            name = f"{asked['organization']}/{asked['name']}"
        is_new = name not in self.server.repositories
        self.server.repositories.setdefault(name, {})
        self._answer(200 if is_new else 409, {"url": f"{self.server.url}/{name}", "name": name})

    def _commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = self.server.repositories[name]
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        url = f"{self.server.url}/{name}/commit/{'1' * 40}"
        done = {"success": True, "commitUrl": url, "commitOid": "1" * 40, "hookOutput": ""}
        self._answer(200, done)

    def _file(self, *, is_head: bool) -> None:
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self._path)
        if self.server.is_down or found is None:
            return self._answer(503, {"error": "down"}, is_head=is_head)
        name, revision, path = found.groups()
        files = self.server.repositories.get(name)
        if files is None:
            return self._refuse("RepoNotFound", is_head=is_head)
        if revision not in ("main", "0" * 40):
            return self._refuse("RevisionNotFound", is_head=is_head)
        if path not in files:
            return self._refuse("EntryNotFound", is_head=is_head)
        self.send_response(200)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(files[path]).hexdigest()}"')
        self.send_header("Content-Length", str(len(files[path])))
        self.end_headers()
        if not is_head:
            self.wfile.write(files[path])
        return None

    def _refuse(self, code: str, *, is_head: bool) -> None:
        self._answer(404, {"error": code}, is_head=is_head, code=code)

    def _known(self, name: str, value: dict[str, Any]) -> None:
        if name in self.server.repositories:
            self._answer(200, value)
        else:
            self._refuse("RepoNotFound", is_head=False)

    def _answer(
        self, status: int, value: dict[str, Any], *, is_head: bool = False, code: str = ""
    ) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if not is_head:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
