"""Knowledge that schemathesis lacks: who calls, which resources exist, and what our contract
demands beyond the document.

contract-tests/run starts the hub, seeds it and tells the rest: see state.py. What is demanded of the
answers is in checks.py and identities.py.
"""

import base64
import itertools
import json
import pathlib
import random
import re
import sys

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.transport.serialization import Binary

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import identities  # noqa: E402, F401  its check is one by being imported
import refusals  # noqa: E402
import written  # noqa: E402, F401  likewise
from checks import Broken, document_of, is_undeclared_method  # noqa: E402
from patient import Patient  # noqa: E402
from seed import LABEL, MESSAGES, ROWS_CSV, ROWS_NDJSON, Maker, trial  # noqa: E402
from state import EXISTING, HUB, SEEN, STATE  # noqa: E402

VICTIMS = Maker(Patient(HUB, STATE["token"]), "victim", STATE["receiver_url"])
KEYS = {int(connection): key for connection, key in STATE["keys"].items()}
KINDS = {int(connection): kind for connection, kind in STATE["types"].items()}


def operation_id(operation):
    return operation.definition.raw.get("operationId")


# --- Who calls ---------------------------------------------------------------------------------


@schemathesis.auth().skip_for(operation_id=["delete_token", "create_uplink"])
class Session:
    """The run's own session."""

    def get(self, case, context):
        return STATE["token"]

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


# Logging out ends the session that it is called with: every call gets one of its own.
@schemathesis.auth(refresh_interval=None).apply_to(operation_id="delete_token")
class SessionToEnd(Session):
    def get(self, case, context):
        return Patient(HUB).log_in()


# `before_call` puts the key of the connection that the request ends up at in its place.
@schemathesis.auth().apply_to(operation_id="create_uplink")
class IngestKey(Session):
    def get(self, case, context):
        return "ingest-key"


# --- Bodies that are no JSON ----------------------------------------------------------------------


# Prefix of an archive in a body: schemathesis takes bytes for a fault, so they travel as text.
PACKED = "archive in base64:"


@schemathesis.serializer("application/octet-stream")
def as_text(context, value):
    """Text and bytes go out as they are. What is neither has no form in these types: nothing is sent."""
    if isinstance(value, Binary):
        return value.data
    if isinstance(value, str) and value.startswith(PACKED):
        return base64.b64decode(value.removeprefix(PACKED))
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""


# --- What exists -------------------------------------------------------------------------------


NUMBERS = itertools.count(1)


def is_stateful(case):
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


def choice(case, what):
    """Random, but the same for the same request: what failed once fails again when it is repeated.

    A scenario must even run the same way when earlier answers give it other ids, or Hypothesis takes
    its own choices for flaky and stops: there the operation alone decides.
    """
    drawn = (case.path_parameters, case.query, repr(case.body), own_headers(case)) if not is_stateful(case) else ()
    return random.Random(repr((case.operation.label, what, drawn)))


def own_headers(case):
    return sorted((name, str(value)) for name, value in (case.headers or {}).items() if name in ("Idempotency-Key", "If-Match"))


def happens(chance, case, share):
    """True if something is done in this share of the cases; in scenarios it always is."""
    return is_stateful(case) or chance.random() < share


def resource_of(path):
    """The segment that names the resource: `devices` in `/devices/{id}/uplinks`."""
    if "/devices/import/" in path:
        return "device-imports"
    return path.split("/{", 1)[0].rsplit("/", 1)[-1]


def is_positive(case, location):
    return case.meta is None or not case.meta.is_negative_at(location)


def is_of_another_kind(case):
    """True if an earlier answer gave the id of another kind of resource, because the names are the same."""
    parameters = case.operation.definition.raw.get("parameters", [])
    numbers = [one["name"] for one in parameters if one.get("in") == "path" and one["schema"].get("type") == "integer"]
    return any(not str(case.path_parameters[name]).isdigit() for name in numbers if name in case.path_parameters)


