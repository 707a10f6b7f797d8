"""What the fake hub answers, as values: the API, the resolve addresses and the CDN's links. Nothing is sent here."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.hub.fake_repo import FakeFile, FakeRepo, Snapshot

if TYPE_CHECKING:
    from tests.hub.fake_hub import FakeHub

READER, STRANGER = "hf_reader", "hf_stranger"  # tokens: may read all; is known, and may not read what is kept back


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read."""

    method: str
    target: str  # path and query as sent
    body: bytes
    token: str | None

    @property
    def parts(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.target).path.strip("/").split("/")]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    def word(self, name: str, usual: str = "") -> str:
        return self.query.get(name, [usual])[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """`subject` is what a fault's pattern is matched with."""

    subject: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    file: FakeFile = field(default_factory=lambda: FakeFile(b""))


def answer_hub(hub: "FakeHub", asked: Asked) -> Reply:
    parts, path = asked.parts, urlsplit(asked.target).path
    if asked.token is not None and asked.token not in (READER, STRANGER):
        return _refusal(path, 401, "", "Invalid credentials in Authorization header")
    if parts == ["api", "whoami-v2"]:
        return _json(path, {"name": "reader", "type": "user"}) if asked.token else _refusal(path, 401, "", "Log in")
    if parts == ["api", "models"]:
        return _search(hub, asked)
    if parts[:2] == ["api", "models"] and len(parts) >= 4:
        return _api(hub, asked, "/".join(parts[2:4]), parts[4:])
    if len(parts) >= 5 and parts[2] == "resolve":
        return _resolve(hub, asked, "/".join(parts[:2]), parts[3], "/".join(parts[4:]))
    return _refusal(path, 404, "", "Sorry, we can't find the page you are looking for.")


def answer_cdn(hub: "FakeHub", asked: Asked) -> Reply:
    """A link is good until it expires; who asks does not matter."""
    link = hub.links.get(asked.parts[-1])
    if link is None:
        return _refusal(asked.target, 404, "", "NoSuchKey")
    if link.expired:
        return _refusal(link.path, 403, "", "Request has expired")
    return Reply(link.path, 200, {"Content-Type": "application/octet-stream"}, link.file)


def _resolve(hub: "FakeHub", asked: Asked, name: str, revision: str, path: str) -> Reply:
    found = _snapshot(hub, asked, path, name, revision)
    if isinstance(found, Reply):
        return found
    repo, snapshot = found
    if repo.about.get("gated") and asked.token != READER:
        return _refusal(path, 403 if asked.token else 401, "GatedRepo", f"Access to model {name} is restricted.")
    headers = {"X-Repo-Commit": snapshot.commit, "Accept-Ranges": "bytes"}
    file = snapshot.files.get(path)
    if file is None:
        return _refusal(path, 404, "EntryNotFound", "Entry not found", headers)
    if not snapshot.is_lfs(path):
        return Reply(path, 200, headers | {"ETag": f'"{snapshot.etag(path)}"'}, file)
    linked = {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
    return Reply(path, 302, headers | linked | {"Location": hub.link(path, file)})


def _api(hub: "FakeHub", asked: Asked, name: str, rest: list[str]) -> Reply:
    path = urlsplit(asked.target).path
    what = rest[0] if rest else "revision"
    revision = rest[1] if len(rest) > 1 else "main"
    found = _snapshot(hub, asked, path, name, revision)
    if isinstance(found, Reply):
        return found
    repo, snapshot = found
    match what:
        case "revision":
            return _json(path, _expanded(repo.info(snapshot, "blobs" in asked.query), asked))
        case "tree":
            entries = snapshot.tree("/".join(rest[2:]), asked.word("recursive").lower() == "true")
            return _page(hub, asked, entries)
        case "paths-info":
            wanted = parse_qs(asked.body.decode()).get("paths", [])
            return _json(path, [snapshot.tree_entry(each) for each in wanted if each in snapshot.files])
        case "refs":
            refs = [{"name": k, "ref": f"refs/heads/{k}", "targetCommit": v.commit} for k, v in repo.revisions.items()]
            return _json(path, {"branches": refs, "converts": [], "tags": [], "pullRequests": []})
    return _refusal(path, 404, "", "Not found")  # no xet here


def _snapshot(
    hub: "FakeHub", asked: Asked, subject: str, name: str, revision: str
) -> tuple[FakeRepo, Snapshot] | Reply:
    repo = hub.repos.get(name)
    if repo is None or (repo.about.get("private") and asked.token != READER):
        if asked.token is None:
            # With the code, since the library guesses from a bare 401 only where the address begins with https.
            return _refusal(subject, 401, "RepoNotFound", "Invalid username or password.")
        return _refusal(subject, 404, "RepoNotFound", "Repository not found")
    snapshot = repo.at(revision)
    if snapshot is None:
        return _refusal(subject, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return repo, snapshot


def _search(hub: "FakeHub", asked: Asked) -> Reply:
    words, author, wanted = asked.word("search").lower().split(), asked.word("author"), asked.query.get("filter", [])
    found = []
    for repo in hub.repos.values():
        info = repo.info(repo.revisions["main"], blobs=False)
        if not all(word in repo.name.lower() for word in words) or (author and info["author"] != author):
            continue
        if (info["private"] and asked.token != READER) or not set(wanted) <= set(info["tags"]):
            continue
        found.append(info)
    key = asked.word("sort")
    if key in ("downloads", "likes", "lastModified", "createdAt"):
        found.sort(key=lambda info: info[key], reverse=True)
    if not asked.word("full"):
        for info in found:
            if "siblings" not in asked.query.get("expand", []):
                del info["siblings"]
    return _page(hub, asked, [_expanded(info, asked) for info in found])


def _expanded(info: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """`expand` asks for some keys; the others are left out then. What is not there is left out always."""
    wanted = set(asked.query.get("expand", []))
    always = {"_id", "id", "modelId"}
    return {key: value for key, value in info.items() if value is not None and (not wanted or key in wanted | always)}


def _page(hub: "FakeHub", asked: Asked, entries: list[dict[str, Any]]) -> Reply:
    size = min(int(asked.word("limit") or hub.page_size), hub.page_size)
    start = int(asked.word("cursor", "0"))
    path = urlsplit(asked.target).path
    reply = _json(path, entries[start : start + size])
    if start + size < len(entries):
        query = urlencode(asked.query | {"cursor": [str(start + size)]}, doseq=True)
        reply.headers["Link"] = f'<{hub.endpoint}{quote(path, safe="/%")}?{query}>; rel="next"'
    return reply


def _json(subject: str, value: object) -> Reply:
    body = json.dumps(value).encode()
    return Reply(subject, 200, {"Content-Type": "application/json; charset=utf-8"}, FakeFile(body))


def _refusal(subject: str, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    told = {"X-Error-Message": message, "Content-Type": "application/json"} | (headers or {})
    if code:
        told["X-Error-Code"] = code
    return Reply(subject, status, told, FakeFile(json.dumps({"error": message}).encode()))
