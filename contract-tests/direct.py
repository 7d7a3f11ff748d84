"""Cases that no generator makes: requests that the document does not know, and requests that are no
requests. Each must end in an error object with one of the contract's statuses."""

import json
import socket
import ssl

from seed import Client

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "BREW"]
UNKNOWN_PATHS = [
    "/nothing", "/api", "/api/v3", "/api/v3/", "/api/v3/nothing", "/api/v4/devices", "/api/v3/devices/",
    "/api/v3//devices", "/api/v3/devices/a/b/c/d", "/API/V3/DEVICES", "/api/v3/devices/..%2f..%2fetc",
    "/api/v3/devices/%00", "/api/v3/devices/%ff", "/api/v3/network-connections/99999999999999999999",
    "/api/v3/devices/" + "a" * 4000, "/docs/nothing", "/openapi.json/more",
]


# What the seed's makers make, by the path below which it lives, with what there is to read below each.
RESOURCES = {
    "network-connections": ["events"],
    "drivers": [],
    "devices": ["uplinks", "events"],
    "data-tables": ["rows", "rows.csv"],
    "integrations": ["deliveries"],
    "users": [],
    "api-keys": [],
}


def path_to(resource, parameters):
    # A tag is below the driver, and a label below the device.
    return "/".join(["/api/v3", resource, *(str(value) for name, value in parameters.items() if name not in ("tag", "label"))])


def problem(answer, statuses):
    """What the contract has against an answer, or nothing."""
    if answer.status not in statuses:
        return f"answered {answer.status}, not {' or '.join(map(str, statuses))}"
    if not answer.headers.get("X-Request-Id"):
        return f"a {answer.status} without X-Request-Id"
    if answer.status < 400 or answer.body is None:
        return None
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or sorted(body) != ["code", "error"] or body["code"] != answer.status \
            or not isinstance(body["error"], str) or not body["error"]:
        return f"a {answer.status} whose body is no error object: {answer.body[:80]!r}"
    return None


class Cases:
    """Runs cases and keeps count."""

    def __init__(self):
        self.passed, self.failures = 0, []

    def check(self, name, found):
        if found:
            self.failures.append(f"{name}: {found}")
        else:
            self.passed += 1


def paths_with_values(document, values):
    """Every path of the document, below its server's path, with values that exist in place of its parameters."""
    prefix = document.get("servers", [{}])[0].get("url", "")
    prefix = prefix if prefix.startswith("/") else "/" + prefix.split("://", 1)[-1].partition("/")[2]
    for template, item in document["paths"].items():
        path = template
        for name, value in values(template).items():
            path = path.replace("{" + name + "}", str(value))
        yield prefix.rstrip("/") + path, {method.upper() for method in item}


def undeclared_methods(cases, client, document, values):
    for path, declared in paths_with_values(document, values):
        for method in METHODS:
            if method in declared:
                continue
            answer = client.call(method, path)
            # HTTP knows HEAD as GET without the body (RFC 9110, 9.3.2), so it is allowed where GET is;
            # and it has no body that could hold an error object.
            is_get = method == "HEAD" and "GET" in declared
            if method == "HEAD":
                answer.body = None
            cases.check(f"{method} {path}", problem(answer, [200] if is_get else [404]))


def unknown_paths(cases, client):
    for path in UNKNOWN_PATHS:
        # A path that a route takes but whose value is impossible may be malformed or may not exist.
        cases.check(f"GET {path[:60]}", problem(client.call("GET", path), [400, 404]))


def log_out(cases, hub):
    """The session ends, and no other."""
    ended, other = Client(hub), Client(hub)
    ended.log_in()
    other.log_in()
    cases.check("log out", problem(ended.call("DELETE", "/api/v3/auth/token"), [200]))
    answer = ended.call("GET", "/api/v3/auth/token")
    cases.check("after the log-out", problem(answer, [401])
                or (None if answer.headers.get("WWW-Authenticate") else "a 401 without WWW-Authenticate"))
    cases.check("another session after it", problem(other.call("GET", "/api/v3/auth/token"), [200]))
    cases.check("log out without a token", problem(Client(hub).call("DELETE", "/api/v3/auth/token"), [401]))


