"""Sends the steps of the story to a hub, one after the other, and gives what was asked and answered as examples."""

import dataclasses
import datetime
import json
import urllib.parse

import story_steps
from hub import PASSWORD, Client, Failure, until
from story_normal import Normal

# Name of the story's hub in the examples.
PUBLIC_URL = "https://hub.nordlicht.example"
CREDENTIALS = {"session": "THINGSHUB_TOKEN", "ingest": "THINGSHUB_INGEST_KEY"}
SETTLES_IN_S = 20


@dataclasses.dataclass
class Operation:
    method: str
    path: str
    status: int
    media_types: list
    is_open: bool
    is_ingest: bool


def operations(document):
    """The operations of a document, by their ids."""
    found = {}
    for path, item in document["paths"].items():
        for method, raw in item.items():
            if "operationId" not in raw:
                continue
            status = next(status for status in raw["responses"] if status[0] == "2")
            found[raw["operationId"]] = Operation(
                method=method.upper(), path=path, status=int(status),
                media_types=list(raw["responses"][status].get("content", {})),
                is_open=not raw.get("security"),
                is_ingest=any("ingest_bearer" in scheme for scheme in raw.get("security", [])),
            )
    return found


@dataclasses.dataclass
class Request:
    """A request with everything filled in."""

    method: str
    path: str
    query: dict
    token: str | None
    # The environment variable in which code samples expect the token.
    variable: str
    content: bytes | None
    media_type: str | None

    def target(self):
        query = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in self.query.items()}
        return self.path + ("?" + urllib.parse.urlencode(query) if query else "")


def shown_stream(normal, stream):
    """Server-sent events as they are shown, without the comments that keep the connection alive."""
    def shown(line):
        name, mark, value = line.partition(":")
        if name == "data":
            return f"data: {json.dumps(normal.answer(json.loads(value)), ensure_ascii=False)}"
        return f"{name}{mark} {normal.text(value.strip())}" if mark else line
    lines = stream.splitlines()
    return "\n".join(shown(line) for line in lines if not line.startswith(":")) + "\n"


# Media types of files that are no text.
BINARY = {"application/octet-stream", "application/vnd.apache.parquet"}


def read(answer):
    """The content of an answer."""
    media_type = answer.headers.get_content_type()
    if media_type == "application/json":
        return answer.json
    return answer.body if media_type in BINARY else answer.body.decode()


class Story:
    def __init__(self, hub, document, public, made, send=None):
        self.operations = operations(document)
        # Sends the request of an operation's first example in another way: by a code sample.
        self.send = send
        self.client = Client(hub)
        # The local addresses of what has a public name.
        self.public = public
        shown = {local: name for name, local in public.items()}
        self.normal = Normal(shown | dict(made.values()) | {f"127.0.0.1:{hub.port}": "hub.nordlicht.example"})
        self.values = story_steps.Values(
            {name: real for name, (real, _) in made.items()} | {"password": PASSWORD})
        self.examples = {}

    def run(self):
        for step in story_steps.read():
            try:
                self.take(step)
            except (Failure, KeyError, IndexError, TypeError, ValueError) as problem:
                raise Failure(f"{step.where} ({step.operation} {step.example or ''}): {problem!r}") from problem
        return self.examples

    def localized(self, value):
        """The value with addresses of this machine in place of public names."""
        if isinstance(value, dict):
            return {name: self.localized(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.localized(part) for part in value]
        if isinstance(value, str):
            for public, local in self.public.items():
                value = value.replace(public, local)
        return value

    def token(self, step, operation):
        if operation.is_open:
            return None
        kept = self.values.kept[step.auth]
        return kept["ingest_key"] if operation.is_ingest else kept.get("token") or kept["key"]

    def request(self, step, operation, filled):
        path = operation.path
        for name, value in filled["path"].items():
            path = path.replace("{" + name + "}", urllib.parse.quote(str(value), safe=""))
        if "{" in path:
            raise Failure(f"the path {path} lacks a value")
        content, media_type = None, step.media_type
        if step.body is not None:
            content = json.dumps(self.localized(filled["body"])).encode()
            media_type = media_type or "application/json"
        elif step.text is not None:
            content = filled["text"] if isinstance(filled["text"], bytes) else filled["text"].encode()
            media_type = media_type or "application/octet-stream"
        variable = CREDENTIALS["ingest" if operation.is_ingest else "session"]
        return Request(operation.method, path, filled["query"], self.token(step, operation), variable, content, media_type)

    def plainly(self, request):
        headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
        if request.media_type:
            headers["Content-Type"] = request.media_type
        return self.client.call(request.method, request.target(), request.content, headers)

    def take(self, step):
        if step.at:
            self.normal.move_clock(datetime.datetime.fromisoformat(step.at.replace("Z", "+00:00")))
        operation = self.operations[step.operation]
        filled = self.values.fill({"path": step.path, "query": step.query, "body": step.body, "text": step.text})
        request = self.request(step, operation, filled)
        shown = self.shown_request(step, operation, request, filled)
        is_first = bool(step.example) and step.operation not in self.examples
        if step.until:
            answer = until(f"the answer has {step.until}", SETTLES_IN_S, lambda: self.settled(step, request))
        if self.send and is_first:
            answer = self.send(step, request, self.differences(filled, shown))
        elif not step.until:
            answer = self.plainly(request)
        if answer.status != operation.status:
            raise Failure(f"answered {answer.status}, not {operation.status}: {answer.body.decode(errors='replace')[:600]}")
        content = read(answer)
        if step.keep:
            self.values.kept[step.keep] = content
        if step.example:
            example = {"name": step.example, "summary": step.summary, "request": shown, "status": answer.status,
                       "media_type": answer.headers.get_content_type()}
            if example["media_type"] == "text/event-stream":
                content = shown_stream(self.normal, content)
            # A file, or a text of which an excerpt is shown.
            example["response"] = step.shown if isinstance(content, bytes) or step.text is None and step.shown \
                else self.normal.answer(content)
            self.examples.setdefault(step.operation, []).append(example)

    def settled(self, step, request):
        answer = self.plainly(request)
        if answer.status != 200:
            raise Failure(f"answered {answer.status}: {answer.body[:300]!r}")
        content = answer.json
        try:
            found = {path: story_steps.member(content, path.split(".")) for path in step.until}
        except (KeyError, IndexError):
            return None
        return answer if found == step.until else None

    def shown_request(self, step, operation, request, filled):
        """The request as the document shows it: with made-up values, and public names."""
        shown = {"auth": None if operation.is_open else request.variable}
        shown["path"] = self.normal.value(filled["path"])
        shown["query"] = self.normal.value(filled["query"])
        if request.media_type:
            shown["media_type"] = request.media_type
        if step.body is not None:
            shown["body"] = self.normal.value(filled["body"])
        elif step.text is not None:
            shown["body"] = step.shown or self.normal.text(request.content.decode())
            shown["file"] = step.file
        if step.save_as:
            shown["save_as"] = step.save_as
        return {name: value for name, value in shown.items() if value is not None and (name == "body" or value != {})}

    def differences(self, filled, shown):
        """The request as the document shows it, with what is sent in its place."""
        found = {}

        def compare(real, seen):
            if isinstance(real, dict):
                for name, part in real.items():
                    compare(part, seen[name])
            elif isinstance(real, list):
                for one, other in zip(real, seen):
                    compare(one, other)
            elif real != seen:
                found[seen] = real

        for name in ("path", "query", "body"):
            if name in shown and (name != "body" or filled["body"] is not None):
                compare(self.localized(filled[name]), shown[name])
        return found
