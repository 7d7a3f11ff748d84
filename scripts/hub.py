"""Starts a hub of its own in a fresh folder and speaks with it as any client would.

For what needs a running hub: `make demo`, the contract tests, the benchmark. Standard library only.
"""

import contextlib
import http.client
import json
import os
import pathlib
import queue
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"


class Failure(Exception):
    """A message for a person; no traceback helps."""


def until(what, seconds, condition, between=0.02):
    """Waits until `condition` gives something, and gives it; fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s in vain: {what}")
        time.sleep(between)


def free_port():
    """A port below the range that the kernel uses for outgoing connections."""
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure("no free port")


def end_with_signals():
    """Lets SIGTERM unwind as Ctrl-C does, so that everything that was started is stopped."""

    def stop(number, _):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


class Process:
    """A child that never outlives the block that started it."""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise Failure(f"{self.name} did not stop on SIGTERM within 30 s") from None


class Hub(Process):
    """A hub on a free port, with its data in `folder`."""

    name = "the hub"

    def __init__(self, folder, program=None, **settings):
        self.folder = pathlib.Path(folder)
        self.program = pathlib.Path(program or os.environ.get("HUB") or ROOT / "target/debug/thingshub")
        self.settings = settings
        # True where it is harmed on purpose.
        self.may_complain = False
        self.log = self.folder / "hub.log"
        self.certificate = self.folder / "data/tls/cert.pem"

    def start(self):
        if not self.program.is_file():
            raise Failure(f"{self.program} is missing: run 'cargo build'")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        # A setting of the caller's own hub must not reach this one.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("THINGSHUB_")}
        settings = {"listen": f"127.0.0.1:{self.port}", "data_dir": self.folder / "data", "admin_password": PASSWORD}
        for name, value in (settings | self.settings).items():
            environment[f"THINGSHUB_{name.upper()}"] = str(value)
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [self.program, "serve"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until("the hub is ready", 30, self.is_ready)
        except BaseException:
            self.stop()
            sys.stderr.write(self.log.read_text(errors="replace")[-4000:])
            raise

    def is_ready(self):
        if self.child.poll() is not None:
            raise Failure(f"the hub ended with status {self.child.returncode}")
        try:
            return Client(self).call("GET", "/readyz").status == 200
        except OSError:
            return False

    def __exit__(self, kind, *more):
        super().__exit__(kind, *more)
        if kind is None and not self.may_complain and self.complaints():
            raise Failure("the hub complains: " + "\n".join(self.complaints()[:20]))

    def stop(self):
        super().stop()
        if self.child.returncode != 0:
            raise Failure(f"the hub ended with status {self.child.returncode}")

    def complaints(self):
        """Lines of the log that somebody must look into."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if " ERROR " in line or "panicked" in line]


class Receiver(Process):
    """The program that stands for whatever an integration feeds."""

    name = "the receiver"

    def start(self):
        self.child = subprocess.Popen(
            [sys.executable, ROOT / "scripts/receiver"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.messages = queue.SimpleQueue()
        # A pipe that nobody empties would hold up whoever posts.
        threading.Thread(target=self.read, daemon=True).start()
        self.url = self.next(10)["url"]

    def read(self):
        for line in self.child.stdout:
            self.messages.put(line)

    def next(self, seconds):
        """The next message it got; fails when none comes in time."""
        try:
            return json.loads(self.messages.get(timeout=seconds))
        except queue.Empty:
            raise Failure(f"the receiver got nothing within {seconds} s") from None


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Peak:
    """The most memory of the hub in the block."""

    def __init__(self, hub):
        self.process = pathlib.Path(f"/proc/{hub.child.pid}")

    def __enter__(self):
        # Makes the kernel forget the peak so far.
        (self.process / "clear_refs").write_text("5")
        return self

    def __exit__(self, *_):
        status = (self.process / "status").read_text().splitlines()
        self.kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def peaks(hub, small, large, growth_max_kib, turns=5):
    """The most memory of the hub, in KiB, while `small` and while `large` run, which do the same with less and with more.

    The allocator keeps and gives back memory when it likes, so one reading is up to 10 MiB off. What needs memory for its
    input needs it every time: the least readings of some turns are compared when those of the first are too far apart.
    """
    # The first time fills caches.
    small()
    least = [sys.maxsize, sys.maxsize]
    for _ in range(turns):
        for number, work in enumerate((small, large)):
            with Peak(hub) as peak:
                work()
            least[number] = min(least[number], peak.kib)
        if least[1] - least[0] <= growth_max_kib:
            break
    return least


class Client:
    """One connection to a hub, whose certificate is checked."""

    def __init__(self, hub, token=None):
        self.hub, self.token = hub, token
        self.connection = None

    def connect(self):
        # The certificate is made when the hub first starts, so before it there is nobody to trust.
        if not self.hub.certificate.is_file():
            raise ConnectionRefusedError
        context = ssl.create_default_context(cafile=self.hub.certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.hub.port, timeout=30, context=context)

    def call(self, method, path, body=None, headers=None):
        """Any request, any answer."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        # A server that says something before it is asked has closed an idle connection.
        if self.connection and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection = None
        self.connection = self.connection or self.connect()
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except BaseException:
            self.connection = None
            raise
        if response.will_close:
            self.connection = None
        return answer

    def api(self, method, path, body=None, headers=None):
        """A request to the API that must succeed; gives what the answer holds."""
        answer = self.call(method, "/api/v3/" + path, body, headers)
        if answer.status not in (200, 201):
            raise Failure(f"{method} /api/v3/{path} answered {answer.status}: {answer.body.decode(errors='replace')}")
        return answer.json if answer.headers.get_content_type() == "application/json" else answer.body.decode()

    def log_in(self, username="admin", password=PASSWORD):
        self.token = self.api("POST", "auth/token", {"username": username, "password": password})["token"]
        return self.token


def uplink(name):
    """A message of a real network server, from the test data."""
    return (ROOT / "tests/uplinks" / name).read_bytes()


def tell(url, command):
    """Sends a command to PostgreSQL."""
    subprocess.run(["psql", "-q", url, "-c", command], check=True, stdin=subprocess.DEVNULL)


def url_beside(url, name):
    """URL of another database of the same server."""
    return re.sub(r"/[^/?]*(\?|$)", rf"/{name}\1", url, count=1) if "?" in url else f"{url.rsplit('/', 1)[0]}/{name}"


@contextlib.contextmanager
def database_beside(url, name):
    """A PostgreSQL database of its own, beside the one that the URL names; gives its URL."""
    tell(url, f"CREATE DATABASE {name}")
    try:
        yield url_beside(url, name)
    finally:
        tell(url, f"DROP DATABASE {name} WITH (FORCE)")