def bad_bodies(cases, hub, token):
    bodies = {
        "no JSON": b"{",
        "no body": b"",
        "invalid UTF-8": b'{"name": "\xff"}',
        "a lone surrogate": b'{"name": "\\ud800"}',
        "a NUL": b'{"name": "a\\u0000b"}',
        "deep JSON": b"[" * 100_000,
        "10 MiB": b'{"name": "' + b"a" * 10 * 2**20 + b'"}',
    }
    for path in ("auth/token", "devices", "drivers", "data-tables", "integrations", "network-connections"):
        for what, body in bodies.items():
            cases.check(f"POST {path} with {what}", refused(hub, token, path, body))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        cases.check(f"POST {path} with a form", refused(hub, token, path, b"name=a", form))


def refused(hub, token, path, body, headers=None):
    # A connection for each: the hub may close one whose body it did not care to read.
    try:
        return problem(Client(hub, token).call("POST", f"/api/v3/{path}", body, headers), [400])
    except OSError as error:
        return f"no answer: {error!r}"


def deletions(cases, client, maker):
    """What was deleted is not there any more, for whatever looks at it."""
    for resource in RESOURCES:
        path = path_to(resource, maker.path_parameters(resource))
        below = [path] + [f"{path}/{name}" for name in RESOURCES[resource]]
        for each in below:
            cases.check(f"GET {each}", problem(client.call("GET", each), [200]))
        cases.check(f"DELETE {path}", problem(client.call("DELETE", path), [200]))
        for each in below:
            cases.check(f"GET {each} after its deletion", problem(client.call("GET", each), [404]))
        cases.check(f"DELETE {path} again", problem(client.call("DELETE", path), [404]))


def strangers(cases, owner, stranger, maker):
    """Another tenant's resources cannot be told from ones that do not exist."""
    for resource in RESOURCES:
        path = path_to(resource, maker.path_parameters(resource))
        for each in [path] + [f"{path}/{name}" for name in RESOURCES[resource]]:
            cases.check(f"another tenant's GET {each}", problem(stranger.call("GET", each), [404]))
        cases.check(f"another tenant's DELETE {path}", problem(stranger.call("DELETE", path), [404]))
        cases.check(f"its own tenant's GET {path}", problem(owner.call("GET", path), [200]))
        collection = stranger.call("GET", f"/api/v3/{resource}").json.get("collection")
        # Of its own, a tenant has its administrator alone.
        foreign = [one for one in collection if one.get("username") != "stranger"]
        cases.check(f"another tenant's GET {resource}", None if foreign == [] else f"has {str(foreign)[:60]}")


def plain_http(cases, hub):
    """Over plain HTTP there is no resource at all."""
    with socket.create_connection(("127.0.0.1", hub.port), 10) as connection:
        connection.sendall(b"GET /api/v3/devices HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body) if body.startswith(b"{") else {}
    is_right = head.startswith(b"HTTP/1.1 400") and sorted(error) == ["code", "error"] and error["code"] == 400
    cases.check("plain HTTP", None if is_right else f"answered {answer[:120]!r}")


def unverified_tls(cases, hub):
    """Proves that the run itself checks the certificate: without it, the connection is refused."""
    try:
        with socket.create_connection(("127.0.0.1", hub.port), 10) as connection:
            with ssl.create_default_context().wrap_socket(connection, server_hostname="127.0.0.1"):
                cases.check("unknown certificate", "it was trusted without the hub's own file")
    except ssl.SSLCertVerificationError:
        cases.check("unknown certificate", None)


def run(hub, client, stranger, maker, document, values):
    cases = Cases()
    undeclared_methods(cases, client, document, values)
    unknown_paths(cases, client)
    log_out(cases, hub)
    bad_bodies(cases, hub, client.token)
    deletions(cases, client, maker)
    if stranger:
        strangers(cases, client, stranger, maker)
    plain_http(cases, hub)
    unverified_tls(cases, hub)
    return cases
