"""Cases that no generator makes: requests that the document does not know, and requests that are no
requests. Each must end in an error object with one of the contract's statuses."""

import json
import socket
import ssl

import messages
import pages
import repeats
import replacements
import revisions
import sessions
from cases import RESOURCES, Cases, path_to, paths_with_values, problem, requests_of
from seed import LABEL, Client

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "BREW"]
UNKNOWN_PATHS = [
    "/nothing", "/api", "/api/v3", "/api/v3/", "/api/v3/nothing", "/api/v4/devices", "/api/v3/devices/",
    "/api/v3//devices", "/api/v3/devices/a/b/c/d", "/API/V3/DEVICES", "/api/v3/devices/..%2f..%2fetc",
    "/api/v3/devices/%00", "/api/v3/devices/%ff", "/api/v3/network-connections/99999999999999999999",
    "/api/v3/devices/" + "a" * 4000, "/docs/nothing", "/openapi.json/more",
]


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
            found = problem(answer, [404])
            if is_get:
                read = client.call("GET", path)
                found = problem(answer, [read.status]) or unlike(answer, read)
            cases.check(f"{method} {path}", found)


def unlike(head, read):
    """The difference between the headers of HEAD and those of GET, or nothing."""
    names = [name for name in ("Content-Type", "ETag", "Link", "Cache-Control", "X-Error-Reason")
             if head.headers.get(name) != read.headers.get(name)]
    return f"has another {', '.join(names)} than GET" if names else None


def unknown_paths(cases, client):
    for path in UNKNOWN_PATHS:
        # A path that a route takes but whose value is impossible may be malformed or may not exist.
        cases.check(f"GET {path[:60]}", problem(client.call("GET", path), [400, 404]))


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
    """A deleted resource is not there any more, for any operation."""
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
        # Of its own, a tenant has its administrator alone, and the drivers that are part of the hub.
        foreign = [one for one in collection
                   if one.get("username") != "stranger" and one.get("author") != "thingshub"]
        cases.check(f"another tenant's GET {resource}", None if foreign == [] else f"has {str(foreign)[:60]}")


def refused_below(cases, stranger, viewer, maker):
    """Parts of a resource without an ETag are not taken away by others either."""
    driver, device = maker.path_parameters("drivers"), maker.path_parameters("devices")
    for path in (f"{path_to('drivers', driver)}/tags/{driver['tag']}", f"{path_to('devices', device)}/labels/{LABEL}"):
        cases.check(f"another tenant's DELETE {path}", problem(stranger.call("DELETE", path), [404]))
        cases.check(f"a viewer's DELETE {path}", problem(viewer.call("DELETE", path), [403]))
        cases.check(f"DELETE {path} after that", problem(maker.client.call("DELETE", path), [200]))


def unknown_query_parameters(cases, hub, client, maker, document):
    """Each operation refuses what it does not know, or a typing error would look like success."""
    for request in requests_of(document, client, maker):
        caller = client
        if request.operation == "delete_token":
            caller = Client(hub)
            caller.log_in()
        if request.operation == "create_uplink":
            connection = maker.network_connection()
            request.path = f"/api/v3/network-connections/{connection['id']}/uplinks"
            caller = Client(hub, connection["ingest_key"])
        mark = "&" if "?" in request.path else "?"
        answer = caller.call(request.method, f"{request.path}{mark}unheard_of=1", request.body)
        # Another fault of the request would be a 400, too.
        found = problem(answer, [400]) or (None if "unheard_of" in answer.json["error"] else f"says {answer.json['error']}")
        cases.check(f"{request.method} {request.path} with an unknown query parameter", found)


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


def run(hub, state, maker, document, values):
    client, cases = Client(hub, state["token"]), Cases()
    stranger, viewer = (Client(hub, state["others"][name]) for name in ("stranger", "viewer"))
    # First, while the lists are short.
    pages.run(cases, client, maker, document)
    undeclared_methods(cases, client, document, values)
    unknown_paths(cases, client)
    unknown_query_parameters(cases, hub, client, maker, document)
    sessions.run(cases, lambda token=None: Client(hub, token), maker)
    bad_bodies(cases, hub, client.token)
    deletions(cases, client, maker)
    strangers(cases, client, stranger, maker)
    refused_below(cases, stranger, viewer, maker)
    revisions.run(cases, client, maker, document)
    replacements.run(cases, client, maker, document)
    repeats.run(cases, client, stranger, maker, document)
    messages.run(cases, client, maker, document)
    plain_http(cases, hub)
    unverified_tls(cases, hub)
    return cases
