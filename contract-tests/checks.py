"""Demands of the contract on every answer, beyond what schemathesis checks itself."""

import os
import pathlib
import re

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario

from schemas import Document
from seed import SECRET
from state import EXISTING, STATE
from undescribed import undescribed

STATUSES = {200, 201, 400, 401, 403, 404, 500, 503}


def is_undeclared_method(case):
    data = case.meta.phase.data if case.meta else None
    return isinstance(data, CoveragePhaseData) and data.scenario == CoverageScenario.UNSPECIFIED_HTTP_METHOD


def header(response, name):
    """Schemathesis has a list of values for each header; its library for HTTP has a text."""
    value = response.headers.get(name)
    return value[0] if isinstance(value, list) else value


def broken_error_object(response):
    """The fault of an error's body, or nothing."""
    if not (header(response, "content-type") or "").startswith("application/json"):
        return f"its type is {header(response, 'content-type')}"
    try:
        body = response.json()
    except ValueError:
        return "it is no JSON"
    if not isinstance(body, dict) or sorted(body) != ["code", "error"]:
        return "it does not have the members `code` and `error`, and no others"
    if type(body["code"]) is not int or body["code"] != response.status_code:
        return f"its `code` is not {response.status_code}"
    if not isinstance(body["error"], str) or not body["error"].strip():
        return "its `error` is no text"
    return None


class Broken(Failure):
    """A broken rule of the contract. Failures of one class are one finding, so the title tells them apart."""

    @property
    def _unique_key(self):
        return self.title


def fail(case, title, message):
    raise Broken(operation=case.operation.label, title=title, message=message)


@schemathesis.check
def error_object(ctx, response, case):
    if response.status_code >= 400 and response.request.method != "HEAD":
        problem = broken_error_object(response)
        if problem:
            fail(case, "Not the contract's error object", f"The body of a {response.status_code}: {problem}")


# The Rust tests keep the reasons that they receive there, too: scripts/check-reasons reads both.
REASONS = pathlib.Path(os.environ["HUB"]).resolve().parent.parent / "tmp/reasons"
RECEIVED = set()


def keep_reason(method, path, reason):
    """Keeps a reason for scripts/check-reasons, which holds it against the document."""
    line = f"{method}\t{path}\t{reason}\n"
    if line not in RECEIVED:
        RECEIVED.add(line)
        REASONS.mkdir(parents=True, exist_ok=True)
        with open(REASONS / f"contract-{os.getpid()}.tsv", "a") as file:
            file.write(line)


@schemathesis.check
def error_reason(ctx, response, case):
    if response.status_code < 400:
        return
    reason, field = header(response, "x-error-reason"), header(response, "x-error-field")
    document = case.operation.schema.raw_schema
    statuses = {entry["reason"]: entry["status"] for entry in document["x-error-reasons"]}
    if statuses.get(reason) != response.status_code:
        fail(case, "No X-Error-Reason", f"A {response.status_code} must say its reason, and says {reason}")
    if field and response.request.method != "HEAD" and field not in response.json()["error"]:
        fail(case, "A wrong X-Error-Field", f"The text does not name {field}")
    if (reason == "method_not_allowed") != bool(header(response, "allow")):
        fail(case, "No Allow", "A 404 for a method lists the methods of the path, and no other answer does")
    listed = {entry["reason"] for entry in case.operation.definition.raw["x-error-reasons"]}
    if reason not in listed and not is_undeclared_method(case) and reason != "no_such_path":
        fail(case, "An unlisted reason", f"The errors of the operation do not list {reason}: {response.text}")
    keep_reason(case.method.upper(), case.operation.path, reason)


@schemathesis.check
def contract_status(ctx, response, case):
    if response.status_code not in STATUSES:
        fail(case, "A status outside the contract", f"{response.status_code} is none of {sorted(STATUSES)}")


@schemathesis.check
def contract_headers(ctx, response, case):
    if not header(response, "x-request-id"):
        fail(case, "No X-Request-Id", "Every answer names the request, so that its log line can be found")
    if response.status_code == 401 and not header(response, "www-authenticate"):
        fail(case, "No WWW-Authenticate", "A 401 must say how to authenticate (RFC 9110)")
    if response.status_code == 503 and not re.fullmatch(r"\d+", header(response, "retry-after") or ""):
        fail(case, "No Retry-After", "A 503 must say when to try again")
    if response.status_code == 201 and not header(response, "location"):
        fail(case, "No Location", "A 201 must say where the new resource is")


DOCUMENTS = {}


def document_of(case):
    return DOCUMENTS.setdefault(id(case.operation.schema), Document(case.operation.schema.raw_schema))


@schemathesis.check
def described(ctx, response, case):
    document = document_of(case)
    answer = document.follow(case.operation.definition.raw["responses"].get(str(response.status_code), {}))
    media_type = (header(response, "content-type") or "").partition(";")[0]
    schema = answer.get("content", {}).get(media_type, {}).get("schema")
    if schema is None or media_type != "application/json" or is_undeclared_method(case):
        return
    try:
        found = undescribed(document, schema, response.json())
    except ValueError:
        # No JSON: schemathesis complains of that itself.
        return
    if found:
        fail(case, "An undescribed member", f"The document does not know {', '.join(found)}")


@schemathesis.check
def undeclared_method(ctx, response, case):
    if response.status_code == 503 and STATE.get("outages"):
        return
    if is_undeclared_method(case) and response.status_code != 404:
        method = response.request.method
        fail(case, "Undeclared method", f"{method} is not in the document, but answered {response.status_code}, not 404")


# Something else that a request names, in its query or its body.
NAMED = {"create_fill": "there is no device ", "create_replay": "there is no device ", "resend_deliveries": "there is no device ",
         "export_driver": "there is no driver (tag|version) "}


@schemathesis.check
def existing(ctx, response, case):
    if response.status_code != 404 or case.id not in EXISTING or is_undeclared_method(case):
        return
    operation = case.operation.definition.raw["operationId"]
    if not re.match(NAMED.get(operation, "^$"), response.json()["error"]):
        fail(case, "404 for what exists", f"There is {case.formatted_path}, but: {response.text}")


SECRETS = [secret.encode() for secret in (
    SECRET, STATE["password"], STATE["token"], *STATE["others"].values(), *STATE["callers"].values(), *STATE["keys"].values()
)]


@schemathesis.check
def secrets(ctx, response, case):
    """Secrets are answered once, to whoever makes them; these were all made before."""
    told = response.content + repr([*response.headers.items()]).encode()
    if any(secret in told for secret in SECRETS):
        fail(case, "A secret in an answer", f"The {response.status_code} holds a key, a password or a token")
