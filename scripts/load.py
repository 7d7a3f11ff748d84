"""Load for the benchmarks, and what became of it: what was answered must be what was stored and delivered.

A figure that counts answers alone says nothing: an uplink that is answered as a copy of another stores
nothing. So each round ends with a look into the hub's database and at its receivers, and a benchmark
that finds a difference fails.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import time

from hub import ROOT, Client, Failure, Process, until

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
# Whole ones: wrk takes no others.
SECONDS = max(1, round(float(os.environ.get("BENCH_SECONDS", "6"))))
# Time within which queued messages must arrive after a round.
DRAIN_SECONDS = int(os.environ.get("BENCH_DRAIN_SECONDS", "120"))
PROGRAM = pathlib.Path(
    os.environ.get("HUB") or pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/thingshub"
).absolute()
# The fault that every benchmark must notice, planted by `make bench-check`: uplinks that are copies.
PLANTED = os.environ.get("BENCH_PLANT") == "copies"


def log(text):
    print(text, file=sys.stderr, flush=True)


def example(name):
    """A program of benches/, built like the hub that is measured."""
    program = PROGRAM.parent / "examples" / name
    if not program.is_file():
        raise Failure(f"{program} is missing: run 'cargo build --example {name}'")
    return program


class Receiver(Process):
    """benches/receiver.rs"""

    name = "the receiver"

    def start(self):
        self.child = subprocess.Popen(
            [example("receiver")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.url = self.child.stdout.readline().strip()

    def call(self, method, path):
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            return connection.getresponse().read()

    def forget(self, name):
        """Begins a round: times are those of what comes from now on."""
        self.call("DELETE", f"/to/{name}")

    def report(self, name):
        return json.loads(self.call("GET", f"/to/{name}"))


class Traffic:
    """Requests of wrk, their answers, and the rate."""

    def __init__(self, made, answered, rate, p50_ms, p99_ms):
        self.made, self.answered = int(made), int(answered)
        self.rate, self.p50_ms, self.p99_ms = float(rate), float(p50_ms), float(p99_ms)


def wrk(script, connections, url, *arguments, seconds=SECONDS):
    """Load for some seconds; every answer must be a success."""
    # One thread, which alone knows the latest frame counter.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", ROOT / "benches" / script]
    run = subprocess.run([*command, url, "--", *arguments], check=True, capture_output=True, text=True)
    *figures, failed = re.search(r"RESULT (.*)", run.stdout).group(1).split()
    if int(failed):
        raise Failure(f"{failed} requests to {url} failed:\n{run.stdout}")
    return Traffic(*figures)


def query(hub, statement):
    """One row from a hub's database, past the hub."""
    url = hub.settings.get("database_url")
    if url:
        command = ["psql", "-X", "-A", "-t", "-F", " ", url, "-c", statement]
        output = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        return [int(number) for number in output.split()]
    file = hub.folder / "data/thingshub.db"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)) as database:
        return list(database.execute(statement).fetchone())


def stored(hub):
    """Numbers of uplinks, rows of data tables and deliveries, all at the same moment."""
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in ("uplinks", "data_table_rows", "deliveries"))
    return dict(zip(("uplinks", "rows", "deliveries"), query(hub, f"SELECT {counts}"), strict=True))


def expect(what, found, wanted, why):
    if found != wanted:
        raise Failure(f"{what}: {found:,} instead of {wanted:,}: {why}")


