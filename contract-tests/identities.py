"""Object-level authorisation: what the run's own administrator was answered, others are not.

After a request that succeeded, the same one goes out as the administrator of another tenant, who must
not learn that there is such a resource, and, where it changes or administers something, as a viewer of
the same tenant, who may not. Callers of the same tenant, an editor and API keys of each scope, are refused
or let through as the permission table says. Schemathesis has a check of this kind, `object_level_authorization`. It
looks at reads alone, once for each operation, takes any refusal and knows no roles, and it wants to
choose all credentials itself, which here depend on the operation.
"""

import json

import requests
import schemathesis

import permissions
from checks import broken_error_object, fail, header
from state import SEEN, STATE

# Of each operation, the first requests are all followed, and then one of a few.
ALL_OF_FIRST, THEN_ONE_OF = 8, 8
# No resource ever has this revision: whoever is let through by mistake changes nothing.
STALE = '"0"'
ADMINISTRATION = ("users", "api-keys", "audit-log", "tenants")
# Of the callers in the permission table, so many follow each request that is followed; they take turns.
IN_TURN = 2
# A query parameter that no operation has. It is looked at once the caller is known to be permitted, and
# before anything is done: a refusal of it proves the permission and changes nothing.
UNKNOWN = "unheard_of=1"
PERMITTED = permissions.table()
SESSION = requests.Session()


def segments(operation):
    return operation.path.removeprefix("/api/v3/").split("/")


def is_own(operation):
    """True if everybody has one of it: the session, the account, and keys for the stream of events."""
    return segments(operation)[0] == "auth" or segments(operation)[:2] in (["users", "me"], ["events", "stream-key"])


def refusals(operation, method):
    """The callers that must be refused, and the status."""
    resource = segments(operation)[0]
    # Tenants belong to the installation: their administrators may not even ask.
    if resource == "tenants":
        yield "stranger", 403
    elif "{" in operation.path:
        yield "stranger", 404
    if method != "GET" or resource in ADMINISTRATION:
        yield "viewer", 403


def takes_if_match(operation, method):
    raw = operation.schema.raw_schema["paths"][operation.path].get(method.lower(), {})
    return any(parameter.get("$ref", "").endswith("/IfMatch") for parameter in raw.get("parameters", []))


def without_references(request):
    """A device's body names the owner's driver and connections. That there are none of them in the
    stranger's tenant is a 400 of its own, whichever device it is about."""
    body = {name: value for name, value in json.loads(request.body).items() if name not in ("driver", "connectivity")}
    request.body = json.dumps(body).encode()
    request.headers["Content-Length"] = str(len(request.body))


def repeated(operation, response, identity, method):
    request = response.request.copy()
    if method != request.method:
        request.method, request.body = method, None
    elif identity == "stranger" and method == "PUT" and segments(operation)[0] == "devices":
        without_references(request)
    request.headers["Authorization"] = f"Bearer {STATE['others'][identity]}"
    if method in ("PUT", "DELETE"):
        request.headers["If-Match"] = STALE
    SEEN["other identities"]["requests"] += 1
    return SESSION.send(request, verify=STATE["certificate"], timeout=30)


# Operations of which something was found: it must be found again when the request is repeated.
SUSPECTS = set()


def in_turn(label):
    """The callers of the permission table that are next; all of them where something was found."""
    callers = [*STATE["callers"]]
    if label in SUSPECTS:
        return callers
    begin = SEEN["turns"][label]
    SEEN["turns"][label] += IN_TURN
    return [callers[number % len(callers)] for number in range(begin, begin + IN_TURN)]


def by_table(operation, response, caller):
    """The answer to a request that succeeded, when a caller of the table sends it; and the fault of it, or nothing."""
    expected = PERMITTED[operation.definition.raw["operationId"]][caller]
    request = response.request.copy()
    request.headers["Authorization"] = f"Bearer {STATE['callers'][caller]}"
    is_tried = expected == "yes" and request.method != "GET"
    if is_tried:
        request.url += ("&" if "?" in request.url else "?") + UNKNOWN
    SEEN["other identities"]["requests"] += 1
    answer = SESSION.send(request, verify=STATE["certificate"], timeout=30)
    if expected != "yes":
        return broken_refusal(answer, int(expected))
    if not is_tried:
        return None if answer.status_code == 200 else f"answered {answer.status_code}, not 200"
    reason = header(answer, "x-error-reason")
    return None if reason == "unknown_parameter" else f"answered {answer.status_code} {reason}, not as one who may"


def is_followed(label):
    SEEN["followed"][label] += 1
    count = SEEN["followed"][label]
    return label in SUSPECTS or count <= ALL_OF_FIRST or count % THEN_ONE_OF == 0


def methods_after(operation, method):
    """Requests of others where one succeeded; what it deleted is gone, so a deletion is tried where
    something was read."""
    if method in ("GET", "POST", "PUT"):
        yield method
    if method == "GET" and takes_if_match(operation, "DELETE"):
        yield "DELETE"


def broken_refusal(answer, status):
    if answer.status_code != status:
        return f"answered {answer.status_code}, not {status}"
    return broken_error_object(answer)


@schemathesis.check
def object_authorisation(ctx, response, case):
    if STATE.get("outages"):
        return
    operation, method = case.operation, response.request.method
    takes_token = any("token" in one for one in operation.definition.raw.get("security", []))
    if response.status_code not in (200, 201) or not takes_token:
        return
    if response.request.headers.get("Authorization") != f"Bearer {STATE['token']}" or not is_followed(operation.label):
        return
    for caller in in_turn(operation.label):
        found = by_table(operation, response, caller)
        if found:
            SUSPECTS.add(operation.label)
            fail(case, f"Not as the permission table has it for {caller}", f"{method} {response.request.path_url}: {found}")
    # What is part of the hub is of each tenant.
    if is_own(operation) or "/drivers/thingshub/" in response.request.path_url:
        return
    for tried in methods_after(operation, method):
        for identity, status in refusals(operation, tried):
            answer = repeated(operation, response, identity, tried)
            found = broken_refusal(answer, status)
            if found:
                SUSPECTS.add(operation.label)
                fail(case, f"Not refused to the {identity}", f"{tried} {answer.request.path_url} as the {identity}: {found}")


def ingest_keys(case):
    """Credentials that open no network connection but their own, or none at all."""
    used = case.headers.get("Authorization")
    yield "no key", None
    yield "the key of another connection", STATE["callers"]["ingest"]
    yield "a session", STATE["token"]
    yield "an API key", STATE["callers"]["write"]
    yield "a part of the key", used.removeprefix("Bearer ")[:-1]


@schemathesis.check
def ingest_authorisation(ctx, response, case):
    if case.operation.definition.raw.get("operationId") != "create_uplink" or response.status_code != 200:
        return
    if STATE.get("outages"):
        return
    if not (case.headers.get("Authorization") or "").startswith("Bearer ") or not is_followed(case.operation.label):
        return
    for what, key in ingest_keys(case):
        request = response.request.copy()
        request.headers.pop("Authorization", None)
        if key:
            request.headers["Authorization"] = f"Bearer {key}"
        SEEN["other identities"]["requests"] += 1
        found = broken_refusal(SESSION.send(request, verify=STATE["certificate"], timeout=30), 401)
        if found:
            SUSPECTS.add(case.operation.label)
            fail(case, f"Taken with {what}", f"POST {request.path_url}: {found}")
