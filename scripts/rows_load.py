"""A data table with many rows of 1,000 devices that send five numbers every ten minutes, and a load of uplinks beside it,
for the benchmarks of data tables."""

import datetime
import json
import os
import random
import re
import sqlite3
import subprocess
import threading
import time

import hub as hubs
from load import PLANTED, query

DEVICES = 1000
STEP_S = 600
COLUMNS = ["temperature", "humidity", "pressure", "co2", "battery"]
SENDERS = 4
# Seconds for which uplinks are counted.
LOAD_S = float(os.environ.get("BENCH_LOAD_SECONDS", "20"))
DICE = random.Random(1)
ROW = "(tenant_id, id, data_table_id, device_id, ts, data)"


def start_of(rows):
    """Start of the period: its end is the current hour."""
    end = int(time.time()) // 3600 * 3600
    return end - (rows + DEVICES - 1) // DEVICES * STEP_S


def values(start, number):
    """Time, device and numbers of a row. Devices do not send at the same moment."""
    device = number % DEVICES
    at = start + number // DEVICES * STEP_S + device * STEP_S // DEVICES
    return at, f"d{device}", [DICE.randrange(1000, 3000) / 100 for _ in COLUMNS]


def identifier(first_ms, n):
    """An id that sorts by time, as those of the hub do (UUIDv7)."""
    return bytes.fromhex(f"{first_ms + n // 16:012x}7{n % 16:03x}8{n:015x}")


def fill(hub, url, table, rows, start):
    """Adds the rows behind the hub's back while it is stopped."""
    first_ms = start * 1000
    if url:
        numbers = ", ".join(f"'{column}', round((10 + random() * 20)::numeric, 2)" for column in COLUMNS)
        statement = (
            f"INSERT INTO data_table_rows {ROW} SELECT 1, (lpad(to_hex({first_ms} + n / 16), 12, '0') || '7' "
            f"|| lpad(to_hex(n % 16), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid, {table}, "
            f"'d' || n % {DEVICES}, to_timestamp({start} + n / {DEVICES} * {STEP_S} + n % {DEVICES} * {STEP_S} / {DEVICES}), "
            f"jsonb_build_object({numbers}) FROM generate_series(0::bigint, {rows - 1}) AS n"
        )
        for command in [statement, "VACUUM ANALYZE"]:
            hubs.tell(url, command)
        return
    database = sqlite3.connect(hub.folder / "data/thingshub.db")

    def stored(number):
        at, device, numbers = values(start, number)
        at = datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()
        data = "{" + ", ".join(f'"{column}": {value}' for column, value in zip(COLUMNS, numbers)) + "}"
        return identifier(first_ms, number), table, device, at, data

    for begin in range(0, rows, 200_000):
        part = (stored(number) for number in range(begin, min(begin + 200_000, rows)))
        database.executemany(f"INSERT INTO data_table_rows {ROW} VALUES (1, ?, ?, ?, ?, ?)", part)
        database.commit()
    database.close()


def size(hub, url):
    if not url:
        return sum(file.stat().st_size for file in (hub.folder / "data").glob("thingshub.db*"))
    query = "SELECT pg_database_size(current_database())"
    asked = subprocess.run(["psql", "-qAt", url, "-c", query], check=True, capture_output=True, text=True)
    return int(asked.stdout)


class Load:
    """Threads that post uplinks until the block ends. As many must be stored then as were answered with success."""

    def __init__(self, hub, connection):
        self.hub, self.connection = hub, connection
        self.stopping = threading.Event()
        self.count, self.fault = [0] * SENDERS, None
        self.took_ms = [[] for _ in range(SENDERS)]
        self.threads = [threading.Thread(target=self.run, args=(sender,)) for sender in range(SENDERS)]

    def stored(self):
        return query(self.hub, "SELECT count(*) FROM uplinks")[0]

    def __enter__(self):
        self.before = self.stored()
        self.began = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.rate = sum(self.count) / (time.monotonic() - self.began)
        if self.fault:
            raise hubs.Failure(f"an uplink failed: {self.fault}")
        answered, stored = sum(self.count), self.stored() - self.before
        if stored != answered:
            raise hubs.Failure(f"{answered:,} uplinks were answered with success, {stored:,} are stored")

    def ms(self, share):
        """Milliseconds within which this share of the uplinks was answered."""
        took = sorted(took for each in self.took_ms for took in each)
        return took[min(len(took) - 1, int(len(took) * share))]

    def __str__(self):
        return f"{self.rate:.0f} (p50 {self.ms(0.5):.1f} ms, p99 {self.ms(0.99):.1f})"

    def run(self, sender):
        try:
            client = hubs.Client(self.hub)
            message = json.loads(hubs.uplink("ttn_v3_milesight_am102.json"))
            message["end_device_ids"]["dev_eui"] = f"AA0000000000000{sender}"
            path = f"network-connections/{self.connection['id']}/uplinks"
            key = {"Authorization": f"Bearer {self.connection['ingest_key']}"}
            while not self.stopping.is_set():
                message["uplink_message"]["f_cnt"] = 1 if PLANTED else time.monotonic_ns() // 1000 % 2**31
                begun = time.monotonic()
                client.api("POST", path, message, key)
                self.took_ms[sender].append(1000 * (time.monotonic() - begun))
                self.count[sender] += 1
        except Exception as fault:
            self.fault = self.fault or fault


def configure(hub):
    """Connects devices whose uplinks are stored in a second data table; returns the connection and the filled table."""
    client = hubs.Client(hub)
    client.log_in()
    connection = client.api("POST", "network-connections", {"name": "c", "settings": {"type": "the_things_stack"}})
    for sender in range(SENDERS):
        address = {"network_connection_id": connection["id"], "network_device_id": f"AA0000000000000{sender}"}
        device = {"id": f"load{sender}", "labels": ["load"], "connectivity": {"connections": [address]}}
        client.api("POST", "devices", device)
    columns = [{"path": column, "type": "number"} for column in COLUMNS]
    client.api("POST", "data-tables", {"name": "load", "selector": "load", "columns": columns})
    table = client.api("POST", "data-tables", {"name": "t", "selector": "nothing", "columns": columns})
    return connection, table["id"]


def metric(client, name):
    text = client.call("GET", "/metrics").body.decode()
    return float(re.search(rf"^{re.escape(name)} (.*)$", text, re.M)[1])
