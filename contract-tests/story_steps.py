"""The steps of the story, as they are written in `openapi/story/*.yaml`, and the values in their requests.

`${name.member}` stands for a part of the answer that an earlier step kept `as: name`. `${now}`, `${now-7d}` and
`${now+1h}` are times. `${file:path}` is a file of the repository, and `${certificate}` and `${private_key}` are
made for each run.
"""

import dataclasses
import datetime
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "openapi/story"

PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
MOMENT = re.compile(r"now(?:([+-]\d+)([smhd]))?")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Loader(yaml.SafeLoader):
    """Reads times as text, as JSON has them."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


@dataclasses.dataclass
class Step:
    """One request. Without `example` it only prepares what others need, and is not shown."""

    operation: str
    where: str
    example: str | None = None
    summary: str = ""
    # Moves the clock of the story; everything before has settled by then.
    at: str | None = None
    auth: str = "session"
    path: dict = dataclasses.field(default_factory=dict)
    query: dict = dataclasses.field(default_factory=dict)
    body: object = None
    # A body that is no JSON, with the name of the file that it is in; or the placeholder of one.
    text: str | None = None
    file: str | None = None
    media_type: str | None = None
    # Text to show in place of bytes.
    shown: str | None = None
    save_as: str | None = None
    keep: str | None = None
    # Repeats the request until these members of the answer have these values.
    until: dict = dataclasses.field(default_factory=dict)


def read():
    """All steps, in order."""
    steps, names = [], set()
    for chapter in sorted(CHAPTERS.glob("*.yaml")):
        for number, written in enumerate(yaml.load(chapter.read_text(), Loader), 1):
            written = {("keep" if name == "as" else name): value for name, value in written.items()}
            step = Step(**written, where=f"{chapter.name}, step {number}")
            if step.example:
                if (step.operation, step.example) in names:
                    raise ValueError(f"{step.where}: {step.operation} has an example {step.example!r} already")
                if not step.summary:
                    raise ValueError(f"{step.where}: an example needs a summary")
                names.add((step.operation, step.example))
            steps.append(step)
    return steps


def moment(text):
    offset, unit = MOMENT.fullmatch(text).groups()
    shift = datetime.timedelta(**{UNITS[unit]: int(offset)}) if unit else datetime.timedelta()
    return (datetime.datetime.now(datetime.timezone.utc) + shift).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def member(value, path):
    """Looks up `collection.0.id` in an answer."""
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


class Values:
    """Values of placeholders."""

    def __init__(self, made):
        self.kept = dict(made)

    def look_up(self, text):
        if MOMENT.fullmatch(text):
            return moment(text)
        if text.startswith("file:"):
            return (ROOT / text.removeprefix("file:")).read_text()
        name, *path = text.split(".")
        return member(self.kept[name], path)

    def fill(self, value):
        """Puts values in place of all placeholders; one that stands alone keeps the type of its value."""
        if isinstance(value, dict):
            return {name: self.fill(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.fill(part) for part in value]
        if not isinstance(value, str):
            return value
        whole = PLACEHOLDER.fullmatch(value)
        if whole:
            return self.look_up(whole[1])
        return PLACEHOLDER.sub(lambda found: str(self.look_up(found[1])), value)
