"""The resources that the tests find at the start, made through the API.

Three sets, so that one test does not take another's ground away: `kept` is read and posted to,
`changed` is updated, and whatever is deleted is made for that.
"""

import io
import itertools
import json
import pathlib
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import permissions  # noqa: E402
from hub import Client, until, uplink  # noqa: E402

DRIVER = (ROOT / "examples/am102.js").read_text()
THE_THINGS_STACK = {"type": "the_things_stack"}
HTTP = {
    "type": "http",
    "mapping": {
        "device_id_pointer": "/deviceInfo/devEui",
        "payload_pointer": "/data",
        "payload_encoding": "base64",
        "port_pointer": "/fPort",
        "time_pointer": "/time",
    },
}
LABEL = "site=berlin"
# Rows to import, of a device that need not exist.
ROWS_CSV = "time,device_id,temperature\n2026-01-01T00:00:00Z,imported,21.5\n"
ROWS_NDJSON = '{"time": "2026-01-01T00:00:00Z", "device_id": "imported", "data": {"temperature": 21.5}}\n'
SPAN = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}
PAYLOAD = "0175640367fa0004687f"
# A stored secret of the seed: an answer that has it gives it away.
SECRET = "stored-to-be-sent-and-never-read"
# Settings of each kind of connection.
MESSAGES = {
    "the_things_stack": uplink("ttn_v3_milesight_am102.json"),
    "http": uplink("chirpstack_v4_milesight_am102.json"),
}


# The address of a device that nobody provisions.
UNKNOWN = "2000000000000002"


def unknown(kind):
    """A message of a device that nobody provisions."""
    return MESSAGES[kind].replace(b"1000000000000001", UNKNOWN.encode())


def archive(author, name, tags):
    """A driver as one file, as an export would write it."""
    project = {"type": "driver", "metadata": {"author": author, "name": name}, "tags": tags}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for path, text in ((".project", json.dumps(project)), ("driver.js", DRIVER)):
            content = text.encode()
            header = tarfile.TarInfo(f"{name}/{path}")
            header.size = len(content)
            file.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def trial(driver):
    """A request that tries a driver."""
    return {"driver": f"{driver['author']}/{driver['name']}:{driver['tag']}", "payload_hex": PAYLOAD, "f_port": 85}


