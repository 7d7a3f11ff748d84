"""Reads after writes: what an operation says that it has done is what a read finds afterwards.

The reads go to the hub itself, even where something stands between it and the tests.
"""

import schemathesis

from checks import fail, header
from patient import Patient
from state import HUB, STATE

CLIENT = Patient(HUB, STATE["token"])
# Members by which a resource is known: an answer that has one, and its resource, have the same.
IDENTITY = ("id", "number", "author", "name", "username")
# A deletion that is a cancellation: the downlink is there still, in the state `cancelled`.
CANCELLATIONS = {"delete_downlink"}
# Their answer is a key, and `Location` is the resource that it is for.
KEYS = {"create_ingest_key", "create_integration_key"}


def read(path):
    answer = CLIENT.call("GET", path)
    return answer, answer.json if answer.status == 200 else {}


def is_of_the_run(response):
    return response.request.headers.get("Authorization") == f"Bearer {STATE['token']}"


def differing(names, one, other):
    return [name for name in names if name in one and name in other and one[name] != other[name]]


def is_plain(name, value):
    """True if an answer repeats the value as it is; times may be written in several ways."""
    return isinstance(value, (str, int, bool)) and name not in ("from", "to") and not name.endswith("_at")


def answered_otherwise(case, answered):
    """Members that were sent, and answered in another form."""
    sent = case.body if isinstance(case.body, dict) else {}
    return differing([name for name, value in sent.items() if is_plain(name, value)], sent, answered)


def stored_otherwise(case, answered, found):
    """Members that were sent, and are read in another form than they were answered."""
    sent = case.body if isinstance(case.body, dict) else {}
    return differing(sent, answered, found)


@schemathesis.check
def created(ctx, response, case):
    location = header(response, "location")
    if response.status_code != 201 or not location or not is_of_the_run(response):
        return
    answer, found = read(location)
    if answer.status != 200:
        fail(case, "Nothing at Location", f"{location} answered {answer.status}: {answer.body[:200]}")
    answered = response.json()
    if "collection" in found:
        # A run has no path of its own.
        found = next((one for one in found["collection"] if one.get("number") == answered["number"]), {})
    wrong = [name for name in IDENTITY if name in answered and answered[name] != found.get(name)]
    if wrong and case.operation.definition.raw["operationId"] not in KEYS:
        fail(case, "Location leads elsewhere", f"{location} has another {', '.join(wrong)}")
    unlike = answered_otherwise(case, answered)
    if unlike:
        fail(case, "Answered otherwise than sent", f"The answer has another {', '.join(unlike)}")
    changed = stored_otherwise(case, answered, found)
    if changed:
        fail(case, "Created otherwise than answered", f"{location} has another {', '.join(changed)}")


def has_get(case):
    return "get" in case.operation.schema.raw_schema["paths"][case.operation.path]


@schemathesis.check
def changed(ctx, response, case):
    if case.method.upper() != "PUT" or response.status_code != 200 or not has_get(case) or not is_of_the_run(response):
        return
    answer, found = read(response.request.path_url.partition("?")[0])
    if answer.status != 200:
        fail(case, "Gone after a change", f"GET answered {answer.status}: {answer.body[:200]}")
    unlike = answered_otherwise(case, response.json())
    if unlike:
        fail(case, "Answered otherwise than sent", f"The answer has another {', '.join(unlike)}")
    wrong = stored_otherwise(case, response.json(), found)
    if wrong or header(response, "etag") != header(answer, "etag"):
        fail(case, "Changed otherwise than answered", f"GET has another {', '.join(wrong) or 'ETag'}")


@schemathesis.check
def deleted(ctx, response, case):
    is_one = case.operation.path.endswith("}") and has_get(case)
    if case.method.upper() != "DELETE" or response.status_code != 200 or not is_one or not is_of_the_run(response):
        return
    if case.operation.definition.raw["operationId"] in CANCELLATIONS:
        return
    answer, _ = read(response.request.path_url.partition("?")[0])
    if answer.status != 404:
        fail(case, "A deletion that does nothing", f"GET answered {answer.status} after it")
