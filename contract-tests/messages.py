"""Messages that integrations send: a receiver gets nothing but what the document describes."""

import json

from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker

from examples import close
from seed import ROOT, Client

# The path to it is known since `seed` was imported.
from hub import Receiver  # noqa: E402

UPLINK = ROOT / "tests/uplinks/ttn_v3_milesight_am102.json"
EUI = "2000000000000001"
SECONDS_MAX = 20
# By the form of the payload: the entries of `x-webhooks` that describe it.
FORMS = {"native": lambda name: name not in ("cloud_event", "templated"), "cloudevents": lambda name: name == "cloud_event"}


class Messages:
    """The schemas and the headers of the messages in one form."""

    def __init__(self, document, form):
        components = close(document["components"])
        operations = {name: entry["post"] for name, entry in document["x-webhooks"].items() if FORMS[form](name)}
        schemas = {json.dumps(content["schema"]): content["schema"] for operation in operations.values()
                   for content in operation["requestBody"]["content"].values()}
        self.validators = [
            OAS30ReadValidator({**close(schema), "components": components}, format_checker=oas30_format_checker)
            for schema in schemas.values()
        ]
        shared = document["components"]["parameters"]
        parameters = [shared[parameter["$ref"].rsplit("/", 1)[-1]] if "$ref" in parameter else parameter
                      for operation in operations.values() for parameter in operation.get("parameters", [])]
        self.headers = {parameter["name"].lower() for parameter in parameters if parameter.get("required")}

    def problem(self, message):
        """The fault of a message, or nothing."""
        missing = self.headers - set(message["headers"])
        if missing:
            return f"it has no header {', '.join(sorted(missing))}"
        fitting = [validator for validator in self.validators if validator.is_valid(message["body"])]
        if len(fitting) != 1:
            return f"it fits {len(fitting)} of the described messages: {json.dumps(message['body'])[:200]}"
        return None


def run(cases, client, maker, document, spoil=lambda message: None):
    """Sends uplinks and tests in each form; `spoil` changes a message on its way, to see whether that is noticed."""
    hub, label = client.hub, maker.name()
    connection = maker.network_connection({"type": "the_things_stack"})
    address = {"network_connection_id": connection["id"], "network_device_id": EUI}
    maker.make("devices", labels=[label], connectivity={"connections": [address]})
    uplink = json.loads(UPLINK.read_text())
    uplink["end_device_ids"]["dev_eui"] = EUI
    network = Client(hub, connection["ingest_key"])
    for number, form in enumerate(FORMS):
        messages = Messages(document, form)
        with Receiver() as receiver:
            integration = maker.make("integrations", selector=label, events=["data", "raw"], payload={"type": form},
                                     target={"type": "http", "url": receiver.url})
            path = f"/api/v3/integrations/{integration['id']}"
            client.call("POST", f"{path}/test", {})
            uplink["uplink_message"]["f_cnt"] = 100 + number
            network.call("POST", f"/api/v3/network-connections/{connection['id']}/uplinks", uplink)
            for what in ("the test", "the first message of an uplink", "the second message of an uplink"):
                message = receiver.next(SECONDS_MAX)
                spoil(message)
                cases.check(f"{what} in the form {form}", messages.problem(message))
            client.call("DELETE", path)