class Subject:
    """Something new that takes uplinks; adds up what it has answered, stored and delivered."""

    def __init__(self, name, url, key, devices, connections):
        self.name, self.key, self.devices, self.connections = name, key, devices, connections
        self.url = url
        self.hub, self.tables, self.integrations = None, 0, 0
        self.receiver, self.paths = None, ()
        self.made = self.answered = 0
        self.outcome = "nothing yet"

    def stores_in(self, hub, tables=0, integrations=0):
        """All uplinks go to so many data tables and integrations of a hub whose database is new."""
        self.hub, self.tables, self.integrations = hub, tables, integrations
        return self

    def delivers_to(self, receiver, *paths):
        """All uplinks arrive on each of these paths."""
        self.receiver, self.paths = receiver, paths
        return self

    def warm(self):
        """Load that gives no figure, until every device has been heard: what the hub keeps ready of them is
        there then, scripts are compiled, connections to receivers made."""
        seconds = 1
        while self.send(seconds).answered < self.devices:
            seconds *= 2
        self.check()

    def send(self, seconds, *pace):
        url = self.url if self.hub is None else self.hub.url + self.url
        traffic = wrk("uplinks.lua", self.connections, url, self.key, str(self.devices), *pace, seconds=seconds)
        self.made += traffic.made
        self.answered += traffic.answered
        return traffic

    def round(self, rate=None):
        """One stretch of load, until all of it has arrived; gives rates and times in milliseconds."""
        pace = [f"{rate:.1f}", str(self.connections)] if rate else []
        for path in self.paths:
            self.receiver.forget(path)
        before = self.receiver.report(self.paths[0])["distinct"] if self.paths else 0
        began_us = time.time() * 1e6
        traffic = self.send(SECONDS, *pace)
        if not traffic.answered and not rate:
            raise Failure(f"{self.name}: nothing was answered within {SECONDS} s; longer rounds say more (BENCH_SECONDS)")
        self.check()
        result = {"answered": traffic.rate, "p50_ms": traffic.p50_ms, "p99_ms": traffic.p99_ms}
        if self.paths:
            report = self.receiver.report(self.paths[0])
            took_s = max(report["last_us"] - began_us, 1) / 1e6
            result |= {"arrived": (report["distinct"] - before) / took_s,
                       "arrival_p50_ms": report["p50_ms"], "arrival_p99_ms": report["p99_ms"]}
        return result

    def check(self):
        """Holds answers, database and receivers against each other. What wrk had under way at the end of
        a round was made and perhaps stored, but its answer was not counted."""
        counts = stored(self.hub) if self.hub else None
        if counts:
            self.check_stored(counts)
        arrived = None
        if self.paths:
            counts, arrived = self.wait_for_arrivals()
        self.outcome = self.summary(counts, arrived)
        log(f"  {self.name}: {self.outcome}")

    def check_stored(self, counts):
        uplinks = counts["uplinks"]
        if not self.answered <= uplinks <= self.made:
            raise Failure(
                f"{self.name}: {self.answered:,} uplinks were answered with success, {uplinks:,} are stored, "
                f"{self.made:,} were sent: what is answered and not stored is a copy, and no figure"
            )
        for what, factor in (("rows", self.tables), ("deliveries", self.integrations)):
            expect(f"{self.name}: {what}", counts[what], uplinks * factor, f"{uplinks:,} uplinks are stored")

    def wait_for_arrivals(self):
        """Waits until everything that is stored has arrived on every path; what has not is a failure. Gives what
        is stored then, which may be more than before: what was under way at the end of a round is, too."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while True:
            found = [self.receiver.report(path)["distinct"] for path in self.paths]
            is_late = time.monotonic() > deadline
            # The database is not asked while most is still to come: that would slow the hub down.
            is_near = min(found) >= self.answered or is_late
            counts = stored(self.hub) if self.hub and is_near else None
            wanted = counts["uplinks"] if counts else self.answered
            # With nothing stored, what was under way at the end may have arrived or not.
            most = wanted if self.hub else self.made
            if is_near and all(wanted <= count <= most for count in found):
                return counts, min(found)
            if is_late:
                raise Failure(
                    f"{self.name}: {self.answered:,} uplinks were answered, {wanted:,} had to arrive at "
                    f"{len(self.paths)} receivers, {found} did within {DRAIN_SECONDS} s"
                )
            time.sleep(0.05)

    def summary(self, counts, arrived):
        parts = [f"{self.answered:,} answered"]
        if counts:
            names = {"uplinks": "stored", "rows": "rows", "deliveries": "deliveries"}
            parts += [f"{count:,} {names[what]}" for what, count in counts.items() if count]
        if arrived is not None:
            parts.append(f"{arrived:,} arrived")
        return ", ".join(parts)


def provision(hub, devices, password=None, targets=(), decoded=False):
    """A connection and its devices; with `decoded`, a driver and a data table too, and an integration for
    each target. Gives the path for uplinks, its key, and a client."""
    client = Client(hub)
    client.log_in(**({"password": password} if password else {}))
    connection = client.api("POST", "network-connections", {"name": "bench", "settings": {"type": "the_things_stack"}})
    driver = ""
    if decoded:
        script = (ROOT / "examples/am102.js").read_text()
        client.api("POST", "drivers", {"author": "milesight", "name": "am102", "tags": ["1"], "script": script})
        client.api("POST", "data-tables", {"name": "climate", "selector": "site=berlin"})
        driver = "milesight/am102:1"
    for number, target in enumerate(targets):
        integration = {"name": f"out-{number}", "selector": "site=berlin", "target": {"type": "http", "url": target}}
        client.api("POST", "integrations", integration)
    lines = ["id,driver,labels,network_connection_id,network_device_id"]
    lines += [f"bench-{n},{driver},site=berlin,{connection['id']},{n:016X}" for n in range(1, devices + 1)]
    import_devices(client, lines)
    return f"/api/v3/network-connections/{connection['id']}/uplinks", connection["ingest_key"], client


def import_devices(client, lines, at_once=None):
    """Imports devices and waits for the end; each line but the first must have made one. `at_once` is the number of
    devices of one file, all by default. Gives when the last file was received."""
    head, *rows = lines
    created, at_once = 0, at_once or max(1, len(rows))
    for first in range(0, len(rows), at_once):
        body = "\n".join([head, *rows[first : first + at_once]]).encode() + b"\n"
        job = client.api("POST", "devices/import", body, {"Content-Type": "application/octet-stream"})
        received = time.monotonic()

        def done():
            found = client.api("GET", f"devices/import/{job['id']}")
            return found if found["state"] in ("done", "failed") else None

        created += until("the import is done", 1800, done, 0.2)["created"]
    devices = client.api("GET", "devices?limit=1&total=true")["total"]
    if not created == devices == len(rows):
        raise Failure(f"{len(rows):,} rows were sent, {created:,} answered as created, {devices:,} are there")
    return received


def memory_mib(hub):
    """Proportional set size of the hub and its driver workers: shared pages count once."""
    children = pathlib.Path(f"/proc/{hub.child.pid}/task").glob("*/children")
    pids = {hub.child.pid, *(int(pid) for file in children for pid in file.read_text().split())}
    kib = 0
    for pid in pids:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        kib += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M).group(1))
    return kib / 1024
