"""Runs tests against a changed program: only tests that reach the changed place, the quickest first."""

import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from instrument import REACHED, VARIABLE

# Most tests wait for something most of the time.
AT_ONCE = int(os.environ.get("MUTANTS_AT_ONCE", 2 * os.cpu_count()))
# A test that takes this long, and several times its usual time, waits for something that never comes.
TEST_MAX_S = 60
UNIT_TESTS_MAX_S = 20
# A test that failed this much later than it passes may have been starved.
LATE_S = 5
# A change may make a program take memory without end.
MEMORY_MAX_BYTES = 12 << 30


class Test:
    """One test of a built program."""

    def __init__(self, suite, name):
        self.name, self.suite, self.program, self.folder = name, suite["binary-id"], suite["binary-path"], suite["cwd"]
        self.package = suite["package-name"]
        # Those of one file run in one process, as they share nothing; those of the hub start servers.
        self.is_unit = suite["kind"] != "test"
        self.id = f"{self.suite} {name}"

    def source(self):
        """Returns the file that has the test."""
        root = pathlib.Path(self.folder) / ("src" if self.is_unit else f"tests/{self.suite.split('::')[-1]}")
        parts = self.name.split("::")
        for length in range(len(parts), 0, -1):
            path = root.joinpath(*parts[:length])
            for file in (path.with_suffix(".rs"), path / "mod.rs"):
                if file.is_file():
                    return file
        return next((file for file in (root / "lib.rs", root / "main.rs") if file.is_file()), root)

    @functools.cached_property
    def digest(self):
        file = self.source()
        return hashlib.sha256(file.read_bytes() if file.is_file() else b"").hexdigest()[:16]


def run(tests, variables, limit):
    """Runs tests of one program in one process; returns whether they passed, the seconds, and what they said. Passed is
    None if they did not end."""
    one = tests[0]
    command = ["prlimit", f"--as={MEMORY_MAX_BYTES}:", one.program, "--exact", *(test.name for test in tests)]
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        # A file, because a server that outlives its test would hold a pipe open.
        child = subprocess.Popen(
            command, cwd=one.folder, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )
        try:
            passed = child.wait(limit) == 0
        except subprocess.TimeoutExpired:
            passed = None
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        said.seek(0)
        return passed, time.monotonic() - started, said.read().decode(errors="replace")


def listed(command, filter, root, environment):
    """Returns the tests of a filter of cargo-nextest."""
    command = [*command, "--message-format", "json", "-E", filter]
    found = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True)
    tests = []
    for suite in json.loads(found.stdout)["rust-suites"].values():
        for name, case in suite["testcases"].items():
            if case["filter-match"]["status"] == "matches" and not case["ignored"]:
                tests.append(Test(suite, name))
    return tests


class Reach:
    """The places that each test reaches and the time that it takes, kept until the test's file or the list of changes
    is another one."""

    def __init__(self, path, changes):
        self.path = path
        self.changes = hashlib.sha256("\n".join(change.name for change in changes).encode()).hexdigest()[:16]
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.tests = kept.get(self.changes, {})
        self.lock = threading.Lock()

    def known(self, test):
        found = self.tests.get(test.id)
        return found if found and found["digest"] == test.digest else None

    def measure(self, test):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "reached"
            passed, seconds, said = run([test], {REACHED: str(log)}, 2 * TEST_MAX_S)
            numbers = set(map(int, log.read_text().split())) if log.exists() else set()
        with self.lock:
            if not passed:
                return f"{test.id} fails without a change:\n{said[-2000:]}"
            self.tests[test.id] = {"digest": test.digest, "seconds": round(seconds, 2), "places": sorted(numbers)}
        return None

    def renew(self, tests):
        """Measures the tests that are not known; returns those that fail without a change, with what they say."""
        new = [test for test in tests if not self.known(test)]
        if not new:
            return {}
        print(f"  {len(new)} tests run to see which places they reach", flush=True)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            faults = dict(zip((test.id for test in new), pool.map(self.measure, new)))
        # Perhaps only the machine was crowded.
        faults |= {test.id: self.measure(test) for test in new if faults[test.id]}
        self.path.write_text(json.dumps({self.changes: self.tests}))
        return {test: fault for test, fault in faults.items() if fault}


class Trial:
    """Tries changes with the tests that reach them."""

    def __init__(self, reach, tests):
        self.reach, self.tests = reach, tests
        self.places = {test.id: set(reach.tests[test.id]["places"]) for test in tests}
        # A test that has noticed changes of the file is tried early.
        self.noticed = {}

    def reaching(self, change):
        """Returns the tests that reach a change. Workers of drivers cannot write down what they reach."""
        in_worker = change.file.startswith("crates/driver/")
        return [test for test in self.tests if change.number in self.places[test.id] or (in_worker and not test.is_unit)]

    def seconds(self, test):
        return self.reach.tests[test.id]["seconds"]

    def digest(self, change):
        """Changes when a survivor deserves another look."""
        tests = sorted(f"{test.id} {test.digest}" for test in self.reaching(change))
        return hashlib.sha256("\n".join(tests).encode()).hexdigest()[:16]

    def digest_of(self, by):
        """Changes when the test that noticed a change may have become another; nothing if it is gone."""
        name = by.removesuffix(" (late)")
        return next((test.digest for test in self.tests if test.name == name), None)

    def fails(self, tests, number):
        """Returns whether tests fail with a change. A test that failed late must pass in time without the change on the
        same, perhaps crowded, machine; else both are done again."""
        usual = sum(self.seconds(test) for test in tests)
        are_units = all(test.is_unit for test in tests)
        limit = 5 * usual + (UNIT_TESTS_MAX_S if are_units else TEST_MAX_S)
        for _ in range(3):
            passed, seconds, said = run(tests, {VARIABLE: str(number)}, limit)
            if passed:
                return None
            failed = re.findall(r"^test (\S+) \.\.\. FAILED", said, re.M)
            by = failed[0] if failed else tests[0].name
            if are_units or seconds < 2 * usual + LATE_S:
                return by
            passed, without, _ = run(tests, {}, limit)
            if passed and without < seconds / 2:
                return f"{by} (late)"
        return None

    def result(self, change):
        """Returns what became of a change: the test that noticed it, or that it survived."""
        tests = self.reaching(change)
        units = {}
        for test in tests:
            if test.is_unit:
                units.setdefault(test.program, []).append(test)
        servers = sorted(
            (test for test in tests if not test.is_unit),
            key=lambda test: self.seconds(test) / (1 + self.noticed.get(test.name, 0)),
        )
        for together in [*units.values(), *([test] for test in servers)]:
            if by := self.fails(together, change.number):
                self.noticed[by] = self.noticed.get(by, 0) + 1
                return {"result": "noticed", "by": by, "as": self.digest_of(by)}
        return {"result": "survived", "tests": len(tests), "digest": self.digest(change)}

    def all(self, changes, keep):
        """Tries changes, several at once; hands each result over."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            tried = {pool.submit(self.result, change): change for change in changes}
            try:
                for done in concurrent.futures.as_completed(tried):
                    keep(tried[done], done.result())
            except BaseException:
                for one in tried:
                    one.cancel()
                raise
