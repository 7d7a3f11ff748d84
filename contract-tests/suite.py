"""One run: a hub of its own over TLS with a database of its own, seeded; schemathesis against it; and
what is left to check when that is over."""

import collections
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import direct
import fitting
import refusals
import shares
from databases import sqlite
from seed import ROOT, Client, Maker, seed
from tamper import Proxy

sys.path.insert(0, str(ROOT / "scripts"))

from hub import PASSWORD, Hub, Receiver  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = {
    # The seed's integrations post to a receiver on this machine.
    "outgoing_allow": "127.0.0.0/8",
    # Wrong passwords are what many cases are made of.
    "login_failures_max": 1_000_000,
    # A stream that tells what is there and ends.
    "live_stream_s": 0,
    "log_filter": "warn",
}


@contextlib.contextmanager
def seeded_hub(database=sqlite):
    """A hub with resources, and what hooks.py must know of it."""
    with (
        tempfile.TemporaryDirectory(prefix="thingshub-contract.") as folder,
        Receiver() as receiver,
        database() as place,
    ):
        with Hub(folder, **SETTINGS, **place) as hub:
            state = seed(hub, receiver.url)
            state |= {"port": hub.port, "certificate": str(hub.certificate), "password": PASSWORD}
            yield hub, state


def run_schemathesis(hub, state, seed_number, examples, operations=(), phases=None, fault=None, output=None):
    """Gives schemathesis's exit status, its report, and the statuses seen by operation."""
    folder = hub.folder
    (folder / "state.json").write_text(json.dumps(state))
    environment = os.environ | {
        "CONTRACT_STATE": str(folder / "state.json"),
        "CONTRACT_SEEN": str(folder / "seen.json"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with contextlib.ExitStack() as stack:
        origin = hub.url
        if fault is not None:
            origin = stack.enter_context(Proxy(hub, fault, state)).url
        command = [
            HERE / ".venv/bin/schemathesis", "--config-file", HERE / "schemathesis.toml",
            "run", f"{hub.url}/openapi.json", "--origin", origin, "--tls-verify", hub.certificate,
            "--seed", seed_number, "--max-examples", examples, "--no-color",
            "--report", "json", "--report-json-path", folder / "report.json",
        ]
        command += ["--phases", phases] if phases else []
        for operation in operations:
            command += ["--include-operation-id", operation]
        status = subprocess.run(
            list(map(str, command)), cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode
    report, seen = folder / "report.json", folder / "seen.json"
    return (
        status,
        json.loads(report.read_text()) if report.exists() else {},
        json.loads(seen.read_text()) if seen.exists() else {},
    )


def operations_of(document):
    for path, item in document["paths"].items():
        for method in item:
            yield f"{method.upper()} {path}"


def values(state):
    """For direct.py: the values of a path's parameters that lead to something."""
    def of(template):
        resource = template.split("/{", 1)[0].rsplit("/", 1)[-1]
        resource = "device-imports" if resource == "import" else resource
        return state["sets"]["kept"].get(resource, [{}])[0]
    return of


# Hypothesis gives up on choices that end differently the second time, as they do when a list has
# grown by then: how soon is chance. A few rounds make up for it.
SCENARIO_ROUNDS_MAX = 6


def never_succeeded(seen, operations):
    return [f"{operation} never succeeded: {dict(seen[operation])}"
            for operation in operations if not {"200", "201"} & set(seen[operation])]


@contextlib.contextmanager
def watched_hub(problems, database):
    """A seeded hub that must neither log errors nor lose the sessions of the run."""
    with seeded_hub(database) as (hub, state):
        yield hub, state
        people = {"its own": state["token"], **state["others"], "editor": state["callers"]["editor"]}
        for who, token in people.items():
            if Client(hub, token).call("GET", "/api/v3/auth/token").status != 200:
                problems.append(f"a session of the run was lost on the way: {who}")
        problems += [f"the hub logged: {line}" for line in hub.complaints()[:20]]


def whole(seed_number, examples, database):
    """Everything on one database; gives the list of what is wrong, how many cases there were, and how often
    each rule of refusals.py was needed."""
    problems, seen = [], collections.defaultdict(collections.Counter)

    def run_phases(hub, state, phases, number):
        status, _, statuses = run_schemathesis(hub, state, number, examples, phases=phases)
        if status != 0:
            problems.append(f"schemathesis ended with status {status} in {phases} with the seed {number}")
        for operation, counts in statuses.items():
            seen[operation].update(counts)

    with watched_hub(problems, database) as (hub, state):
        client = Client(hub, state["token"])
        document = client.call("GET", "/openapi.json").json
        maker = Maker(client, "direct", state["receiver_url"])
        cases = direct.run(hub, state, maker, document, values(state))
        stranger = Client(hub, state["others"]["stranger"])
        seen["rules"].update(fitting.run(cases, client, stranger, maker, document))
        print(f"direct cases: {cases.passed} passed, {len(cases.failures)} failed", flush=True)
        problems += cases.failures
        run_phases(hub, state, "examples,coverage,fuzzing", seed_number)
    scenarios, singles, others = seen["scenarios"], seen["single requests"], seen["other identities"]
    for number in range(seed_number, seed_number + SCENARIO_ROUNDS_MAX):
        with watched_hub(problems, database) as (hub, state):
            run_phases(hub, state, "stateful", number)
        if problems or scenarios["requests"] >= 4 * examples:
            break
    # Refusals alone would prove nothing of an operation, and neither would scenarios that end early.
    problems += never_succeeded(seen, operations_of(document))
    problems += shares.too_small(seen, document)
    if not others["requests"]:
        problems.append("nothing was tried as somebody else")
    if scenarios["requests"] < examples:
        problems.append(f"the scenarios ended after {scenarios['requests']} requests")
    print(f"requests: {singles['requests']} single ones, {scenarios['requests']} in scenarios; "
          f"{others['requests']} repeated as somebody else")
    # Requests of others repeat cases; they are none of their own.
    count = cases.passed + len(cases.failures) + singles["requests"] + scenarios["requests"]
    return problems, count, {name: seen["rules"][name] for name in refusals.names()}
