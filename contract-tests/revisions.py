"""ETags and If-Match: who has seen another revision changes nothing.

What is looked at is what the document declares; nothing here knows a resource by name.
"""

from cases import declares_etag, filled, problem, resource_of, takes_header, update_of

# No resource ever has this revision.
NEVER = '"0"'


def etag_of(answer):
    return answer.headers.get("ETag")


def is_same(before, after):
    """The fault of the second of two answers that must be the same, or nothing."""
    if (after.status, etag_of(after), after.body) == (before.status, etag_of(before), before.body):
        return None
    return f"was {before.status} {etag_of(before)} {before.body[:60]!r}, is {after.status} {etag_of(after)} {after.body[:60]!r}"


def refused_at(cases, client, method, path, body, tag, what):
    """A change at a revision that is not the current one is refused, and nothing has changed."""
    name = f"{method} {path} at {what}"
    before = client.call("GET", path)
    cases.check(name, problem(client.call(method, path, body, {"If-Match": tag}), [400]))
    cases.check(f"GET {path} after {name}", is_same(before, client.call("GET", path)))


def reads(cases, client, path):
    """Every read has an ETag, and no cache of ours is ever told that nothing has changed: the contract
    has no 304."""
    answer = client.call("GET", path)
    found = problem(answer, [200])
    cases.check(f"GET {path}", found or (None if etag_of(answer) else "no ETag"))
    again = client.call("GET", path, headers={"If-None-Match": etag_of(answer) or "*"})
    cases.check(f"GET {path} with If-None-Match", is_same(answer, again))
    return answer


def updates(cases, client, document, operation, path, maker):
    read = client.call("GET", path)
    seen = etag_of(read)
    body = update_of(document, operation, read, maker, resource_of(path))
    refused_at(cases, client, "PUT", path, body, NEVER, "a revision that never was")
    answer = client.call("PUT", path, body, {"If-Match": seen or "*"})
    cases.check(f"PUT {path} at its revision", problem(answer, [200]))
    now = etag_of(client.call("GET", path))
    cases.check(f"the ETag after PUT {path}", None if now != seen else f"is {now} still")
    cases.check(f"the ETag that PUT {path} answers", None if etag_of(answer) == now else f"is {etag_of(answer)}, not {now}")
    body = update_of(document, operation, client.call("GET", path), maker, resource_of(path))
    refused_at(cases, client, "PUT", path, body, seen or NEVER, "the revision before")
    return seen


def deletions(cases, client, path, before):
    refused_at(cases, client, "DELETE", path, None, NEVER, "a revision that never was")
    if before:
        refused_at(cases, client, "DELETE", path, None, before, "the revision before")
    seen = etag_of(client.call("GET", path))
    cases.check(f"DELETE {path} at its revision", problem(client.call("DELETE", path, None, {"If-Match": seen or "*"}), [200]))
    cases.check(f"GET {path} after that", problem(client.call("GET", path), [404]))


def run(cases, client, maker, document):
    for template, item in document["paths"].items():
        if not declares_etag(item.get("get", {"responses": {}})):
            continue
        path = filled(template, maker.path_parameters(resource_of(template), template)) if "{" in template else template
        reads(cases, client, path)
        before = None
        if "put" in item and takes_header(document, item["put"], "If-Match"):
            before = updates(cases, client, document, item["put"], path, maker)
        if "delete" in item and takes_header(document, item["delete"], "If-Match"):
            deletions(cases, client, path, before)
