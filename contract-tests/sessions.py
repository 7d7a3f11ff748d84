"""Ends of sessions and keys: what was ended opens nothing any more, and nothing else has ended.

`connect` makes a client for a token, or for none: one that spoils, where it is tried out whether this notices.
"""

from cases import problem

ACCOUNT = "/api/v3/auth/token"
PERSON = {"password": "another correct horse"}


def refused(answer):
    return problem(answer, [401]) or (None if answer.headers.get("WWW-Authenticate") else "a 401 without WWW-Authenticate")


def log_out(cases, connect):
    """The session ends, and no other."""
    ended, other = connect(), connect()
    ended.log_in()
    other.log_in()
    cases.check("log out", problem(ended.call("DELETE", ACCOUNT), [200]))
    cases.check("after the log-out", refused(ended.call("GET", ACCOUNT)))
    cases.check("another session after it", problem(other.call("GET", ACCOUNT), [200]))
    cases.check("log out without a token", refused(connect().call("DELETE", ACCOUNT)))


def of_people(cases, connect, maker):
    """Sessions of people who are locked, deleted, or have got another password."""
    changes = {
        "is locked": ("PUT", {"role": "viewer", "locked": True}),
        "has another password": ("PUT", {"role": "viewer", "password": "correct horse battery the second"}),
        "is deleted": ("DELETE", None),
    }
    for what, (method, body) in changes.items():
        name = maker.name()
        user = maker.client.api("POST", "users", {"username": name, "role": "viewer", **PERSON})
        session = connect()
        session.log_in(name, **PERSON)
        cases.check(f"a session before the user {what}", problem(session.call("GET", ACCOUNT), [200]))
        cases.check(f"the user {what}", problem(maker.client.call(method, f"/api/v3/users/{user['id']}", body), [200]))
        cases.check(f"a session after the user {what}", refused(session.call("GET", ACCOUNT)))


def of_tenants(cases, connect, maker):
    name = maker.name()
    tenant = maker.client.api("POST", "tenants", {"name": name, "administrator": {"username": name, **PERSON}})
    session = connect()
    session.log_in(name, **PERSON)
    cases.check("DELETE the tenant", problem(maker.client.call("DELETE", f"/api/v3/tenants/{tenant['id']}"), [200]))
    cases.check("a session after its tenant is deleted", refused(session.call("GET", ACCOUNT)))


def of_keys(cases, connect, maker):
    made = maker.make("api-keys")
    client = connect(made["key"])
    cases.check("an API key", problem(client.call("GET", "/api/v3/devices"), [200]))
    cases.check("DELETE the API key", problem(maker.client.call("DELETE", f"/api/v3/api-keys/{made['id']}"), [200]))
    cases.check("an API key after its deletion", refused(client.call("GET", "/api/v3/devices")))
    cases.check("a part of an API key", refused(connect(maker.make("api-keys")["key"][:-1]).call("GET", "/api/v3/devices")))


def of_networks(cases, connect, maker):
    """Ingest keys: the one before, another connection's, and credentials of another kind."""
    connection, other = maker.network_connection(), maker.network_connection()
    path = f"/api/v3/network-connections/{connection['id']}"
    uplinks, message = f"{path}/uplinks", {"deviceInfo": {"devEui": "3000000000000009"}, "data": "AQ==", "fPort": 1}
    before, renewed = connection["ingest_key"], maker.client.call("POST", f"{path}/ingest-key").json["ingest_key"]
    cases.check("an uplink with its key", problem(connect(renewed).call("POST", uplinks, message), [200]))
    wrong = {
        "the key before": before, "the key of another connection": other["ingest_key"], "a part of the key": renewed[:-1],
        "a session": maker.client.token, "an API key": maker.make("api-keys", scopes=["write"])["key"], "no key": None,
    }
    for what, key in wrong.items():
        cases.check(f"an uplink with {what}", refused(connect(key).call("POST", uplinks, message)))


def run(cases, connect, maker):
    log_out(cases, connect)
    of_people(cases, connect, maker)
    of_tenants(cases, connect, maker)
    of_keys(cases, connect, maker)
    of_networks(cases, connect, maker)
