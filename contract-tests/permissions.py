"""Table of permissions: what each operation answers to each kind of caller. The Rust tests keep it."""

import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parent.parent / "tests/permissions.txt"


def rows():
    lines = [line for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def scopes():
    """The scopes of API keys, each a column."""
    columns = rows()[0]
    return columns[columns.index("read"):]


def table():
    """By operation and caller: `yes`, or the status that refuses."""
    columns, *lines = rows()
    return {line[0]: dict(zip(columns[1:], line[1:], strict=True)) for line in lines}
