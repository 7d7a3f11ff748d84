"""A proxy that spoils what the hub answers, to see whether the contract tests notice.

It speaks plain HTTP on loopback, and TLS to the hub; without a fault it changes nothing. The cases that
no generator makes need no proxy: they get a client that spoils. A fault is a function that changes an
answer, `Before` with one that changes a request, or `With` one that also sends requests of its own.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from seed import Client

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}


class Request:
    def __init__(self, method, target, headers, body=None):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path = target.partition("?")[0]

    def is_from(self, token):
        return self.headers.get("Authorization") == f"Bearer {token}"

    def comes_from(self, token):
        self.headers = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
        self.headers["Authorization"] = f"Bearer {token}"


class Before:
    """Marks a fault that changes requests before the hub gets them; it is told what suite.py knows."""

    def __init__(self, change):
        self.change = change


class With:
    """Marks a fault that sends requests of its own, as the same caller: it is told how."""

    def __init__(self, change):
        self.change = change


def edit(answer, change):
    """Changes the answer's JSON."""
    body = json.loads(answer.body)
    change(body)
    answer.body = json.dumps(body).encode()


def is_one(request, resource):
    return re.fullmatch(f"/api/v3/{resource}/[^/]+", request.path) is not None


class Spoiled(Client):
    """A client whose requests or answers are spoiled."""

    def __init__(self, client, owner, fault, state):
        super().__init__(client.hub, client.token)
        self.owner, self.fault, self.state = owner, fault, state

    def call(self, method, path, body=None, headers=None):
        request = Request(method, path, {"Authorization": f"Bearer {self.token}"} | (headers or {}), body)
        if isinstance(self.fault, Before):
            self.fault.change(request, self.state)
        answer = super().call(method, request.target, body, request.headers)
        if not isinstance(self.fault, Before):
            self.fault(self.owner, request, answer)
        return answer


class Proxy:
    """Stands before the hub while its block runs."""

    def __init__(self, hub, fault, state):
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                # One handler for whatever method comes.
                try:
                    self.raw_requestline = self.rfile.readline(65537)
                    if not self.raw_requestline:
                        self.close_connection = True
                    elif self.parse_request():
                        self.pass_on()
                except OSError:
                    self.close_connection = True

            def pass_on(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length) if length else None
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
                request = Request(self.command, self.path, headers, body)
                if isinstance(fault, Before):
                    fault.change(request, state)
                client = proxy.clients.__dict__.setdefault("client", Client(hub))
                answer = client.call(request.method, request.target, request.body, request.headers)
                if isinstance(fault, With):
                    own = {"Authorization": request.headers.get("Authorization", "")}
                    fault.change(request, answer, lambda method, path, body=None: client.call(method, path, body, own))
                elif not isinstance(fault, Before):
                    fault(request, answer)
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        # A connection to the hub for each thread, that is for each connection of the tester.
        self.clients = threading.local()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
