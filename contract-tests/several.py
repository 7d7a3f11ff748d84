"""Several items for each list of the document, so that there is something to page through, sort and filter."""

import json

from cases import resource_of
from seed import DRIVER, HTTP, LABEL, MESSAGES, SPAN, Client, unknown, until

COUNT = 3
# Addresses of devices that nobody provisions, and of the one that has uplinks.
STRANGERS = [f"30000000000000{number:02}" for number in range(COUNT)]
OWN = "1000000000000001"


def rows(device):
    """Rows to import, one of them wrong in two places."""
    lines = [f"2026-01-0{day}T00:00:00Z,{device},{18 + day}.5\n" for day in range(1, 6)]
    return ("time,device_id,temperature\n" + "".join(lines) + "yesterday,x,1\n" + "never,x,2\n").encode()


class Several:
    """Makes them; `values` gives the path parameters of a list."""

    def __init__(self, maker):
        self.maker, self.api = maker, maker.client.api
        driver = maker.driver()
        for number in range(COUNT):
            self.api("POST", "drivers", {"author": driver["author"], "name": driver["name"], "tags": ["1"],
                                         "script": f"// Version {number}\n{DRIVER}"})
        self.driver = driver
        self.connection = maker.network_connection(HTTP)
        maker.downlink_settings(self.connection)
        address = {"network_connection_id": self.connection["id"], "network_device_id": OWN}
        reference = f"{driver['author']}/{driver['name']}"
        self.device = maker.make("devices", driver=f"{reference}:1", connectivity={"connections": [address]})
        # A second reference to the driver.
        maker.make("devices", driver=f"{reference}:1.0.0", labels=[LABEL, "floor=2"])
        self.table, self.integration = maker.make("data-tables"), maker.make("integrations")
        self.uplinks()
        self.below_table()
        for number in range(COUNT):
            self.api("POST", f"devices/{self.device['id']}/downlinks", {"payload_hex": f"0011223344556{number}77"[:16], "f_port": 1})
            self.api("POST", f"integrations/{self.integration['id']}/replay", SPAN)
            for resource in ("users", "api-keys", "tenants"):
                maker.make(resource, **({"role": "editor"} if resource == "users" and not number else {}))
        self.device_import = self.imported()

    def uplinks(self):
        network = Client(self.maker.client.hub, self.connection["ingest_key"])
        path = f"network-connections/{self.connection['id']}/uplinks"
        for number in range(COUNT):
            message = json.loads(MESSAGES["http"])
            message["fCnt"] = 1000 + number
            message["time"] = f"2026-02-0{1 + number}T00:00:00Z"
            network.api("POST", path, message)
        for stranger in STRANGERS:
            network.api("POST", path, unknown("http").replace(b"2000000000000002", stranger.encode()))
        deliveries = f"integrations/{self.integration['id']}/deliveries?state=delivered"
        until("the deliveries are settled", 30, lambda: len(self.api("GET", deliveries)["collection"]) >= COUNT)

    def below_table(self):
        path, binary = f"data-tables/{self.table['id']}", {"Content-Type": "application/octet-stream"}
        for _ in range(COUNT):
            row_import = self.api("POST", f"{path}/import", rows(self.device["id"]), binary)
            until("the rows are imported", 30, lambda: self.has_ended(f"{path}/imports/{row_import['id']}"))
            fill = self.api("POST", f"{path}/fill", {})
            until("the table is filled", 30, lambda: self.has_ended(f"{path}/fills/{fill['id']}"))
            export = self.maker.scheduled_export(self.table)
        self.row_import, self.export = row_import, export

    def has_ended(self, path):
        return self.api("GET", path)["finished_at"]

    def imported(self):
        headers = {"Content-Type": self.maker.media_type("device-imports")}
        for _ in range(COUNT):
            names = [self.maker.name() for _ in range(COUNT)]
            made = self.api("POST", "devices/import", ("id\n" + "\n".join([*names, "-wrong-"]) + "\n").encode(), headers)
            until("the devices are imported", 30, lambda: self.has_ended(f"devices/import/{made['id']}"))
        return made

    def values(self, template):
        return {
            "network-connections": {"id": self.connection["id"]},
            "drivers": self.driver,
            "devices": {"id": self.device["id"]},
            "device-imports": {"id": self.device_import["id"]},
            "data-tables": {"id": self.table["id"], "import_id": self.row_import["id"], "export_id": self.export},
            "integrations": {"id": self.integration["id"]},
        }.get(resource_of(template), {})
