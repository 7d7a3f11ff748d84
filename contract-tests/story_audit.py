"""Holds the audit log against the document: each operation that changes something leaves an entry with its name."""

from hub import Client, Failure

READS = {"GET", "HEAD"}
# Operations with other methods that leave no entry, and why.
SESSION = "sessions and stream keys are in the log of the hub"
TRIAL = "a trial changes nothing"
UNAUDITED = {
    "create_stream_key": SESSION,
    "create_token": SESSION,
    "create_uplink": "an uplink is data, not a change",
    "delete_token": SESSION,
    "test_integration": TRIAL,
    "test_network_connection": TRIAL,
    "test_scheduled_export": TRIAL,
    "try_driver": TRIAL,
}


def audited(hub):
    """The operations that the audit log names."""
    client = Client(hub)
    client.log_in()
    actions, cursor = set(), ""
    while cursor is not None:
        page = client.api("GET", f"audit-log?limit=200{cursor}")
        actions.update(entry["action"] for entry in page["collection"])
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    return actions


def check(hub, operations):
    """Fails unless exactly the operations that change something have left an entry."""
    found = audited(hub)
    changing = {name for name, operation in operations.items() if operation.method not in READS}
    wrong = [f"{name} left no entry in the audit log" for name in sorted(changing - found - UNAUDITED.keys())]
    wrong += [f"{name} left an entry in the audit log, but {reason}"
              for name, reason in sorted(UNAUDITED.items()) if name in found]
    wrong += [f"{name} is no operation" for name in sorted(UNAUDITED.keys() - operations.keys())]
    wrong += [f"{name} left an entry in the audit log, but changes nothing" for name in sorted(found - changing)
              if name in operations]
    if wrong:
        raise Failure("\n".join(wrong))