def is_linked(case):
    """True if earlier answers gave all of the path's values."""
    if case.meta is None:
        return False
    known = {draw.parameter_name for draw in case.meta.pool_draws if draw.location == "path"}
    if is_stateful(case):
        known |= set(case._override.path_parameters)
    return known >= set(case.path_parameters)


def is_one_of(case, resource, name):
    """True if the path leads to one of the set `name`."""
    wanted = {key: str(value) for key, value in case.path_parameters.items()}
    return any(wanted.items() <= {k: str(v) for k, v in one.items()}.items() for one in STATE["sets"][name][resource])


def put_existing_path(case):
    """Makes three quarters of the drawn paths lead to something, and keeps deletions and changes off
    what others still need."""
    if not case.path_parameters or not is_positive(case, ParameterLocation.PATH):
        return
    resource, chance = resource_of(case.operation.path), choice(case, "path")
    # An unknown device that is adopted is none any more.
    deletes = case.method == "DELETE" or operation_id(case.operation) == "adopt_unknown_device"
    changes = case.method == "PUT" or operation_id(case.operation) in ("create_ingest_key", "create_device_labels")
    is_precious = deletes and is_one_of(case, resource, "changed") or (deletes or changes) and is_one_of(case, resource, "kept")
    is_linked_well = is_linked(case) and not is_of_another_kind(case)
    if not is_precious and (is_linked_well or not happens(chance, case, 0.75)):
        return
    if deletes:
        values = VICTIMS.path_parameters(resource, case.operation.path)
    else:
        several = STATE["sets"]["changed" if changes else "kept"][resource]
        values = chance.choice([one for one in several if case.path_parameters.keys() <= one.keys()] or several)
    case.path_parameters.update({name: values[name] for name in case.path_parameters if name in values})
    if case.path_parameters.keys() <= values.keys():
        EXISTING.add(case.id)


def put_own_values(case):
    """Keeps most requests from being refused for what was before them, which hides all that comes after: a key
    that another request had, a revision that is past, a cursor that nobody was answered."""
    for location, holder, name in ((ParameterLocation.HEADER, case.headers, "Idempotency-Key"),
                                   (ParameterLocation.HEADER, case.headers, "If-Match"),
                                   (ParameterLocation.QUERY, case.query, "cursor")):
        if not holder or name not in holder or not is_positive(case, location) or not happens(choice(case, name), case, 0.9):
            continue
        if name == "Idempotency-Key":
            holder[name] = f"key-{next(NUMBERS)}"
        else:
            del holder[name]


