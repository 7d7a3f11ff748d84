"""Fixed rules that put stable, made-up values in place of those that differ from run to run.

- A time of the run becomes the time on the story's clock when it was; a time ahead or long before keeps its distance
  from it, in minutes, or in hours from two days on.
- Identifiers that the hub makes (UUIDs of version 7) are numbered in the order in which they are first seen.
- Tokens and keys become `AAAA...EXAMPLE`, with the prefix that says what they are.
- Durations, ages, memory and cursors have one value each.
- Addresses on this machine become the public names in whose place they stand; certificates become placeholders.
"""

import datetime
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
# A time in the name of a file.
STAMP = re.compile(r"(?<=_)\d{8}T\d{6}Z(?=_)")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
# The first milliseconds of the story, as a UUID of version 7 begins with them.
UUID_TIME = "019cad8f-ac00"
SECRETS = {"token", "ingest_key", "key"}
PREFIX = re.compile(r"^(thk|whsec)_")
FIXED = {
    "duration_ms": 42,
    "cpu_time_us": 350,
    "memory_peak_bytes": 262144,
    "lag_s": 0,
    "age_s": 62,
    # By a schedule, and not a time after the request.
    "next_run_at": "2026-03-03T05:00:00Z",
    "next_cursor": "eyJFWEFNUExFIjoiY3Vyc29yIn0",
    "address": "203.0.113.7",
}
# Times before this one are the story's own, such as those of its network servers; it is later than all of them.
STORY_ENDS = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def parse(text):
    # Python 3.10 reads exactly six digits of a second.
    seconds, _, fraction = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    return datetime.datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")


def written(time):
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class Normal:
    def __init__(self, names):
        # Replacements, such as a local address for a public name.
        self.names = dict(names)
        self.marks, self.times, self.uuids = [], {}, {}

    def move_clock(self, shown):
        self.marks.append((now(), shown))

    def time(self, text):
        if text not in self.times:
            self.times[text] = self.shown_time(text)
        return self.times[text]

    def shown_time(self, text):
        time, today = parse(text), now()
        if time < STORY_ENDS:
            return text
        # Network servers and databases round; none of that leads into the time before a mark.
        close = datetime.timedelta(seconds=2)
        if self.marks[0][0] - close <= time <= today + close:
            begun = [shown for real, shown in self.marks if real <= time]
            return written(begun[-1] if begun else self.marks[0][1])
        distance = time - today
        # A certificate is older than the step that it is first seen in, by as long as the hub takes to start.
        unit = datetime.timedelta(hours=1) if abs(distance) > datetime.timedelta(days=2) else datetime.timedelta(minutes=1)
        return written(self.marks[-1][1] + round(distance / unit) * unit)

    def uuid(self, text):
        return self.uuids.setdefault(text, f"{UUID_TIME}-7000-8000-{len(self.uuids) + 1:012x}")

    def text(self, text):
        for real, shown in self.names.items():
            text = text.replace(real, shown)
        text = UUID.sub(lambda found: self.uuid(found[0]), text)
        text = STAMP.sub("20260302T093000Z", text)
        return TIME.sub(lambda found: self.time(found[0]), text)

    def value(self, value, name=None):
        """The value as it is shown; `name` is the member that it is in."""
        if isinstance(value, dict):
            return {key: self.value(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if name in FIXED and value is not None and not isinstance(value, bool):
            return FIXED[name]
        if not isinstance(value, str):
            return value
        return self.text(value)

    def answer(self, value, name=None):
        """An answer of the hub as it is shown: its secrets are withheld as well."""
        if isinstance(value, dict):
            return {key: self.answer(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.answer(part) for part in value]
        if name in SECRETS and isinstance(value, str):
            prefix = PREFIX.match(value)
            return f"{prefix[0] if prefix else ''}{'A' * 36}EXAMPLE="
        return self.value(value, name)
