"""Idempotency-Key: what is told twice is done once, and answered the same."""

from cases import problem, requests_of, takes_header

KEPT = ("Location", "ETag", "Content-Type")


def other_than(answer, first):
    """The difference between a replay and its first answer, or nothing."""
    if answer.status != first.status:
        return f"answered {answer.status}, not {first.status}: {answer.body[:80]!r}"
    if answer.body != first.body:
        return f"answered {answer.body[:80]!r}, not {first.body[:80]!r}"
    differing = [name for name in KEPT if answer.headers.get(name) != first.headers.get(name)]
    return f"has another {', '.join(differing)}" if differing else None


def told_twice(cases, client, request, key):
    def tell():
        return client.call("POST", request.path, request.body, request.headers | {"Idempotency-Key": key})

    name = f"POST {request.path}"
    first = tell()
    cases.check(f"{name} with a key", problem(first, [200, 201]))
    cases.check(f"{name} with the same key", other_than(tell(), first))
    return first


def told_otherwise(cases, client, request, other, key):
    """The key of one request is refused with another one; `other` would succeed by itself."""
    answer = client.call("POST", other.path, other.body, other.headers | {"Idempotency-Key": key})
    cases.check(f"POST {request.path}, another request with its key", problem(answer, [400]))
    cases.check(f"POST {request.path}, the other one with a key of its own",
                problem(client.call("POST", other.path, other.body, other.headers | {"Idempotency-Key": f"{key} again"}),
                        [200, 201]))


def by_someone_else(cases, stranger, request, body, key, first):
    """A key is its owner's: with it, nobody else is answered what the owner was."""
    answer = stranger.call("POST", request.path, body, request.headers | {"Idempotency-Key": key})
    expected = [403] if request.resource == "tenants" else [404] if "{" in request.template else [201]
    expected = [200] if request.resource == "device-bulks" else expected
    # The driver is not the other tenant's.
    expected = [400] if request.resource == "driver-trials" else expected
    # A key for streams, which is not found at an address of its own.
    expected = [200] if request.path.endswith("/stream-key") else expected
    # Names of people are unique in the installation.
    expected = [400] if request.resource == "users" else expected
    if answer.status == 201 and answer.headers.get("Location"):
        # Ids that clients choose are free in each tenant: what the stranger has must be nobody else's.
        stranger.call("DELETE", answer.headers["Location"])
    found = problem(answer, expected) or ("was answered what the owner was" if answer.body == first.body else None)
    cases.check(f"another tenant's POST {request.path} with the same key", found)


def run(cases, client, stranger, maker, document):
    # The second round has other names, and so other bodies or other paths.
    rounds = zip(requests_of(document, client, maker), requests_of(document, client, maker))
    for request, other in rounds:
        if request.method == "POST" and takes_header(document, request.raw, "Idempotency-Key"):
            key = f"key of {maker.name()}"
            first = told_twice(cases, client, request, key)
            if (request.path, request.body) != (other.path, other.body):
                told_otherwise(cases, client, request, other, key)
            # Results of an import stay, and must not look like the owner's.
            body = maker.body(request.resource) if request.resource == "device-imports" else request.body
            by_someone_else(cases, stranger, request, body, key, first)