def put_existing_body(case):
    """Makes half of the drawn bodies refer to what exists and take names that are free, which the
    document cannot say."""
    if operation_id(case.operation) == "create_device_import" and is_positive(case, ParameterLocation.BODY):
        # A file is text to the document, which cannot say what is in it.
        if isinstance(case.body, str) and happens(choice(case, "body"), case, 0.5):
            name = f"imported-{next(NUMBERS)}"
            is_csv = (case.query or {}).get("format", "csv") == "csv"
            case.body = f"id\n{name}\n" if is_csv else json.dumps({"id": name}) + "\n"
        return
    if operation_id(case.operation) == "create_row_import" and is_positive(case, ParameterLocation.BODY):
        if isinstance(case.body, str) and happens(choice(case, "body"), case, 0.5):
            is_csv = (case.query or {}).get("format", "csv") == "csv"
            case.body = ROWS_CSV if is_csv else ROWS_NDJSON
        return
    if operation_id(case.operation) == "import_driver" and is_positive(case, ParameterLocation.BODY):
        # A body that is left out on purpose stays out.
        if isinstance(case.body, str) and happens(choice(case, "body"), case, 0.5):
            case.body = PACKED + base64.b64encode(VICTIMS.body("driver-imports")).decode()
        return
    if not isinstance(case.body, dict) or not is_positive(case, ParameterLocation.BODY):
        return
    operation = operation_id(case.operation)
    if operation == "change_own_password" and "new_password" in case.body:
        # The document's examples may know the password of the run, which must stay.
        case.body["new_password"] = STATE["password"]
    if operation == "create_device_bulk_change" and "selector" in case.body:
        # Kept and changed resources must stay, and some have the labels of the document's examples by now.
        case.body["selector"] = "none-has-this-label"
    chance = choice(case, "body")
    if not happens(chance, case, 0.5):
        return
    if operation == "create_token":
        case.body.update(username="admin", password=STATE["password"])
    if operation == "change_own_password":
        case.body.update(current_password=STATE["password"], new_password=STATE["password"])
    for person in (case.body, case.body.get("administrator")):
        if isinstance(person, dict) and operation in ("create_user", "create_tenant") and "username" in person:
            person["username"] = f"user-{next(NUMBERS)}"
    if operation in ("create_fill", "create_replay", "resend_deliveries") and case.body.get("device_id"):
        case.body["device_id"] = STATE["sets"]["kept"]["devices"][0]["id"]
    if operation == "create_api_key" and case.body.get("expires_at"):
        case.body["expires_at"] = "2999-01-01T00:00:00Z"
    # A driver's names are its path: another one of the same name is a new version.
    for name in ("id", "name"):
        if isinstance(case.body.get(name), str) and "driver" not in operation:
            case.body[name] = f"{operation.split('_')[0]}-{next(NUMBERS)}"
    if operation == "update_driver_tag":
        names = [case.path_parameters.get(part) for part in ("author", "name")]
        own = [one for kind in STATE["sets"].values() for one in kind["drivers"] if [one["author"], one["name"]] == names]
        case.body["digest"] = (own or STATE["sets"]["changed"]["drivers"])[0]["digest"]
    if operation == "try_driver":
        for name in ("script", "schema", "payload_base64", "data"):
            case.body.pop(name, None)
        case.body.update(trial(STATE["sets"]["kept"]["drivers"][0]))
    if operation in ("create_scheduled_export", "update_scheduled_export"):
        fitting = VICTIMS.export_body()
        case.body.update({name: fitting[name] for name in ("enabled", "schedule", "timezone", "target")})
        for name in {"csv": (), "ndjson": ("raw", "units")}.get(case.body.get("format"), ("gzip", "raw", "units")):
            case.body.pop(name, None)
    if operation == "create_downlink":
        for name in ("values", "payload_base64", "network_connection_id", "expires_at"):
            case.body.pop(name, None)
        case.body.update(payload_hex="0011223344556677", f_port=1)
    if operation in ("create_device", "update_device", "adopt_unknown_device"):
        driver = STATE["sets"]["kept"]["drivers"][0]
        if "driver" in case.body:
            case.body["driver"] = f"{driver['author']}/{driver['name']}:{driver['tag']}"
        for connection in (case.body.get("connectivity") or {}).get("connections") or []:
            connection["network_connection_id"] = chance.choice(STATE["sets"]["kept"]["network-connections"])["id"]
            connection["network_device_id"] = f"{next(NUMBERS):016X}"
    if "selector" in case.body and operation != "create_device_bulk_change":
        case.body["selector"] = chance.choice(["site=berlin", "site=berlin, !retired", "a or (b and not c)"])


# Less than any id of a stored event.
BEFORE_ALL = "00000000-0000-7000-8000-000000000000"


def begin_stream_at_first(case):
    """Makes half of the streams begin with what is stored already, of a device that has some: what is sent meanwhile
    is a matter of chance."""
    places = (ParameterLocation.QUERY, ParameterLocation.HEADER)
    if all(is_positive(case, place) for place in places) and happens(choice(case, "stream"), case, 0.5):
        case.query = {**(case.query or {}), "after": BEFORE_ALL}
        stored = {"device_id": STATE["sets"]["kept"]["devices"][0]["id"], "selector": LABEL}
        case.query.update({name: value for name, value in stored.items() if name in case.query})
        case.headers.pop("Last-Event-ID", None)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Has each event of a stream checked against the schema that the document links. OpenAPI 3.0 has no
    place for it: there a stream is one text."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            for response in operation["responses"].values():
                stream = response.get("content", {}).get("text/event-stream")
                if stream:
                    data = {"type": "string", "contentMediaType": "application/json"}
                    data["contentSchema"] = stream["x-event-schema"]
                    members = {"id": {"type": "string", "format": "uuid"}, "event": {"type": "string"}, "data": data}
                    stream["schema"] = {"type": "object", "properties": members, "required": [*members]}


