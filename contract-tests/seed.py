"""The resources that the tests find at the start, made through the API.

Three sets, so that one test does not take another's ground away: `kept` is read and posted to,
`changed` is updated, and whatever is deleted is made for that.
"""

import itertools
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from hub import Client, uplink  # noqa: E402

DRIVER = (ROOT / "examples/am102.js").read_text()
THE_THINGS_STACK = {"type": "the_things_stack"}
HTTP = {
    "type": "http",
    "device_id_pointer": "/deviceInfo/devEui",
    "payload_pointer": "/data",
    "payload_encoding": "base64",
    "port_pointer": "/fPort",
    "time_pointer": "/time",
}
LABEL = "site=berlin"
# What each kind of connection takes.
MESSAGES = {
    "the_things_stack": uplink("ttn_v3_milesight_am102.json"),
    "http": uplink("chirpstack_v4_milesight_am102.json"),
}


class Maker:
    """Makes resources whose names nothing else has."""

    def __init__(self, client, prefix, receiver_url):
        self.client, self.prefix, self.receiver_url = client, prefix, receiver_url
        self.numbers = itertools.count(1)

    def name(self):
        return f"{self.prefix}-{next(self.numbers)}"

    def network_connection(self, settings=HTTP):
        body = {"name": self.name(), "enabled": True, "settings": settings}
        return self.client.api("POST", "network-connections", body)

    def driver(self):
        name = self.name()
        body = {"author": self.prefix, "name": name, "tags": ["1.0.0", "1"], "script": DRIVER}
        return self.client.api("POST", "drivers", body)

    def device(self, driver=None, connections=()):
        body = {"id": self.name(), "name": self.name(), "labels": [LABEL]}
        if driver:
            body["driver"] = f"{driver['author']}/{driver['name']}:1"
        if connections:
            body["connectivity"] = {"connections": [
                {"network_connection_id": connection["id"], "network_device_id": "1000000000000001"}
                for connection in connections
            ]}
        return self.client.api("POST", "devices", body)

    def data_table(self):
        columns = [{"path": "temperature", "type": "number", "unit": "°C"}]
        body = {"name": self.name(), "selector": "site=berlin", "columns": columns}
        return self.client.api("POST", "data-tables", body)

    def integration(self):
        body = {"name": self.name(), "selector": "site=berlin", "enabled": True,
                "target": {"type": "http", "url": self.receiver_url}}
        return self.client.api("POST", "integrations", body)

    def user(self):
        body = {"username": self.name(), "password": "correct horse battery", "role": "viewer"}
        return self.client.api("POST", "users", body)

    def api_key(self):
        return self.client.api("POST", "api-keys", {"name": self.name(), "scopes": ["read"]})

    def tenant(self):
        administrator = {"username": self.name(), "password": "correct horse battery"}
        return self.client.api("POST", "tenants", {"name": self.name(), "administrator": administrator})

    def device_import(self):
        headers = {"Content-Type": "text/csv"}
        return self.client.api("POST", "devices/import", f"id\n{self.name()}\n".encode(), headers)

    def path_parameters(self, resource):
        """A new resource below the path segment `resource`, as its path parameters."""
        if resource == "drivers":
            driver = self.driver()
            return {"author": driver["author"], "name": driver["name"], "tag": "1"}
        made = {
            "network-connections": self.network_connection,
            "devices": self.device,
            "device-imports": self.device_import,
            "data-tables": self.data_table,
            "integrations": self.integration,
            "users": self.user,
            "api-keys": self.api_key,
            "tenants": self.tenant,
        }[resource]()
        return {"id": made["id"], "label": LABEL}


def stranger(hub, client):
    """The administrator of a tenant that has nothing."""
    administrator = {"username": "stranger", "password": "another correct horse"}
    client.api("POST", "tenants", {"name": "Strangers", "administrator": administrator})
    other = Client(hub)
    other.log_in(**administrator)
    return other


def seed(hub, receiver_url):
    """Makes the two lasting sets; gives what hooks.py needs of them, as plain JSON."""
    client = Client(hub)
    token = client.log_in()
    maker = Maker(client, "seed", receiver_url)
    sets, keys = {}, {}
    for name in ("kept", "changed"):
        driver = maker.driver()
        connections = [maker.network_connection(settings) for settings in (THE_THINGS_STACK, HTTP)]
        # The table and the integration come before the uplink, so that they have rows and deliveries.
        device = maker.device(driver, connections)
        table, integration = maker.data_table(), maker.integration()
        for connection in connections:
            path = f"network-connections/{connection['id']}/uplinks"
            Client(hub, connection["ingest_key"]).api("POST", path, MESSAGES[connection["settings"]["type"]])
            keys[connection["id"]] = connection["ingest_key"]
        sets[name] = {
            "network-connections": [{"id": connection["id"]} for connection in connections],
            "devices": [{"id": device["id"], "label": LABEL}],
            "device-imports": [{"id": maker.device_import()["id"]}],
            "data-tables": [{"id": table["id"]}],
            "integrations": [{"id": integration["id"]}],
            "drivers": [{"author": driver["author"], "name": driver["name"], "tag": "1"}],
            "users": [{"id": maker.user()["id"]}],
            "api-keys": [{"id": maker.api_key()["id"]}],
            "tenants": [{"id": maker.tenant()["id"]}],
        }
    # The run itself must keep its user and its tenant.
    sets["kept"]["users"].append({"id": client.api("GET", "users/me")["id"]})
    sets["kept"]["tenants"].append({"id": client.api("GET", "tenants")["collection"][0]["id"]})
    types = {connection["id"]: connection["settings"]["type"]
             for connection in client.api("GET", "network-connections")["collection"]}
    return {"token": token, "sets": sets, "keys": keys, "types": types, "receiver_url": receiver_url}
