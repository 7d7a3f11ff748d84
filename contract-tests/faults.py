"""The faults of single answers and of who is answered, which schemathesis must notice through the proxy."""

import itertools
import json
import re

from seed import SECRET
from tamper import Before, With, edit, is_one

NUMBERS = itertools.count(1)
TABLES = "/api/v3/data-tables"


def fail(answer, status, reason, text):
    """Makes an error of an answer, with all that belongs to one."""
    answer.status = status
    answer.body = json.dumps({"code": status, "error": text}).encode()
    del answer.headers["X-Error-Field"], answer.headers["X-Error-Reason"], answer.headers["ETag"]
    answer.headers["X-Error-Reason"] = reason


def status_202(request, answer):
    if request.method == "GET" and request.path == "/api/v3/devices" and answer.status == 200:
        answer.status = 202


def status_200(request, answer):
    if request.method == "POST" and request.path == "/api/v3/data-tables" and answer.status == 201:
        answer.status = 200


def denies_all(request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
        fail(answer, 404, "not_found", "there is no such device")


def status_403(request, answer):
    if is_one(request, "devices") and answer.status == 401:
        fail(answer, 403, "forbidden", "only an administrator may do this")


def extra_member(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.update(hint="try another id"))


def missing_code(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.pop("code"))


def other_code(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.update(code=400))


def plain_error(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        answer.headers.replace_header("Content-Type", "text/plain")
        answer.body = b"not found"


def status_500_for_400(request, answer):
    if request.path == "/api/v3/devices" and answer.status == 400:
        fail(answer, 500, "internal", "something broke inside")


def status_500(request, answer):
    if request.method == "GET" and is_one(request, "data-tables") and answer.status == 200:
        fail(answer, 500, "internal", "something broke inside")


def status_405(request, answer):
    if request.method == "PATCH" and is_one(request, "devices"):
        answer.status = 405
        answer.body = b'{"code": 405, "error": "method not allowed"}'


def undeclared_200(request, answer):
    if request.method == "PATCH" and is_one(request, "devices"):
        answer.status = 200
        answer.body = b"{}"


def no_request_id(request, answer):
    if request.path == "/api/v3/integrations":
        del answer.headers["X-Request-Id"]


def no_location(request, answer):
    if request.path == "/api/v3/data-tables":
        del answer.headers["Location"]


def no_challenge(request, answer):
    if answer.status == 401:
        del answer.headers["WWW-Authenticate"]


def no_reason(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        del answer.headers["X-Error-Reason"]


def reason_of_another_status(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        answer.headers.replace_header("X-Error-Reason", "invalid")


def unlisted_reason(request, answer):
    if request.path == "/api/v3/devices" and request.method == "GET" and answer.status == 400:
        answer.headers.replace_header("X-Error-Reason", "in_use")


def made_up_reason(request, answer):
    if request.path == "/api/v3/devices" and request.method == "GET" and answer.status == 400:
        answer.headers.replace_header("X-Error-Reason", "something_else")


def wrong_field(request, answer):
    if "X-Error-Field" in answer.headers:
        answer.headers.replace_header("X-Error-Field", "another.member")


def no_allow(request, answer):
    del answer.headers["Allow"]


def in_device(change):
    """A fault of the body of every device that is read."""
    def fault(request, answer):
        if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
            edit(answer, change)
    return fault


def in_column(change):
    """A fault of the first column of every data table that is read."""
    def fault(request, answer):
        if request.method == "GET" and is_one(request, "data-tables") and answer.status == 200:
            edit(answer, lambda body: [column.update(change) for column in body["columns"][:1]])
    return fault


def wrong_media_type(request, answer):
    if request.method == "GET" and request.path == "/api/v3/data-tables" and answer.status == 200:
        answer.headers.replace_header("Content-Type", "text/html")


def accepts_anything(request, answer):
    if request.method == "GET" and request.path == "/api/v3/devices" and answer.status == 400:
        answer.status = 200
        answer.body = b'{"collection": [], "next_cursor": null}'


def wrong_event(request, answer):
    if request.path == "/api/v3/events" and answer.status == 200:
        answer.body = re.sub(rb'"device_id":"[^"]*"', b'"device_id":5', answer.body)


def accepts_anybody(request, state):
    request.comes_from(state["token"])


def viewer_writes(request, state):
    if request.method in ("POST", "PUT", "DELETE") and request.is_from(state["others"]["viewer"]):
        request.comes_from(state["token"])


def viewer_administers(request, state):
    if request.method == "GET" and request.is_from(state["others"]["viewer"]):
        request.comes_from(state["token"])


def stranger_reads(request, state):
    if request.method == "GET" and request.is_from(state["others"]["stranger"]):
        request.comes_from(state["token"])


def stranger_deletes(request, state):
    if request.method == "DELETE" and request.is_from(state["others"]["stranger"]):
        request.comes_from(state["token"])


def is_new_table(request, answer):
    return request.method == "POST" and request.path == TABLES and answer.status == 201


def takes_invalid(request, answer, call):
    if request.method == "POST" and request.path == TABLES and answer.status == 400:
        made = call("POST", TABLES, {"name": f"instead-{next(NUMBERS)}", "selector": ""})
        if made.status == 201:
            answer.status, answer.headers, answer.body = made.status, made.headers, made.body


def loses_new(request, answer, call):
    if is_new_table(request, answer):
        call("DELETE", answer.headers["Location"])


def loses_change(request, state):
    # What is there is answered, and nothing changed.
    if request.method == "PUT" and is_one(request, "data-tables") and request.headers.get("If-Match") != '"0"':
        request.method, request.body = "GET", None


def changes_otherwise(request, answer, call):
    if request.method == "PUT" and is_one(request, "data-tables") and answer.status == 200:
        call("PUT", request.path, {"name": f"otherwise-{next(NUMBERS)}", "selector": ""})


def deletes_nothing(request, state):
    # A read instead: it succeeds, and nothing is deleted.
    if request.method == "DELETE" and is_one(request, "data-tables") and request.headers.get("If-Match") != '"0"':
        request.method = "GET"


def location_elsewhere(request, answer):
    if is_new_table(request, answer):
        answer.headers.replace_header("Location", f"{TABLES}/1")


def location_nowhere(request, answer):
    if is_new_table(request, answer):
        answer.headers.replace_header("Location", f"{TABLES}/999999")


def unavailable(request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
        fail(answer, 503, "unavailable", "the database cannot be reached")


def gives_secret_away(request, answer):
    if request.method == "GET" and is_one(request, "integrations") and answer.status == 200:
        edit(answer, lambda body: body.update(description=f"sends {SECRET}"))


def secret_in_header(request, answer):
    if request.method == "GET" and is_one(request, "integrations"):
        answer.headers["X-Debug"] = request.headers.get("Authorization", "")


def wrong_ingest_key(request, state):
    found = re.fullmatch("/api/v3/network-connections/([0-9]+)/uplinks", request.path)
    if found and int(found[1]) in state["keys"]:
        request.comes_from(state["keys"][int(found[1])])


def by_caller(name, methods):
    """A hub that takes a caller of the permission table for the administrator."""
    def change(request, state):
        if request.method in methods and request.is_from(state["callers"][name]):
            request.comes_from(state["token"])
    return Before(change)


def refused_caller(name):
    """A hub that takes a caller of the permission table for one who may not."""
    def change(request, state):
        if request.is_from(state["callers"][name]):
            request.comes_from(state["callers"]["drivers:read"])
    return Before(change)


# Each fault: what it is, the operations to look at, how it is planted, and the title of the failure that it must end
# in, so that it is not noticed for another reason.
FAULTS = {
    "an undeclared status, 202 for 200": (["list_devices"], status_202, "A status outside the contract"),
    "a wrong status, 200 for 201": (["create_data_table"], status_200, "Undocumented status code"),
    "a wrong status, 404 for what exists": (["get_device"], denies_all, "404 for what exists"),
    "a wrong status, 403 for 401": (["get_device"], status_403, "Not as the permission table has it for nobody"),
    "an error object with one member more": (["get_device"], extra_member, "Not the contract's error object"),
    "an error object without its code": (["get_device"], missing_code, "Not the contract's error object"),
    "an error object with another code": (["get_device"], other_code, "Not the contract's error object"),
    "an error that is plain text": (["get_device"], plain_error, "Not the contract's error object"),
    "a 500 with a proper error object": (["get_data_table"], status_500, "Server error"),
    "a 500 for what is invalid": (["list_devices"], status_500_for_400, "Server error"),
    "405 for an undeclared method": (["get_device"], status_405, "Undeclared method"),
    "200 for an undeclared method": (["get_device"], undeclared_200, "Undeclared method"),
    "no X-Request-Id": (["list_integrations"], no_request_id, "No X-Request-Id"),
    "201 without Location": (["create_data_table"], no_location, "No Location"),
    "401 without WWW-Authenticate": (["get_device"], no_challenge, "No WWW-Authenticate"),
    "an error without X-Error-Reason": (["get_device"], no_reason, "No X-Error-Reason"),
    "a reason of another status": (["get_device"], reason_of_another_status, "No X-Error-Reason"),
    "a reason that the operation does not list": (["list_devices"], unlisted_reason, "An unlisted reason"),
    "a reason that nobody lists": (["list_devices"], made_up_reason, "No X-Error-Reason"),
    "a wrong X-Error-Field": (["list_devices"], wrong_field, "A wrong X-Error-Field"),
    "a 404 for a method without Allow": (["get_device"], no_allow, "No Allow"),
    "a member that is not described": (
        ["get_device"], in_device(lambda body: body.update(hint="new")), "An undescribed member"),
    "one deeper down": (
        ["get_device"], in_device(lambda body: body["state"].update(hint="new")), "An undescribed member"),
    "a required member missing": (["get_device"], in_device(lambda body: body.pop("name")), "Response violates schema"),
    "null where nothing is null": (
        ["get_device"], in_device(lambda body: body.update(name=None)), "Response violates schema"),
    "a number where the document says a time": (
        ["get_device"], in_device(lambda body: body.update(created_at=5)), "Response violates schema"),
    "an event of a stream that is not as described": (
        ["follow_events"], wrong_event, "SSE event payload violates content schema"),
    "a media type that is not declared": (["list_data_tables"], wrong_media_type, "Undocumented Content-Type"),
    "invalid requests accepted": (["list_devices"], accepts_anything, "Schema-violating request accepted"),
    "requests without a token accepted": (
        ["list_devices"], Before(accepts_anybody), "API accepts requests without authentication"),
    "a viewer who may write": (
        ["create_data_table", "update_data_table"], Before(viewer_writes), "Not refused to the viewer"),
    "a viewer who may read the audit log": (
        ["list_audit_log"], Before(viewer_administers), "Not refused to the viewer"),
    "another tenant's resource given to a stranger": (
        ["get_device"], Before(stranger_reads), "Not refused to the stranger"),
    "another tenant's resource deleted by a stranger": (
        ["get_integration"], Before(stranger_deletes), "Not refused to the stranger"),
    "an editor who may read the audit log": (
        ["list_audit_log"], by_caller("editor", ["GET"]), "Not as the permission table has it for editor"),
    "an editor who may make users": (
        ["create_user"], by_caller("editor", ["POST"]), "Not as the permission table has it for editor"),
    "an editor who may not write": (
        ["update_data_table"], refused_caller("editor"), "Not as the permission table has it for editor"),
    "a key for devices that opens data tables": (
        ["list_data_tables"], by_caller("devices:read", ["GET"]), "Not as the permission table has it for devices:read"),
    "a key for reading that writes": (
        ["update_data_table"], by_caller("read", ["PUT"]), "Not as the permission table has it for read"),
    "a key for devices that opens no device": (
        ["list_devices"], refused_caller("devices:read"), "Not as the permission table has it for devices:read"),
    "an ingest key that opens devices": (
        ["list_devices"], by_caller("ingest", ["GET"]), "Not as the permission table has it for ingest"),
    "a wrong ingest key accepted": (["create_uplink"], Before(wrong_ingest_key), "Taken with no key"),
    "an invalid body accepted by a write": (
        ["create_data_table"], With(takes_invalid), "Schema-violating request accepted"),
    "a new resource that is answered and lost": (["create_data_table"], With(loses_new), "Nothing at Location"),
    "a change that is answered and not made": (["update_data_table"], Before(loses_change), "Answered otherwise than sent"),
    "a change that is stored otherwise": (["update_data_table"], With(changes_otherwise), "Changed otherwise than answered"),
    "a deletion that does nothing": (["delete_data_table"], Before(deletes_nothing), "A deletion that does nothing"),
    "a Location that leads elsewhere": (["create_data_table"], location_elsewhere, "Location leads elsewhere"),
    "a Location that leads nowhere": (["create_data_table"], location_nowhere, "Nothing at Location"),
    "503 without Retry-After": (["get_device"], unavailable, "No Retry-After"),
    "a secret in an answer": (["get_integration"], gives_secret_away, "A secret in an answer"),
    "a token in a header": (["get_integration"], secret_in_header, "A secret in an answer"),
    "a value that is not in the enumeration": (
        ["get_device"], in_device(lambda body: body.update(health="splendid")), "Response violates schema"),
    "a value beyond the maximum": (
        ["get_device"], in_device(lambda body: body.update(revision=2**60)), "Response violates schema"),
    "a value below the minimum": (
        ["get_device"], in_device(lambda body: body.update(revision=-1)), "Response violates schema"),
    "a text that its pattern does not match": (
        ["get_data_table"], in_column({"path": "two\nlines"}), "Response violates schema"),
    "a text that is too long": (["get_data_table"], in_column({"unit": "m" * 500}), "Response violates schema"),
    "a time in another format": (
        ["get_device"], in_device(lambda body: body.update(created_at="yesterday")), "Response violates schema"),
}