# Cases whose body is a message of the network server with which its connection talks.
GENUINE = set()


def put_ingest_key(case):
    if case.headers.get("Authorization") != "Bearer ingest-key":
        return
    connection = case.path_parameters.get("id")
    connection = int(connection) if str(connection).isdigit() else None
    case.headers["Authorization"] = f"Bearer {KEYS.get(connection, 'unknown')}"
    # The body is whatever a network server sends, which no schema of ours describes.
    if connection in KINDS and is_positive(case, ParameterLocation.BODY) and happens(choice(case, "uplink"), case, 0.5):
        case.body = json.loads(MESSAGES[KINDS[connection]])
        GENUINE.add(case.id)


@schemathesis.hook
def before_call(context, case, kwargs):
    if is_undeclared_method(case):
        return
    put_existing_path(case)
    put_own_values(case)
    put_existing_body(case)
    if operation_id(case.operation) == "create_uplink":
        put_ingest_key(case)
    if operation_id(case.operation) == "follow_events":
        begin_stream_at_first(case)


@schemathesis.hook
def after_call(context, case, response):
    SEEN[case.operation.label][response.status_code] += 1
    SEEN["scenarios" if is_stateful(case) else "single requests"]["requests"] += 1
    is_fitting = case.meta and case.meta.generation.mode.is_positive and not is_undeclared_method(case)
    if is_fitting and (case.id in EXISTING or not case.path_parameters):
        SEEN["fitting"][case.operation.label] += 1
        SEEN["successful"][case.operation.label] += response.status_code in (200, 201)
    operation = operation_id(case.operation)
    if operation in ("create_network_connection", "create_ingest_key") and response.status_code == 201:
        answer = response.json()
        connection = answer.get("id") or case.path_parameters.get("id")
        KEYS[int(connection)] = answer["ingest_key"]


# --- Failures that are none ----------------------------------------------------------------------


def permits_null(document, schema, path):
    """True if null is a value of the schema's member that `path` leads to."""
    if not path:
        return any(form.get("nullable") for _, form in document.forms(schema)) or bool(document.flat(schema).get("nullable"))
    name, *rest = path
    for _, form in document.forms(schema):
        below = form.get("items") if name.isdigit() else form.get("properties", {}).get(name)
        if below is not None and permits_null(document, below, rest):
            return True
    return False


def is_permitted_null(case, failure):
    """True if null was sent where the document permits it, which the generator forgets below a union."""
    found = re.search(r"in body - ([^:\n]+): [Ii]ncorrect type$", failure.message)
    if not found or operation_id(case.operation) is None:
        return False
    path, value = found[1].split(" -> "), case.body
    for name in path:
        value = value.get(name, ()) if isinstance(value, dict) else ()
    content = case.operation.definition.raw["requestBody"]["content"]
    document = document_of(case)
    return value is None and any(permits_null(document, one["schema"], path) for one in content.values())


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if STATE.get("outages") and not isinstance(failure, Broken):
        # A check of schemathesis may have sent a request of its own that met the outage.
        if response.status_code == 503 or "503 Service Unavailable" in failure.message:
            return False
    if isinstance(failure, AcceptedNegativeData):
        if not is_permitted_null(case, failure):
            return True
        SEEN["rules"][refusals.NULLS] += 1
        return False
    if not isinstance(failure, RejectedPositiveData) or response.status_code not in (400, 401, 403):
        return True
    operation, error = operation_id(case.operation) or "", response.json().get("error", "")
    if case.id in GENUINE and response.status_code == 400 and not error.startswith(("id", "header", "query parameter")):
        return True
    excuse = refusals.excuse(operation, error if response.status_code == 400 else f"{response.status_code} {error}")
    if excuse:
        SEEN["rules"][excuse] += 1
    return not excuse
