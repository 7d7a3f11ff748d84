"""A proxy that spoils what the hub answers, to see whether the contract tests notice.

It speaks plain HTTP on loopback, and TLS to the hub; without a fault it changes nothing.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from seed import Client

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}


class Request:
    def __init__(self, method, path, headers):
        self.method, self.path, self.headers = method, path.partition("?")[0], headers


def edit(answer, change):
    """Changes the answer's JSON."""
    body = json.loads(answer.body)
    change(body)
    answer.body = json.dumps(body).encode()


def is_one(request, resource):
    return re.fullmatch(f"/api/v3/{resource}/[^/]+", request.path) is not None


def status_202(request, answer):
    if request.method == "GET" and request.path == "/api/v3/devices" and answer.status == 200:
        answer.status = 202


def extra_member(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.update(hint="try another id"))


def missing_code(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.pop("code"))


def status_500(request, answer):
    if request.method == "GET" and is_one(request, "data-tables") and answer.status == 200:
        answer.status = 500
        answer.body = b'{"code": 500, "error": "something broke inside"}'


def status_405(request, answer):
    if request.method == "PATCH" and is_one(request, "devices"):
        answer.status = 405
        answer.body = b'{"code": 405, "error": "method not allowed"}'


def undeclared_200(request, answer):
    if request.method == "PATCH" and is_one(request, "devices"):
        answer.status = 200
        answer.body = b"{}"


def no_request_id(request, answer):
    if request.path == "/api/v3/integrations":
        del answer.headers["X-Request-Id"]


def no_challenge(request, answer):
    if answer.status == 401:
        del answer.headers["WWW-Authenticate"]


def wrong_type(request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
        edit(answer, lambda body: body.update(created_at=5))


def wrong_media_type(request, answer):
    if request.method == "GET" and request.path == "/api/v3/data-tables" and answer.status == 200:
        answer.headers.replace_header("Content-Type", "text/html")


def accepts_anything(request, answer):
    if request.method == "GET" and request.path == "/api/v3/devices" and answer.status == 400:
        answer.status = 200
        answer.body = b'{"collection": [], "next_cursor": null}'


# Each fault: what it is, the operations to look at, and how it is planted. Functions change answers;
# the one other puts a valid token into every request.
FAULTS = {
    "an undeclared status, 202 for 200": (["list_devices"], status_202),
    "an error object with one member more": (["get_device"], extra_member),
    "an error object without its code": (["get_device"], missing_code),
    "a 500 with a proper error object": (["get_data_table"], status_500),
    "405 for an undeclared method": (["get_device"], status_405),
    "200 for an undeclared method": (["get_device"], undeclared_200),
    "no X-Request-Id": (["list_integrations"], no_request_id),
    "401 without WWW-Authenticate": (["get_device"], no_challenge),
    "a number where the document says a time": (["get_device"], wrong_type),
    "a media type that is not declared": (["list_data_tables"], wrong_media_type),
    "invalid requests accepted": (["list_devices"], accepts_anything),
    "requests without a token accepted": (["list_devices"], "token"),
}


class Proxy:
    """Stands before the hub while its block runs."""

    def __init__(self, hub, fault, token):
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
                if fault == "token":
                    headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
                    headers["Authorization"] = f"Bearer {token}"
                client = proxy.clients.__dict__.setdefault("client", Client(hub))
                answer = client.call(self.command, self.path, body, headers)
                if callable(fault):
                    fault(Request(self.command, self.path, headers), answer)
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
