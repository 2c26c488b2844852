"""What the loopback Hub answers: one method an endpoint, from the reference of the Hub's HTTP interface."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from mimetypes import guess_type
from urllib.parse import parse_qs, unquote

from support.hub.store import KINDS, Commit, Refusal, Repository, Store, card_errors, front_matter

_REPO = r"/api/(?P<kind>models|datasets|spaces)/(?P<repo>[^/]+/[^/]+)"
_SITE = r"/(?:(?P<kind>datasets|spaces)/)?(?P<repo>[^/]+/[^/]+)"
# Name of the endpoint -> methods and path. The name is that of the method that answers, and of its faults.
ROUTES = {
    "create": ("POST", r"/api/repos/create"),
    "delete": ("DELETE", r"/api/repos/delete"),
    "whoami": ("GET", r"/api/whoami-v2"),
    "validate_yaml": ("POST", r"/api/validate-yaml"),
    "listing": ("GET", r"/api/(?P<kind>models|datasets|spaces)"),
    "preupload": ("POST", _REPO + r"/preupload/(?P<rev>[^/]+)"),
    "commit": ("POST", _REPO + r"/commit/(?P<rev>[^/]+)"),
    "tree": ("GET", _REPO + r"/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?"),
    "commits": ("GET", _REPO + r"/commits/(?P<rev>[^/]+)"),
    "paths_info": ("POST", _REPO + r"/paths-info/(?P<rev>[^/]+)"),
    "refs": ("GET", _REPO + r"/refs"),
    "branch": ("POST DELETE", _REPO + r"/branch/(?P<rev>[^/]+)"),
    "tag": ("POST DELETE", _REPO + r"/tag/(?P<rev>[^/]+)"),
    "xet_token": ("GET", _REPO + r"/xet-(?:read|write)-token/(?P<rev>[^/]+)"),
    "info": ("GET", _REPO + r"(?:/revision/(?P<rev>[^/]+))?"),
    "lfs_batch": ("POST", _SITE + r"\.git/info/lfs/objects/batch"),
    "lfs_put": ("PUT", r"/_lfs/(?P<oid>[0-9a-f]{64})"),
    "lfs_verify": ("POST", r"/_lfs/(?P<oid>[0-9a-f]{64})/verify"),
    "resolve": ("GET HEAD", _SITE + r"/resolve/(?P<rev>[^/]+)/(?P<path>.+)"),
    "other": ("GET HEAD POST", r"/api/(?:telemetry|agent-harnesses).*"),
}


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def as_json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status, (("Content-Type", "application/json"),))


@dataclass(frozen=True)
class Request:
    """A request once its body is read."""

    method: str
    query: str
    headers: Mapping[str, str]
    token: str | None
    body: bytes


class Endpoints:
    """One method an endpoint."""

    def __init__(self, store: Store, url: str, request: Request) -> None:
        self.store, self.url = store, url
        self.method, self.headers, self.token = request.method, request.headers, request.token
        self.body, self.query = request.body, parse_qs(request.query)

    def answer(self, endpoint: str, values: dict[str, str | None]) -> Answer:
        if endpoint == "nothing":
            raise Refusal(404, "no such endpoint")
        values = {name: unquote(value) for name, value in values.items() if value is not None}
        repo = values.pop("repo", None)
        kind = KINDS[values.pop("kind", None) or "models"]
        if repo is not None:
            return getattr(self, endpoint)(kind, repo, **values)
        return getattr(self, endpoint)(**values, **({"kind": kind} if endpoint == "listing" else {}))

    @property
    def asked(self) -> dict:
        return json.loads(self.body or b"{}")

    def _at(self, kind: str, repo: str, rev: str) -> Commit:
        return self.store.readable(kind, repo, self.token).at(rev)

    def _site(self, kind: str, repo: str) -> str:
        return f"{self.url}/{'' if kind == 'model' else kind + 's/'}{repo}"

    def create(self) -> Answer:
        asked, account = self.asked, self.store.account(self.token)
        kind = asked.get("type") or "model"
        owner = asked.get("organization") or (account.name if account else "")
        repo = f"{owner}/{asked['name']}"
        url = {"url": self._site(kind, repo)}
        try:
            # Older clients send `private`, newer ones `visibility`.
            private = asked.get("visibility") == "private" or asked.get("private") is True
            self.store.create(kind, repo, private, self.token)
        except Refusal as refusal:
            if refusal.status == 409:
                return as_json({"error": refusal.message, **url}, 409)
            raise
        return as_json(url)

    def delete(self) -> Answer:
        asked = self.asked
        kind, repo = asked.get("type") or "model", f"{asked['organization']}/{asked['name']}"
        self.store.writable(kind, repo, self.token)
        del self.store.repositories[kind, repo]
        return Answer()

    def whoami(self) -> Answer:
        account = self.store.account(self.token)
        if account is None:
            raise Refusal(401, "Invalid username or password.")
        orgs = [{"type": "org", "name": name, "roleInOrg": "write"} for name in account.orgs]
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": account.role}}
        return as_json({"type": "user", "name": account.name, "orgs": orgs, "auth": auth})

    def validate_yaml(self) -> Answer:
        errors = [{"message": message} for message in card_errors(self.asked["content"])]
        return as_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def listing(self, kind: str) -> Answer:
        account = self.store.account(self.token)
        return as_json(
            [
                _info(found, found.head)
                for (of, name), found in self.store.repositories.items()
                if of == kind and (not found.private or (account is not None and account.owns(name)))
            ]
        )

    def info(self, kind: str, repo: str, rev: str = "main") -> Answer:
        found = self.store.readable(kind, repo, self.token)
        return as_json(_info(found, found.at(rev)))

    def tree(self, kind: str, repo: str, rev: str, path: str = "") -> Answer:
        commit = self._at(kind, repo, rev)
        below = path.rstrip("/") + "/" if path else ""
        inside = {name: file for name, file in commit.files.items() if name.startswith(below)}
        if path and not inside:
            raise Refusal(404, f"{path} does not exist on {rev}", "EntryNotFound")
        recursive = self.query.get("recursive", ["false"])[0].lower() == "true"
        expand = self.query.get("expand", ["false"])[0].lower() == "true"
        entries, folders = [], set()
        for name, file in inside.items():
            steps = name.removeprefix(below).split("/")[:-1]
            folders.update(
                below + "/".join(steps[: n + 1]) for n in range(len(steps) if recursive else min(1, len(steps)))
            )
            if recursive or not steps:
                entries.append(file.entry(name) | (_last_commit(commit, name) if expand else {}))
        entries += [{"type": "directory", "path": name, "oid": commit.oid, "size": 0} for name in sorted(folders)]
        return as_json(entries)

    def paths_info(self, kind: str, repo: str, rev: str) -> Answer:
        commit = self._at(kind, repo, rev)
        form = parse_qs(self.body.decode())
        expand = form.get("expand", ["false"])[0].lower() == "true"
        return as_json(
            [
                commit.files[path].entry(path) | (_last_commit(commit, path) if expand else {})
                for path in form.get("paths", [])
                if path in commit.files
            ]
        )

    def commits(self, kind: str, repo: str, rev: str) -> Answer:
        history = self._at(kind, repo, rev).history
        return as_json(
            [
                {
                    "id": commit.oid,
                    "title": commit.title,
                    "message": commit.description,
                    "authors": [{"user": commit.author}],
                    "date": commit.stamp,
                }
                for commit in history
            ]
        )

    def refs(self, kind: str, repo: str) -> Answer:
        found = self.store.readable(kind, repo, self.token)

        def shown(refs: dict[str, Commit], folder: str) -> list[dict]:
            return [{"name": name, "ref": folder + name, "targetCommit": at.oid} for name, at in refs.items()]

        return as_json(
            {
                "branches": shown(found.branches, "refs/heads/"),
                "tags": shown(found.tags, "refs/tags/"),
                "converts": [],
            }
        )

    def branch(self, kind: str, repo: str, rev: str) -> Answer:
        found = self.store.writable(kind, repo, self.token)
        return self._point(found, found.branches, rev, self.asked.get("startingPoint") or "main")

    def tag(self, kind: str, repo: str, rev: str) -> Answer:
        found = self.store.writable(kind, repo, self.token)
        return self._point(found, found.tags, self.asked.get("tag", rev), rev)

    def _point(self, found: Repository, refs: dict[str, Commit], name: str, start: str) -> Answer:
        if self.method == "DELETE":
            if refs.pop(name, None) is None:
                raise Refusal(404, f"{name} does not exist", "RevisionNotFound")
        elif name in refs:
            raise Refusal(409, f"{name} exists already")
        else:
            refs[name] = found.at(start)
        return Answer()

    def preupload(self, kind: str, repo: str, rev: str) -> Answer:
        now = self.store.writable(kind, repo, self.token).at(rev)
        answers = []
        for asked in self.asked["files"]:
            path, sample = asked["path"], base64.b64decode(asked["sample"])
            answer = {"path": path, "shouldIgnore": False, "uploadMode": "regular"}
            if self.store.is_large(path, asked["size"], sample):
                answer["uploadMode"] = "lfs"
            if path in now.files:
                answer["oid"] = now.files[path].etag
            answers.append(answer)
        return as_json({"files": answers})

    def lfs_batch(self, kind: str, repo: str) -> Answer:
        self.store.writable(kind, repo, self.token)
        objects = []
        for item in self.asked["objects"]:
            answer = {"oid": item["oid"], "size": item["size"]}
            if self.store.room is not None and item["size"] > self.store.room:
                answer["error"] = {"code": 413, "message": "Your storage limit is reached"}
            elif item["oid"] not in self.store.objects:
                answer["actions"] = self._upload(item["oid"])
            objects.append(answer)
        return as_json({"transfer": "basic", "objects": objects})

    def _upload(self, oid: str) -> dict:
        href = f"{self.url}/_lfs/{oid}"
        return {"upload": {"href": href}, "verify": {"href": href + "/verify"}}

    def lfs_put(self, oid: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refusal(400, "the content is not what its oid says")
        self.store.objects[oid] = self.body
        return Answer()

    def lfs_verify(self, oid: str) -> Answer:
        self.store.account(self.token)
        if len(self.store.objects.get(oid, b"")) != self.asked["size"]:
            raise Refusal(404, "not uploaded")
        return Answer()

    def commit(self, kind: str, repo: str, rev: str) -> Answer:
        found = self.store.writable(kind, repo, self.token)
        if "create_pr" in self.query:
            raise Refusal(501, "no pull requests here")
        lines = [json.loads(line) for line in self.body.splitlines() if line.strip()]
        made = self.store.apply(found, rev, self.store.author(repo, self.token), lines)
        return as_json(
            {"success": True, "commitOid": made.oid, "commitUrl": f"{self._site(kind, repo)}/commit/{made.oid}"}
        )

    def resolve(self, kind: str, repo: str, rev: str, path: str) -> Answer:
        commit = self._at(kind, repo, rev)
        headers = (("X-Repo-Commit", commit.oid), ("Content-Type", guess_type(path)[0] or "application/octet-stream"))
        if path not in commit.files:
            return refused(Refusal(404, "Entry not found", "EntryNotFound"), dict(headers))
        file = commit.files[path]
        headers += (("ETag", f'"{file.etag}"'), ("Accept-Ranges", "bytes"))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if self.method == "HEAD":
            return Answer(b"", 200, (*headers, ("Content-Length", str(len(file.content)))))
        if wanted is None:
            return Answer(file.content, 200, headers)
        first, last = int(wanted[1]), int(wanted[2] or len(file.content) - 1)
        if first >= len(file.content):
            return Answer(b"", 416, (*headers, ("Content-Range", f"bytes */{len(file.content)}")))
        part = file.content[first : last + 1]
        shown = f"bytes {first}-{first + len(part) - 1}/{len(file.content)}"
        return Answer(part, 206, (*headers, ("Content-Range", shown)))

    def xet_token(self, kind: str, repo: str, rev: str) -> Answer:
        raise Refusal(404, "no Xet storage here")

    def other(self) -> Answer:
        return as_json({})


def route(method: str, path: str) -> tuple[str, dict[str, str | None]]:
    for name, (methods, pattern) in ROUTES.items():
        match = re.fullmatch(pattern, path)
        if match and method in methods.split():
            return name, match.groupdict()
    return "nothing", {}


def refused(refusal: Refusal, headers: dict[str, str] | None = None) -> Answer:
    answer = as_json({"error": refusal.message}, refusal.status)
    named = [("X-Error-Message", refusal.message), *((("X-Error-Code", refusal.code),) if refusal.code else ())]
    answer.headers += (*named, *(headers or {}).items())
    return answer


def _last_commit(commit: Commit, path: str) -> dict:
    last = commit.last_change(path)
    return {"lastCommit": {"id": last.oid, "title": last.title, "date": last.stamp}}


def _info(found: Repository, commit: Commit) -> dict:
    card = commit.files.get("README.md")
    metadata = front_matter(card.content.decode()) if card else {}
    return {
        "_id": found.repo_id,
        "id": found.repo_id,
        "modelId": found.repo_id,
        "sha": commit.oid,
        "private": found.private,
        "cardData": metadata,
        "tags": metadata.get("tags") or [],
        "pipeline_tag": metadata.get("pipeline_tag"),
        "library_name": metadata.get("library_name"),
        "siblings": [{"rfilename": path} for path in commit.files],
        "lastModified": commit.stamp,
    }