class Maker:
    """Makes resources whose names nothing else has."""

    def __init__(self, client, prefix, receiver_url):
        self.client, self.prefix, self.receiver_url = client, prefix, receiver_url
        self.numbers = itertools.count(1)

    def name(self):
        return f"{self.prefix}-{next(self.numbers)}"

    def body(self, resource):
        """The body that makes a new resource below the path segment `resource`, by itself."""
        if resource == "driver-trials":
            return trial(self.driver())
        name = self.name()
        person = {"username": name, "password": "correct horse battery"}
        return {
            "network-connections": {"name": name, "enabled": True, "settings": HTTP},
            "drivers": {"author": self.prefix, "name": name, "tags": ["1.0.0", "1"], "script": DRIVER},
            "driver-imports": archive(self.prefix, name, ["1.0.0", "1"]),
            "devices": {"id": name, "name": name, "labels": [LABEL]},
            "device-imports": f"id\n{name}\n".encode(),
            "device-bulks": {"selector": f"{LABEL} or {name}", "action": {"type": "add_labels", "labels": [LABEL]}},
            "data-tables": {"name": name, "selector": "site=berlin",
                            "columns": [{"path": "temperature", "type": "number", "unit": "°C"}]},
            "integrations": {"name": name, "selector": "site=berlin", "enabled": True,
                             "target": {"type": "http", "url": self.receiver_url}},
            "users": person | {"role": "viewer"},
            "api-keys": {"name": name, "scopes": ["read"]},
            "tenants": {"name": name, "administrator": person},
        }[resource]

    def body_below(self, template):
        """The body that is posted below a resource, by the last segment of its path; nothing where that is unknown."""
        return {
            "import": ROWS_CSV.encode(),
            "adopt": {"id": self.name()},
            "labels": {"labels": ["floor=2"]},
            "downlinks": {"payload_hex": "0011223344556677", "f_port": 1},
            "resend": {},
            "replay": SPAN,
            "fill": {},
            "scheduled-exports": self.export_body(),
        }.get(template.rsplit("/", 1)[-1])

    def media_type(self, resource):
        return "application/octet-stream" if resource.endswith("-imports") else "application/json"

    def make(self, resource, **more):
        return self.client.api("POST", resource, self.body(resource) | more)

    def network_connection(self, settings=HTTP):
        return self.make("network-connections", settings=settings)

    def device(self, driver, connections):
        connectivity = {"connections": [
            {"network_connection_id": connection["id"], "network_device_id": "1000000000000001"}
            for connection in connections
        ]}
        return self.make("devices", driver=f"{driver['author']}/{driver['name']}:1", connectivity=connectivity)

    def device_import(self):
        headers = {"Content-Type": self.media_type("device-imports")}
        return self.client.api("POST", "devices/import", self.body("device-imports"), headers)

    def driver(self):
        """A driver of two versions, as path parameters: a tag points at the newer one alone, so the other
        may be deleted."""
        body = self.body("drivers")
        of_driver = f"{body['author']}/{body['name']}"
        self.client.api("POST", "drivers", body | {"script": f"// The version before\n{DRIVER}"})
        digest = self.client.api("GET", f"drivers/{of_driver}/tags/1")["digest"]
        self.client.api("POST", "drivers", body)
        return {"author": body["author"], "name": body["name"], "tag": "1", "digest": digest}

    def downlink_settings(self, connection):
        """Lets downlinks go out over the connection, to nobody: they wait for the next uplink."""
        self.client.api("PUT", f"network-connections/{connection['id']}/downlink-settings",
                        {"settings": {"type": "sigfox"}})

    def downlink(self, device):
        body = {"payload_hex": "0011223344556677", "f_port": 1}
        return self.client.api("POST", f"devices/{device['id']}/downlinks", body)["id"]

    def replay(self, integration):
        return self.client.api("POST", f"integrations/{integration['id']}/replay", SPAN)["id"]

    def fill(self, table):
        return self.client.api("POST", f"data-tables/{table['id']}/fill", {})["id"]

    def row_import(self, table):
        headers = {"Content-Type": "application/octet-stream"}
        return self.client.api("POST", f"data-tables/{table['id']}/import", ROWS_CSV.encode(), headers)["id"]

    def scheduled_export(self, table):
        """One that never runs by itself, and whose server does not exist."""
        return self.client.api("POST", f"data-tables/{table['id']}/scheduled-exports", self.export_body())["id"]

    def export_run(self, table, export):
        """One that waits for its next attempt, as nobody answers."""
        return self.client.api("POST", f"data-tables/{table['id']}/scheduled-exports/{export}/runs")["number"]

    def export_body(self):
        return {"name": self.name(), "enabled": False, "format": "csv", "schedule": "0 0 * * *", "timezone": "UTC",
                "target": {"type": "sftp", "host": "nowhere.invalid", "username": "u", "password": "p"}}

    def delivery(self, integration):
        """One that is settled, of an integration that has been told to replay."""
        path = f"integrations/{integration['id']}/deliveries?state=delivered"
        until("a delivery is settled", 30, lambda: self.client.api("GET", path)["collection"])
        return self.client.api("GET", path)["collection"][0]["id"]

    def unknown(self, connection):
        kind = connection["settings"]["type"]
        path = f"network-connections/{connection['id']}/uplinks"
        type(self.client)(self.client.hub, connection["ingest_key"]).api("POST", path, unknown(kind))
        return UNKNOWN

    def path_parameters(self, resource, template=""):
        """A new resource, as its path parameters, with what the template names below it."""
        if resource == "drivers":
            return self.driver()
        if "{downlink_id}" in template:
            connection = self.make("network-connections", enabled=False)
            self.downlink_settings(connection)
            address = {"network_connection_id": connection["id"], "network_device_id": UNKNOWN}
            device = self.make("devices", connectivity={"connections": [address]})
            return {"id": device["id"], "downlink_id": self.downlink(device)}
        if "{delivery_id}" in template or "{replay_id}" in template:
            integration = self.make("integrations")
            replay = self.replay(integration)
            return {"id": integration["id"], "replay_id": replay, "delivery_id": self.delivery(integration)}
        if "{fill_id}" in template:
            table = self.make("data-tables")
            return {"id": table["id"], "fill_id": self.fill(table)}
        if "{import_id}" in template:
            table = self.make("data-tables")
            return {"id": table["id"], "import_id": self.row_import(table)}
        if "{export_id}" in template:
            table = self.make("data-tables")
            values = {"id": table["id"], "export_id": self.scheduled_export(table)}
            if "{number}" in template:
                values["number"] = self.export_run(table, values["export_id"])
            return values
        if "{network_device_id}" in template:
            connection = self.network_connection()
            return {"id": connection["id"], "network_device_id": self.unknown(connection)}
        if template.endswith(("/downlink-settings", "/downlinks")):
            connection = self.network_connection()
            self.downlink_settings(connection)
            if resource == "network-connections":
                return {"id": connection["id"]}
            return {"id": self.device(self.driver(), [connection])["id"]}
        made = self.device_import() if resource == "device-imports" else self.make(resource)
        return {"id": made["id"], "label": LABEL}


