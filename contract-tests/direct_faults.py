"""The faults of what requests have to do with each other, for the cases that no generator makes. They
get a client that spoils; `owner` is a client of the tenant that has everything."""

import urllib.parse

from tamper import Before, edit, is_one

READ = {}


def lives_on(owner, request, answer):
    if request.method == "GET" and answer.status == 200:
        READ[request.path] = answer
    elif request.method == "GET" and is_one(request, "data-tables") and request.path in READ:
        answer.status, answer.body = 200, READ[request.path].body


def lives_on_below(owner, request, answer):
    if request.method == "GET" and request.path.endswith("/events") and answer.status == 404:
        answer.status, answer.body = 200, b'{"collection": [], "next_cursor": null}'


def foreign_one(owner, request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 404:
        found = owner.call("GET", request.path)
        answer.status, answer.body = found.status, found.body


def foreign_list(owner, request, answer):
    if request.method == "GET" and request.path == "/api/v3/integrations":
        answer.body = owner.call("GET", request.path).body


def foreign_refusal(owner, request, answer):
    if request.method == "DELETE" and answer.status == 404 and owner.call("GET", request.path).status == 200:
        answer.status = 403
        edit(answer, lambda body: body.update(code=403))


def without(header):
    """A hub that never looks at a header."""
    def change(request, state):
        request.headers = {name: value for name, value in request.headers.items() if name != header}
    return Before(change)


def no_etag(owner, request, answer):
    if request.method == "GET" and is_one(request, "devices"):
        del answer.headers["ETag"]


def lasting_etag(owner, request, answer):
    if is_one(request, "data-tables") and "ETag" in answer.headers:
        answer.headers.replace_header("ETag", '"1"')


def made_all_the_same(owner, request, answer):
    if request.method == "PUT" and is_one(request, "integrations") and answer.status == 400:
        owner.call("PUT", request.path, request.body)


def not_modified(owner, request, answer):
    if "If-None-Match" in request.headers and answer.status == 200:
        answer.status, answer.body = 304, b""


KNOWN_KEYS = set()


def replay_without_location(owner, request, answer):
    key = (owner.token, request.headers.get("Idempotency-Key"))
    if request.method == "POST" and request.path == "/api/v3/devices" and key in KNOWN_KEYS:
        del answer.headers["Location"]
    KNOWN_KEYS.add(key)


def key_for_anything(owner, request, answer):
    if request.method == "POST" and "Idempotency-Key" in request.headers and answer.status == 400:
        answer.status = 201


def shared_key(request, state):
    if request.path == "/api/v3/data-tables" and "Idempotency-Key" in request.headers:
        request.comes_from(state["token"])


def drops_query(request, state):
    if request.method == "GET" and is_one(request, "users"):
        request.target = request.path


def in_message(change):
    """A fault of what a receiver gets in the native form or in an envelope."""
    def fault(message, *_):
        body = message["body"]
        change(body["data"] if "specversion" in body else body)
    return fault


def unsigned(message, *_):
    message["headers"].pop("webhook-id", None)


def keeps_members(owner, request, answer):
    """A change that only adds to what an earlier one has set."""
    if request.method != "PUT" or not is_one(request, "data-tables") or answer.status != 200:
        return
    before = BODIES.get(request.path, {})
    BODIES[request.path] = before | request.body
    if before.keys() - request.body.keys():
        owner.call("PUT", request.path, BODIES[request.path])


BODIES = {}


def query_of(request):
    return dict(urllib.parse.parse_qsl(request.target.partition("?")[2]))


def is_page(request, answer):
    return request.method == "GET" and answer.status == 200 and "limit" in query_of(request)


def repeats_items(owner, request, answer):
    if is_page(request, answer) and "cursor" in query_of(request) and request.path in LAST:
        edit(answer, lambda body: body.update(collection=LAST[request.path]))
    elif is_page(request, answer) and answer.headers.get_content_type() == "application/json":
        LAST[request.path] = answer.json["collection"]


LAST = {}


def loses_items(owner, request, answer):
    """Pages of one that step over every other item."""
    query = query_of(request)
    if is_page(request, answer) and query["limit"] == "1" and request.path == "/api/v3/integrations":
        found = owner.call("GET", f"{request.path}?{urllib.parse.urlencode(query | {'limit': 2})}")
        answer.headers, answer.body = found.headers, found.body
        edit(answer, lambda body: body.update(collection=body["collection"][:1]))


def ends_early(owner, request, answer):
    if is_page(request, answer) and "cursor" in query_of(request) and request.path.endswith("/deliveries"):
        edit(answer, lambda body: body.update(next_cursor=None))
        del answer.headers["Link"]


def without_query(name, end=""):
    """A hub that never looks at a query parameter."""
    def change(request, state):
        query = query_of(request)
        if request.path.endswith(end) and query.pop(name, None):
            request.target = f"{request.path}?{urllib.parse.urlencode(query)}"
    return Before(change)


def with_query(name, end, values):
    """A hub that takes values of a query parameter for others."""
    def change(request, state):
        query = query_of(request)
        if request.path.endswith(end) and query.get(name) in values:
            query[name] = values[query[name]]
            request.target = f"{request.path}?{urllib.parse.urlencode(query)}"
    return Before(change)


def wrong_total(owner, request, answer):
    if is_page(request, answer) and "total" in query_of(request) and request.path == "/api/v3/users":
        edit(answer, lambda body: body.update(total=body["total"] + 1))


def no_link(owner, request, answer):
    if request.path == "/api/v3/users":
        del answer.headers["Link"]


def lives_on_after(status, *ends):
    """Sessions or keys that open something although they have ended."""
    def fault(owner, request, answer):
        if answer.status == status and request.headers.get("Authorization") != "Bearer None" and request.path.endswith(ends):
            found = owner.call(request.method, request.path, request.body)
            answer.status, answer.body = 200, found.body
    return fault


def head_of_nothing(owner, request, answer):
    if request.method == "HEAD" and answer.status == 200:
        answer.status = 404


def head_of_another_type(owner, request, answer):
    if request.method == "HEAD" and answer.status == 200:
        answer.headers.replace_header("Content-Type", "text/plain")


def head_without_etag(owner, request, answer):
    if request.method == "HEAD":
        del answer.headers["ETag"]


# By the cases that must notice them.
DIRECT_FAULTS = {
    "deletions": {
        "a resource that answers after its deletion": lives_on,
        "what is below it answers after its deletion": lives_on_below,
    },
    "tenants": {
        "another tenant's resource": foreign_one,
        "another tenant's resources in a list": foreign_list,
        "403 that tells of another tenant's resource": foreign_refusal,
    },
    "revisions": {
        "no ETag": no_etag,
        "an ETag that never changes": lasting_etag,
        "If-Match that nobody looks at": without("If-Match"),
        "a refused change that is made all the same": made_all_the_same,
        "a 304": not_modified,
    },
    "repeats": {
        "a request that is done again when it is repeated": without("Idempotency-Key"),
        "a replay without Location": replay_without_location,
        "a key that is taken with another request": key_for_anything,
        "another tenant's key": Before(shared_key),
    },
    "messages": {
        "a message with a member that is not described": in_message(lambda body: body.update(hint="new")),
        "a message without a required member": in_message(lambda body: body.pop("time", None)),
        "a message with a number in place of a text": in_message(lambda body: body.update(raw_payload=7)),
        "a message without its id": unsigned,
    },
    "queries": {
        "an unknown query parameter that is ignored": Before(drops_query),
    },
    "replacements": {
        "a PUT that keeps what it leaves out": keeps_members,
    },
    "pages": {
        "pages that repeat items": repeats_items,
        "pages that lose items": loses_items,
        "a list that ends before its end": ends_early,
        "a limit that is ignored": without_query("limit", "/devices"),
        "a filter by state that is ignored": without_query("state", "/deliveries"),
        "a filter by device that is ignored": without_query("device_id", "/rows"),
        "a selector that is ignored": without_query("selector", "/devices"),
        "a search that is ignored": without_query("q", "/data-tables"),
        "a condition that is ignored": without_query("filter", "/rows"),
        "a type that is ignored": without_query("type", "/network-connections"),
        "the end of keys that is ignored": without_query("expires_before", "/api-keys"),
        "a period that is ignored": without_query("from", "/audit-log"),
        "an order that is ignored": without_query("sort", "/integrations"),
        "an order of events that is ignored": without_query("sort", "/events"),
        "an order by the last message that is ignored": with_query("sort", "/devices", {"last_seen": "created_at"}),
        "names that are turned round": with_query("sort", "/integrations", {"name": "-name", "-name": "name"}),
        "a wrong total": wrong_total,
        "no Link to the next page": no_link,
    },
    "sessions": {
        "a session that outlives its end": lives_on_after(401, "/auth/token"),
        "an API key that outlives its deletion": lives_on_after(401, "/devices"),
        "a wrong ingest key": lives_on_after(401, "/uplinks"),
    },
    "methods": {
        "HEAD unlike GET": head_of_nothing,
        "HEAD with another type": head_of_another_type,
        "HEAD without ETag": head_without_etag,
    },
}
