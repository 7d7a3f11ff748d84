"""A proxy that spoils what the hub answers, to see whether the contract tests notice.

It speaks plain HTTP on loopback, and TLS to the hub; without a fault it changes nothing. The cases of
direct.py need no proxy: they get a client that spoils.
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


def status_200(request, answer):
    if request.method == "POST" and request.path == "/api/v3/data-tables" and answer.status == 201:
        answer.status = 200


def denies_all(request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
        answer.status = 404
        answer.body = b'{"code": 404, "error": "there is no such device"}'


def status_403(request, answer):
    if is_one(request, "devices") and answer.status == 401:
        answer.status = 403
        edit(answer, lambda body: body.update(code=403))


def extra_member(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.update(hint="try another id"))


def missing_code(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.pop("code"))


def other_code(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        edit(answer, lambda body: body.update(code=400))


def plain_error(request, answer):
    if is_one(request, "devices") and answer.status == 404:
        answer.headers.replace_header("Content-Type", "text/plain")
        answer.body = b"not found"


def status_500_for_400(request, answer):
    if request.path == "/api/v3/devices" and answer.status == 400:
        answer.status = 500
        answer.body = b'{"code": 500, "error": "something broke inside"}'


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


def no_location(request, answer):
    if request.path == "/api/v3/data-tables":
        del answer.headers["Location"]


def no_challenge(request, answer):
    if answer.status == 401:
        del answer.headers["WWW-Authenticate"]


def in_device(change):
    """A fault of the body of every device that is read."""
    def fault(request, answer):
        if request.method == "GET" and is_one(request, "devices") and answer.status == 200:
            edit(answer, change)
    return fault


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
    "a wrong status, 200 for 201": (["create_data_table"], status_200),
    "a wrong status, 404 for what exists": (["get_device"], denies_all),
    "a wrong status, 403 for 401": (["get_device"], status_403),
    "an error object with one member more": (["get_device"], extra_member),
    "an error object without its code": (["get_device"], missing_code),
    "an error object with another code": (["get_device"], other_code),
    "an error that is plain text": (["get_device"], plain_error),
    "a 500 with a proper error object": (["get_data_table"], status_500),
    "a 500 for what is invalid": (["list_devices"], status_500_for_400),
    "405 for an undeclared method": (["get_device"], status_405),
    "200 for an undeclared method": (["get_device"], undeclared_200),
    "no X-Request-Id": (["list_integrations"], no_request_id),
    "201 without Location": (["create_data_table"], no_location),
    "401 without WWW-Authenticate": (["get_device"], no_challenge),
    "a member that is not described": (["get_device"], in_device(lambda body: body.update(hint="new"))),
    "one deeper down": (["get_device"], in_device(lambda body: body["state"].update(hint="new"))),
    "a required member missing": (["get_device"], in_device(lambda body: body.pop("name"))),
    "null where nothing is null": (["get_device"], in_device(lambda body: body.update(name=None))),
    "a number where the document says a time": (["get_device"], in_device(lambda body: body.update(created_at=5))),
    "a media type that is not declared": (["list_data_tables"], wrong_media_type),
    "invalid requests accepted": (["list_devices"], accepts_anything),
    "requests without a token accepted": (["list_devices"], "token"),
}


# Faults of what requests have to do with each other, for the cases of direct.py; `owner` is a client
# of the tenant that has everything.

READ = {}


def lives_on(owner, request, answer):
    if request.method == "GET" and answer.status == 200:
        READ[request.path] = answer
    elif request.method == "GET" and is_one(request, "data-tables") and request.path in READ:
        answer.status, answer.body = 200, READ[request.path].body


def lives_on_below(owner, request, answer):
    if request.method == "GET" and request.path.endswith("/events") and answer.status == 404:
        answer.status, answer.body = 200, b'{"collection": [], "next_cursor": null}'


def foreign_one(owner, request, answer):
    if request.method == "GET" and is_one(request, "devices") and answer.status == 404:
        found = owner.call("GET", request.path)
        answer.status, answer.body = found.status, found.body


def foreign_list(owner, request, answer):
    if request.method == "GET" and request.path == "/api/v3/integrations":
        answer.body = owner.call("GET", request.path).body


def foreign_refusal(owner, request, answer):
    if request.method == "DELETE" and answer.status == 404 and owner.call("GET", request.path).status == 200:
        answer.status = 403
        edit(answer, lambda body: body.update(code=403))


DELETION_FAULTS = {
    "a resource that answers after its deletion": lives_on,
    "what is below it answers after its deletion": lives_on_below,
}
STRANGER_FAULTS = {
    "another tenant's resource": foreign_one,
    "another tenant's resources in a list": foreign_list,
    "403 that tells of another tenant's resource": foreign_refusal,
}


class Spoiled(Client):
    """A client that gets spoiled answers."""

    def __init__(self, client, owner, fault):
        super().__init__(client.hub, client.token)
        self.owner, self.fault = owner, fault

    def call(self, method, path, body=None, headers=None):
        answer = super().call(method, path, body, headers)
        self.fault(self.owner, Request(method, path, headers), answer)
        return answer


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
