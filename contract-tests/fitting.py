"""Requests that fit the document and are refused all the same.

One for each rule of refusals.py that generated cases seldom need, each permitted by a rule of its own: so no rule
stands there whose refusal is gone, or which the document expresses by now.
"""

import collections
import urllib.parse

import examples
import refusals
from cases import problem, referred
from seed import PAYLOAD, SPAN

# What a device may have at most, by docs/limits.md: waiting downlinks and labels.
QUEUE_MAX, LABELS_MAX = 100, 64
# Levels of a free object that are too many: 16 are allowed.
DEPTH = 17
MAPPING = {"device_id_pointer": "/id", "payload_pointer": "/data", "payload_encoding": "hex"}


class Fitting:
    """Sends requests that must be refused by a rule, and counts the rules' hits."""

    def __init__(self, cases, client, document):
        self.cases, self.client, self.document = cases, client, document
        self.errors, self.hits = examples.schema_errors(document), collections.Counter()
        self.operations = {
            operation["operationId"]: (method.upper(), operation)
            for item in document["paths"].values() for method, operation in item.items()
        }

    def refuses(self, name, path, body=None, client=None):
        method, operation = self.operations[name]
        answer = (client or self.client).call(method, f"/api/v3/{path}", body)
        found = self.misfit(operation, path, body) or problem(answer, [400])
        if not found:
            rule = refusals.excuse(name, answer.json["error"])
            self.hits[rule] += 1
            if not rule:
                found = f"no rule permits {answer.json['error']!r}"
            elif self.hits[rule] > 1:
                found = f"the rule of another request permits it: {rule}"
        self.cases.check(f"{method} /api/v3/{path} fits the document and is refused", found)

    def misfit(self, operation, path, body):
        """Why the document tells that the request is wrong, or nothing."""
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for error in self.errors(schema, body, True):
                return f"the body does not fit the document: {error.json_path}: {error.message[:200]}"
        query = urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query)
        parameters = {one["name"]: one for one in (referred(self.document, each) for each in operation.get("parameters", []))}
        for name, value in query:
            for error in self.errors(parameters[name]["schema"], value, True):
                return f"the parameter {name} does not fit the document: {error.message[:200]}"
        return None


def run(cases, client, stranger, maker, document):
    """Gives how often each rule was needed."""
    fitting = Fitting(cases, client, document)
    people(fitting, stranger, maker)
    devices(fitting, maker)
    drivers(fitting, maker)
    networks(fitting, maker)
    integrations(fitting, maker)
    return fitting.hits


def people(fitting, stranger, maker):
    # The second letter is Cyrillic.
    mixed = maker.body("users") | {"username": "r\u0430mona"}
    fitting.refuses("create_user", "users", mixed)
    # The only person of another tenant.
    own = stranger.api("GET", "users/me")
    fitting.refuses("update_user", f"users/{own['id']}", {"role": "viewer"}, stranger)


def devices(fitting, maker):
    device = maker.make("devices")
    fitting.refuses("create_device", "devices", {"id": "import", "name": "import"})
    labels = [f"label-{number}" for number in range(LABELS_MAX)]
    fitting.refuses("create_device_labels", f"devices/{device['id']}/labels", {"labels": labels})
    own = maker.name()
    maker.client.api("POST", f"devices/{device['id']}/labels", {"labels": [own]})
    change = {"selector": own, "dry_run": False, "action": {"type": "add_labels", "labels": labels}}
    fitting.refuses("create_device_bulk_change", "devices/bulk", change)
    deep = 1
    for _ in range(DEPTH):
        deep = {"a": deep}
    fitting.refuses("update_device_state", f"devices/{device['id']}/state", {"desired": {"a": deep}})
    twice = maker.body("data-tables")
    fitting.refuses("create_data_table", "data-tables", twice | {
        "columns": [*twice["columns"], {"path": twice["columns"][0]["path"], "type": "text"}]})
    table = maker.make("data-tables")
    span = "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"
    fitting.refuses("aggregate_rows", f"data-tables/{table['id']}/rows/aggregate?interval=1m&fill=null&{span}")
    queue = f"devices/{maker.path_parameters('devices', '/downlinks')['id']}/downlinks"
    fitting.refuses("create_downlink", queue, {"payload_hex": "0011", "f_port": 1})
    downlink = {"payload_hex": "0011223344556677", "f_port": 1}
    for _ in range(QUEUE_MAX):
        maker.client.api("POST", queue, downlink)
    fitting.refuses("create_downlink", queue, downlink)


def drivers(fitting, maker):
    driver = maker.driver()
    reference = f"{driver['author']}/{driver['name']}"
    trial = {"payload_hex": PAYLOAD, "f_port": 85}
    fitting.refuses("try_driver", "drivers/try", trial | {"driver": f"{reference}:none"})
    large = {"text": "a" * 1_000_000}
    fitting.refuses("try_driver", "drivers/try", trial | {"driver": f"{reference}:1", "state": large})
    unnamed = {"driver": f"{reference}:1", "function": "encode", "data": {"a\0": 1}}
    fitting.refuses("try_driver", "drivers/try", unnamed)
    for tag in ("1", "1.0.0"):
        maker.client.api("DELETE", f"drivers/{reference}/tags/{tag}")
    fitting.refuses("export_driver", f"drivers/{reference}/export")


def networks(fitting, maker):
    def connection(settings, **more):
        fitting.refuses("create_network_connection", "network-connections",
                        {"name": maker.name(), "settings": settings} | more)

    broker = {"url": "mqtts://broker.example.com:8883"}
    subscription = {"type": "mqtt", "broker": broker, "topics": ["up"], "mapping": MAPPING}
    connection(subscription | {"topics": ["a/#/b"]})
    connection(subscription | {"broker": broker | {"client_id": "hub", "username": "hub", "shared_access_key": "no base64"}})
    stack = {"type": "the_things_stack"}
    connection(stack, auto_provisioning={"network_device_id_pattern": "(", "labels": []})
    connection(stack, auto_provisioning={"name_template": "{nothing}", "labels": []})
    connection(stack, auto_provisioning={"labels": ["\u20ac"]})


def integrations(fitting, maker):
    def integration(**more):
        fitting.refuses("create_integration", "integrations", maker.body("integrations") | more)

    integration(payload={"type": "template", "template": "{% if %}", "content_type": "text/plain"})
    http = {"type": "http", "url": "http://hub.example.com/"}
    integration(target=http | {"tls": {}})
    integration(target=http | {"authorization": "Bearer a", "auth": {"type": "bearer", "token": "b"}})
    joins = maker.make("integrations", events=["join"])
    published = maker.make("integrations", enabled=False, target={
        "type": "mqtt", "broker": {"url": "mqtts://broker.example.com:8883"}, "topic": "hub"})
    fitting.refuses("create_integration_key", f"integrations/{published['id']}/key")
    fitting.refuses("create_replay", f"integrations/{joins['id']}/replay", SPAN)
