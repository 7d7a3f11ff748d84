"""State that suite.py and the hooks share by files."""

import atexit
import collections
import json
import os
import pathlib
import types

STATE = json.loads(pathlib.Path(os.environ["CONTRACT_STATE"]).read_text())
HUB = types.SimpleNamespace(port=STATE["port"], certificate=pathlib.Path(STATE["certificate"]))

# Number of times that each operation answered with each status, and how many requests there were of each kind.
SEEN = collections.defaultdict(collections.Counter)

# The ids of the cases whose path leads to something that nothing else takes away.
EXISTING = set()


@atexit.register
def tell_what_was_seen():
    if "CONTRACT_SEEN" in os.environ:
        pathlib.Path(os.environ["CONTRACT_SEEN"]).write_text(json.dumps(SEEN, indent=1))
