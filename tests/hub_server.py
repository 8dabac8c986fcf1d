"""A small server on 127.0.0.1 that speaks what huggingface_hub needs: create, commit, list, download.

Endpoints as huggingface_hub calls them (``hf_api.py``, ``_commit_api.py``, ``lfs.py``, ``file_download.py``);
files that git would call binary go through git-lfs, as they do on huggingface.co.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_onlyForTheServerOfThisTest"


class Hub(ThreadingHTTPServer):
    """Repositories in memory, each a list of commits (oid, files)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.private: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.answer_always: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        commits = self.repos.setdefault(repo, [])
        oid = hashlib.sha1(
            f"{repo}{len(commits)}".encode() + repr(sorted(files.items())).encode()
        ).hexdigest()
        commits.append((oid, files))
        return oid

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes] | None:
        return next((files for oid, files in self.at(repo, revision)), None)

    def at(self, repo: str, revision: str) -> list[tuple[str, dict[str, bytes]]]:
        commits = self.repos[repo]
        return commits[-1:] if revision == "main" else [found for found in commits if found[0] == revision]


class _Refuse(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def _is_lfs(content: bytes) -> bool:
    return b"\0" in content[:512]


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        try:
            if self.server.answer_always is not None:
                raise _Refuse(self.server.answer_always)
            for verb, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in verb:
                    answer(self, body, **match.groupdict())
                    return
            raise _Refuse(404, "", f"this server knows no {self.command} {path}")
        except _Refuse as refuse:
            headers = {"X-Error-Code": refuse.code, "X-Error-Message": refuse.message}
            self._send(refuse.status, b"{}", {key: value for key, value in headers.items() if value})

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(status, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _must_be_known(self) -> None:
        if not self._known():
            raise _Refuse(401, "", "Invalid username or password.")

    def _readable(self, repo: str) -> None:
        if repo not in self.server.repos or (repo in self.server.private and not self._known()):
            raise _Refuse(404 if self._known() else 401, "RepoNotFound", "Repository not found")

    def _revision(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]]:
        self._readable(repo)
        found = self.server.at(repo, revision)
        if not found:
            raise _Refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found[0]

    def create(self, body: bytes) -> None:
        self._must_be_known()
        asked = json.loads(body)
        repo = f"{asked['organization'] or 'me'}/{asked['name']}"
        if repo.startswith("others/"):
            raise _Refuse(403, "", "You don't have the rights to create a model under the namespace")
        if repo in self.server.repos:
            self._json({"url": f"{self.server.url}/{repo}"}, 409)
            return
        self.server.commit(repo, {".gitattributes": b"*.safetensors filter=lfs\n"})
        if asked.get("visibility") == "private" or asked.get("private"):
            self.server.private.add(repo)
        self._json({"url": f"{self.server.url}/{repo}"})

    def validate(self, body: bytes) -> None:
        head = json.loads(body)["content"].split("---")[1]
        wrong = [] if "library_name: vitrine" in head else [{"message": "no library_name"}]
        self._json({"warnings": [], "errors": wrong}, 400 if wrong else 200)

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        self._must_be_known()
        _, files = self._revision(repo, revision)
        answer = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if _is_lfs(base64.b64decode(file["sample"])) else "regular"
            old = files.get(file["path"])
            oid = None if old is None else hashlib.sha256(old).hexdigest() if _is_lfs(old) else _git_oid(old)
            answer.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._json({"files": answer})

    def lfs_batch(self, body: bytes, repo: str) -> None:
        self._must_be_known()
        objects = []
        for item in json.loads(body)["objects"]:
            there = item["oid"] in self.server.objects
            actions = {"upload": {"href": f"{self.server.url}/lfs/{item['oid']}"}}
            objects.append({**item, **({} if there else {"actions": actions})})
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _Refuse(400)
        self.server.objects[oid] = body
        self._send(200, b"")

    def take_commit(self, body: bytes, repo: str, revision: str) -> None:
        self._must_be_known()
        files = dict(self._revision(repo, revision)[1])
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        oid = self.server.commit(repo, files)
        self._json({"commitUrl": f"{self.server.url}/{repo}/commit/{oid}", "commitOid": oid})

    def info(self, body: bytes, repo: str, revision: str = "main") -> None:
        oid, files = self._revision(repo, revision)
        siblings = [{"rfilename": name} for name in files]
        self._json({"id": repo, "modelId": repo, "sha": oid, "siblings": siblings, "private": False})

    def tree(self, body: bytes, repo: str, revision: str) -> None:
        _, files = self._revision(repo, revision)
        found = []
        for name, content in files.items():
            entry = {"type": "file", "path": name, "size": len(content), "oid": _git_oid(content)}
            if _is_lfs(content):
                sha = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
            found.append(entry)
        self._json(found)

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> None:
        oid, files = self._revision(repo, revision)
        if name not in files:
            raise _Refuse(404, "EntryNotFound", "Entry not found")
        content = files[name]
        etag = hashlib.sha256(content).hexdigest() if _is_lfs(content) else _git_oid(content)
        self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": oid})


_REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.validate),
    ("POST", rf"/api/models/{_REPO}/preupload/(?P<revision>.+)", _Handler.preupload),
    ("POST", rf"/api/models/{_REPO}/commit/(?P<revision>.+)", _Handler.take_commit),
    ("POST", rf"/{_REPO}\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    ("PUT", "/lfs/(?P<oid>[0-9a-f]{64})", _Handler.lfs_put),
    ("GET", rf"/api/models/{_REPO}/revision/(?P<revision>.+)", _Handler.info),
    ("GET", rf"/api/models/{_REPO}/tree/(?P<revision>.+)", _Handler.tree),
    ("GET", rf"/api/models/{_REPO}", _Handler.info),
    (("GET", "HEAD"), rf"/{_REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", _Handler.resolve),
)


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that answers until the block ends."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
