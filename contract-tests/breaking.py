#!/usr/bin/env python3
"""Tells what in an OpenAPI 3.0 document breaks the clients of an earlier one, one line each.

    contract-tests/breaking.py RELEASED CURRENT

What this file knows is operations: paths, parameters, bodies, statuses, headers, authentication; and the messages that
receivers get (`x-webhooks`).
Schemas are compared by schemas.py. Links, ids and texts are not compared: no request needs them.
"""

import json
import pathlib
import re
import sys

from schemas import Schemas

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# Style of a parameter, with the defaults.
STYLES = {"query": "form", "cookie": "form", "path": "simple", "header": "simple"}


class Comparison:
    """Collects the breaks between two documents."""

    def __init__(self, old, new):
        self.schemas = Schemas(old, new)
        self.old, self.new = self.schemas.old, self.schemas.new
        self.found = []

    def say(self, where, what):
        self.found.append(f"{where}: {what}")

    def whole(self):
        for url in sorted(servers(self.old.root) - servers(self.new.root)):
            self.say("servers", f"{url} was removed")
        old, new = operations(self.old.root), operations(self.new.root)
        for key, (name, item, operation) in old.items():
            if key in new:
                _, new_item, new_operation = new[key]
                self.operation(name, (item, operation), (new_item, new_operation))
            else:
                self.say(name, "the operation was removed")
        self.messages(self.old.root.get("x-webhooks", {}), self.new.root.get("x-webhooks", {}))
        return self.found

    def messages(self, old, new):
        """Requests that the hub sends to receivers: to them, its requests are what answers are to a client."""
        for name, item in old.items():
            where = f"message {name}"
            if name not in new:
                self.say(where, "the message was removed")
                continue
            old_operation, new_operation = item["post"], new[name]["post"]
            old_body, new_body = self.old.follow(old_operation["requestBody"]), self.new.follow(new_operation["requestBody"])
            self.contents(where, "response", old_body, new_body)
            new_headers = parameters(self.new, {"path": ""}, new_operation)
            for key, header in parameters(self.old, {"path": ""}, old_operation).items():
                place = f"{where} header {header['name']}"
                if key not in new_headers:
                    self.say(place, "was removed")
                    continue
                if header.get("required") and not new_headers[key].get("required"):
                    self.say(place, "is not always there any more")
                self.value(place, "response", header, new_headers[key])

    def operation(self, name, old, new):
        self.parameters(name, old, new)
        self.security(name, old[1], new[1])
        self.body(f"{name} request", self.old.follow(old[1].get("requestBody")), self.new.follow(new[1].get("requestBody")))
        for status, response in old[1]["responses"].items():
            where = f"{name} {status}"
            if status in new[1]["responses"]:
                self.response(where, self.old.follow(response), self.new.follow(new[1]["responses"][status]))
            # An error that is no longer possible is nothing that a client misses.
            elif status.startswith("2"):
                self.say(where, "the status was removed")

    def parameters(self, name, old, new):
        old, new = parameters(self.old, *old), parameters(self.new, *new)
        for key, parameter in old.items():
            where = f"{name} parameter {parameter['name']} ({parameter['in']})"
            other = new.get(key)
            if other is None:
                self.say(where, "was removed")
                continue
            if other.get("required") and not parameter.get("required"):
                self.say(where, "is required now")
            if style(parameter) != style(other):
                self.say(where, "is written in another way now (style, explode)")
            self.value(where, "request", parameter, other)
        for key, parameter in new.items():
            if parameter.get("required") and key not in old:
                self.say(f"{name} parameter {parameter['name']} ({parameter['in']})", "is new and required")

    def security(self, name, old, new):
        old = old.get("security", self.old.root.get("security", []))
        new = new.get("security", self.new.root.get("security", []))
        # No alternative at all is one that demands nothing.
        for alternative in old or [{}]:
            if not any(is_enough(alternative, demanded) for demanded in new or [{}]):
                self.say(name, f"{spell(alternative)} is not enough any more: it takes {' or '.join(map(spell, new))}")
        for scheme in {scheme for alternative in old for scheme in alternative}:
            was, now = self.old.scheme(scheme), self.new.scheme(scheme)
            if now is not None and was != now:
                self.say(name, f"the authentication {scheme} works in another way now")

    def body(self, where, old, new):
        if not old:
            if new and new.get("required"):
                self.say(where, "a body is required now")
            return
        if not new:
            return self.say(where, "the body was removed")
        if new.get("required") and not old.get("required"):
            self.say(where, "the body is required now")
        self.contents(where, "request", old, new)

    def response(self, where, old, new):
        self.contents(where, "response", old, new)
        headers = {header.lower(): value for header, value in new.get("headers", {}).items()}
        for header, value in old.get("headers", {}).items():
            old_header, new_header = self.old.follow(value), self.new.follow(headers.get(header.lower()))
            place = f"{where} header {header}"
            if new_header is None:
                self.say(place, "was removed")
                continue
            if old_header.get("required") and not new_header.get("required"):
                self.say(place, "is not always there any more")
            self.value(place, "response", old_header, new_header)

    def contents(self, where, direction, old, new):
        for media_type, content in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                self.say(where, f"{media_type} was removed")
            else:
                self.value(where, direction, content, new["content"][media_type])

    def value(self, where, direction, old, new):
        """The schema, or that of the `content`, as a parameter may."""
        if "content" in old or "content" in new:
            return self.contents(where, direction, old, new)
        for path, what in self.schemas.breaks(direction, old.get("schema", {}), new.get("schema", {})):
            self.say(f"{where} {path}", what)


def servers(document):
    return {server["url"].rstrip("/") or "/" for server in document.get("servers", [{"url": "/"}])}


def operations(document):
    """By method and path; what a path's parameters are called makes no difference to a request."""
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", path)): (f"{method.upper()} {path}", {**item, "path": path}, item[method])
        for path, item in document["paths"].items()
        for method in METHODS if method in item
    }


def parameters(document, item, operation):
    """By place and name; those of the path by their position in it."""
    positions = {name: number for number, name in enumerate(re.findall(r"\{([^}]*)\}", item["path"]))}
    found = {}
    for parameter in item.get("parameters", []) + operation.get("parameters", []):
        parameter = document.follow(parameter)
        place, name = parameter["in"], parameter["name"]
        known = positions.get(name, name) if place == "path" else name.lower() if place == "header" else name
        found[place, known] = parameter
    return found


def style(parameter):
    written = parameter.get("style", STYLES[parameter["in"]])
    return written, parameter.get("explode", written == "form"), parameter.get("allowReserved", False)


def is_enough(given, demanded):
    return all(scheme in given and set(scopes) <= set(given[scheme]) for scheme, scopes in demanded.items())


def spell(alternative):
    return " and ".join(alternative) or "no authentication"


def breaks(old, new):
    return Comparison(old, new).whole()


def main(released, current):
    found = breaks(*(json.loads(pathlib.Path(path).read_text()) for path in (released, current)))
    for line in found:
        print(line)
    if found:
        print(f"{current} breaks clients of {released} in {len(found)} places", file=sys.stderr)
        return 1
    print(f"{current} breaks nothing of {released}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