def others(hub, client):
    """Two more people: the administrator of a tenant that has nothing, and one of our own who may only
    read; their sessions, and what must not be taken from them."""
    stranger = {"username": "stranger", "password": "another correct horse"}
    viewer = {"username": "viewer", "password": "another correct horse"}
    tenant = client.api("POST", "tenants", {"name": "Strangers", "administrator": stranger})
    user = client.api("POST", "users", viewer | {"role": "viewer"})
    tokens = {person["username"]: Client(hub).log_in(**person) for person in (stranger, viewer)}
    return tokens, tenant["id"], user["id"]


def callers(hub, client, connection):
    """Callers of the same tenant by the columns of the permission table, with what must not be taken from them:
    their tokens, users and keys. `ingest` has the ingest key of `connection`."""
    editor = {"username": "editor", "password": "another correct horse"}
    user = client.api("POST", "users", editor | {"role": "editor"})
    tokens = {"nobody": "nobody-has-this-token", "ingest": connection["ingest_key"], "editor": Client(hub).log_in(**editor)}
    keys = []
    for scope in permissions.scopes():
        key = client.api("POST", "api-keys", {"name": f"caller {scope}", "scopes": [scope]})
        tokens[scope] = key["key"]
        keys.append({"id": key["id"]})
    return tokens, {"id": user["id"]}, keys


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
        table, integration = maker.make("data-tables"), maker.make("integrations")
        for connection in connections:
            path = f"network-connections/{connection['id']}/uplinks"
            Client(hub, connection["ingest_key"]).api("POST", path, MESSAGES[connection["settings"]["type"]])
            Client(hub, connection["ingest_key"]).api("POST", path, unknown(connection["settings"]["type"]))
            keys[connection["id"]] = connection["ingest_key"]
            maker.downlink_settings(connection)
        replay, export = maker.replay(integration), maker.scheduled_export(table)
        sets[name] = {
            "network-connections": [{"id": connection["id"], "network_device_id": UNKNOWN}
                                    for connection in connections],
            "devices": [{"id": device["id"], "label": LABEL, "downlink_id": maker.downlink(device)}],
            "device-imports": [{"id": maker.device_import()["id"]}],
            "data-tables": [{"id": table["id"], "fill_id": maker.fill(table), "import_id": maker.row_import(table),
                             "export_id": export, "number": maker.export_run(table, export)}],
            "integrations": [{"id": integration["id"], "replay_id": replay,
                              "delivery_id": maker.delivery(integration)}],
            "drivers": [driver],
            "users": [{"id": maker.make("users")["id"]}],
            "api-keys": [{"id": maker.make("api-keys")["id"]}],
            "tenants": [{"id": maker.make("tenants")["id"]}],
        }
    followed = maker.make("integrations", target={"type": "websocket"})
    sets["kept"]["integrations"].append({"id": followed["id"]})
    # The run itself must keep its user and its tenant, and so must the others.
    tokens, tenant, user = others(hub, client)
    sets["kept"]["users"] += [{"id": client.api("GET", "users/me")["id"]}, {"id": user}]
    sets["kept"]["tenants"] += [{"id": client.api("GET", "tenants")["collection"][0]["id"]}, {"id": tenant}]
    spare = maker.network_connection()
    by_table, editor, own_keys = callers(hub, client, spare)
    sets["kept"]["users"].append(editor)
    sets["kept"]["api-keys"] += own_keys
    # No answer may hold it.
    secret = maker.make("integrations", enabled=False, target={
        "type": "http", "url": receiver_url, "auth": {"type": "bearer", "token": SECRET}})
    sets["kept"]["integrations"].append({"id": secret["id"]})
    types = {connection["id"]: connection["settings"]["type"]
             for connection in client.api("GET", "network-connections")["collection"]}
    return {"token": token, "others": tokens, "callers": by_table, "sets": sets, "keys": keys, "types": types,
            "receiver_url": receiver_url}
