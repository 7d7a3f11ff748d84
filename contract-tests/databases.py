"""Databases of a hub, as the settings that choose them."""

import contextlib
import itertools
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

from hub import database_beside  # noqa: E402

NUMBERS = itertools.count(1)
CLUSTER = "THINGSHUB_TEST_POSTGRES_URL"


@contextlib.contextmanager
def sqlite():
    yield {}


@contextlib.contextmanager
def postgresql():
    """A database of its own beside the one that the URL names, gone when its hub is."""
    with database_beside(os.environ[CLUSTER], f"contract_{os.getpid()}_{next(NUMBERS)}") as url:
        yield {"database_url": url}


DATABASES = {"SQLite": sqlite, "PostgreSQL": postgresql}
