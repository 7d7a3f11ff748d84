"""Lists: small pages hold what one page holds, in each order and with each filter of the document.

The operations, their orders and their filters are the document's. What a filter must leave, its items tell.
"""

import datetime
import json
import re
import urllib.parse

from cases import filled, problem, referred
from schemas import Document
from seed import LABEL
from several import Several

# A list of at most so many items is read in pages of one, a longer one in so many pages.
PAGES_MAX = 10
# Attempts to read a list that nothing changes meanwhile: what runs in the background may.
ATTEMPTS = 8
PAGING = ("limit", "cursor", "total")
# Members that depend on the time of the request.
MOVING = ("age_s",)
# Lists of which the seed has no two items, and why.
SHORT = {"list_export_runs": "a run ends when its server has been tried for long"}
# Not read here: a file of its own for each page. contract-tests/exports reads them.
FILES = ("application/vnd.apache.parquet",)
TIMES = ("at", "time", "created_at")
# A selector that matches nothing.
NOBODY = "none-has-this-label"
# Members that orders look at, where they have another name.
KEYS = {
    "name": lambda item: item["name"] if "name" in item else item.get("username"),
    "last_seen": lambda item: (item.get("last_data_received") or {}).get("received_at"),
}


def has_label(item, value):
    # Of labels that the items do not have, no one has the one that nobody has.
    return value in item["labels"] if "labels" in item else (False if value == NOBODY else None)


def holds_text(item, value):
    # Which members are searched is the operation's.
    return None if value.lower() in json.dumps(item, ensure_ascii=False).lower() else False


def was_silent(item, value):
    return None if value == 1 else item["last_data_received"] is None


def state_of_health(item, value):
    return (item["health"]["state"] if isinstance(item["health"], dict) else item["health"]) == value


def expires_before(item, value):
    return item["expires_at"] is not None and item["expires_at"] < value


def is_expired(item, value):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    return expires_before(item, now) == (value == "true")


def is_warmer(item, value):
    sign, bound = value.split()[1:]
    number = item["data"].get("temperature")
    return number is not None and (number > int(bound) if sign == ">" else number < int(bound))


# Whether a filter leaves an item, where that is not told by the member of its name; nothing where no member tells it.
TELLS = {
    "selector": has_label,
    "label": has_label,
    "q": holds_text,
    "silent_for_s": was_silent,
    "health": state_of_health,
    "type": lambda item, value: item["settings"]["type"] == value,
    "network_connection_id": lambda item, value: any(
        str(one["network_connection_id"]) == str(value) for one in item["connectivity"]["connections"]),
    "driver": lambda item, value: item["driver"] == value,
    "manufacturer": lambda item, value: any(one["manufacturer"] == value for one in item["supports"]),
    "model": lambda item, value: any(one["model"] == value for one in item["supports"]),
    "expired": is_expired,
    "expires_before": expires_before,
    "filter": is_warmer,
}


def lists(document):
    """Path, operation and parameters by name of each list of the document."""
    for template, item in document["paths"].items():
        operation = item.get("get", {})
        parameters = {one["name"]: one for one in (referred(document, each) for each in operation.get("parameters", []))
                      if one["in"] == "query"}
        if {"limit", "cursor"} <= parameters.keys():
            yield template, operation, parameters


def items_of(answer):
    """The items of a page as texts and, where they are JSON, as values."""
    media_type = answer.headers.get_content_type()
    if media_type == "application/json":
        return answer.json["collection"]
    lines = answer.body.decode().splitlines()
    return [json.loads(line) for line in lines] if media_type == "application/x-ndjson" else lines[1:]


def still(item):
    return {name: value for name, value in item.items() if name not in MOVING} if isinstance(item, dict) else item


def next_page(answer):
    """The path of the next page, or nothing; fails where the body and the header differ."""
    link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("Link", ""))
    if answer.headers.get_content_type() == "application/json":
        cursor = answer.json["next_cursor"]
        named = urllib.parse.parse_qs(link[1].partition("?")[2]).get("cursor") if link else None
        if (named or [None])[0] != cursor:
            raise Broken(f"next_cursor is {cursor}, and Link {answer.headers.get('Link')}")
    return link and link[1]


class Broken(Exception):
    """A rule that a list breaks."""


class List:
    """One list of the hub."""

    def __init__(self, client, path, parameters):
        self.client, self.path, self.parameters = client, path, parameters

    def page(self, query):
        target = query if isinstance(query, str) else f"{self.path}?{urllib.parse.urlencode(query)}"
        answer = self.client.call("GET", target)
        found = problem(answer, [200])
        if found:
            raise Broken(f"{target}: {found} {answer.body[:120]!r}")
        return answer

    def whole(self, query):
        limit = int(self.parameters["limit"]["schema"]["maximum"])
        wanted = query | {"limit": limit} | ({"total": "true"} if "total" in self.parameters else {})
        answer = self.page(wanted)
        items = items_of(answer)
        if next_page(answer):
            raise Broken(f"has more than {limit} items")
        if "total" in wanted and answer.json["total"] != len(items):
            raise Broken(f"has {len(items)} items, and says {answer.json['total']}")
        return [still(item) for item in items]

    def by_pages(self, query, limit, count):
        found, target = [], query | {"limit": limit}
        for _ in range(count + 2):
            answer = self.page(target)
            items = items_of(answer)
            if len(items) > limit:
                raise Broken(f"a page of {limit} has {len(items)} items")
            found += [still(item) for item in items]
            target = next_page(answer)
            if not target:
                return found
        raise Broken(f"{count} items have no end in pages of {limit}")

    def read(self, query):
        """The items, which must be the same in one page and in several."""
        for _ in range(ATTEMPTS):
            before = self.whole(query)
            limit = 1 if len(before) <= PAGES_MAX else -(-len(before) // PAGES_MAX)
            paged = self.by_pages(query, limit, len(before))
            if before == self.whole(query):
                if paged != before:
                    raise Broken(f"pages of {limit} hold {len(paged)} items, not the {len(before)} of one page")
                return before
        raise Broken(f"did not stay the same for once in {ATTEMPTS} attempts")


def values_of(name, schema, items):
    """Values to try of a filter: those of the schema, or those that some items have."""
    if "enum" in schema:
        return schema["enum"]
    if schema.get("type") == "boolean":
        return ["true", "false"]
    objects = [item for item in items if isinstance(item, dict)]
    own = list(dict.fromkeys(str(item[name]) for item in objects if item.get(name) is not None))
    if name == "network_connection_id":
        own = list(dict.fromkeys(
            one[name] for item in objects for one in item["connectivity"]["connections"]))
    if name in ("manufacturer", "model"):
        own = list(dict.fromkeys(one[name] for item in objects for one in item["supports"]))
    labels = [label for item in objects for label in item.get("labels", [])]
    known = {
        "q": [next((item[key] for item in objects for key in ("name", "username") if item.get(key)), "a"), NOBODY],
        "label": labels[:1] or ["none"],
        "selector": [LABEL, NOBODY],
        "filter": ["temperature > 20", "temperature < 20"],
        "silent_for_s": [1, 315360000],
        "expires_before": ["2998-01-01T00:00:00Z"],
    }
    return known.get(name) or own[:3]


def is_left(item, name, value):
    """True if the filter leaves the item: where its members cannot say, nothing is returned."""
    if name in TELLS:
        return TELLS[name](item, value)
    member = item[name]
    text = json.dumps(member) if isinstance(member, bool) else str(member)
    return member is not None and text == str(value)


def held(cases, list_, title, everything, compare):
    """Compares with all items of the list; with those of now, where they have changed meanwhile."""
    try:
        for _ in range(ATTEMPTS):
            found = compare(everything)
            now = found and list_.whole({})
            if not found or now == everything:
                break
            everything = now
        cases.check(title, found)
    except Broken as broken:
        cases.check(title, str(broken))


def filtered(cases, list_, name, value, everything):
    def compare(items):
        left = list_.read({name: value})
        foreign = [item for item in left if item not in items]
        if foreign:
            return f"has items that are not among all: {str(foreign)[:80]}"
        # What the members cannot say is held against nothing.
        wrong = [item for item in items if isinstance(item, dict) and is_left(item, name, value) is (item not in left)]
        return f"is wrong about {str(wrong)[:160]}" if wrong else None

    held(cases, list_, f"GET {list_.path}?{name}={value}", everything, compare)


def time_of(item):
    name = next((name for name in TIMES if item.get(name)), None)
    return datetime.datetime.fromisoformat(item[name]) if name else None


def between(cases, list_, everything):
    """The items from a time and before it: together they are all."""
    middle = sorted(map(time_of, everything))[len(everything) // 2]
    text = middle.isoformat().replace("+00:00", "Z")
    for name, has in (("from", lambda time: time >= middle), ("to", lambda time: time < middle)):
        def compare(items, name=name, has=has):
            left, expected = list_.read({name: text}), [item for item in items if has(time_of(item))]
            return None if left == expected else f"has {len(left)} items, not {len(expected)}"

        held(cases, list_, f"GET {list_.path}?{name}={text}", everything, compare)


def key_of(item, order):
    """What an order looks at, as far as it is a member."""
    name = order.removeprefix("-")
    value = KEYS.get(name, lambda item: item.get(name))(item) if isinstance(item, dict) else None
    if value is None:
        return None
    return datetime.datetime.fromisoformat(value) if re.match(r"\d{4}-\d\d-\d\dT", str(value)) else value


def sorted_(cases, list_, orders, everything):
    """Each order has the same items; one that is turned round has its keys turned round."""
    keys = {}
    for order in orders:
        def compare(all_items, order=order):
            items = list_.read({"sort": order})
            keys[order] = [key_of(item, order) for item in items]
            if sorted(map(repr, items)) != sorted(map(repr, all_items)):
                return f"has {len(items)} items, not the {len(all_items)} of the list"
            known = [key for key in keys[order] if key is not None]
            if not known and all_items and isinstance(all_items[0], dict):
                return "looks at what no item has"
            # How texts are sorted in detail is the database's.
            if all(isinstance(key, datetime.datetime) for key in known):
                is_right = known == sorted(known, reverse=order.startswith("-"))
            else:
                ends = [str(key)[:1].lower() for key in (known[0], known[-1])] if known else []
                is_right = not "".join(ends).isascii() or ends == sorted(ends, reverse=order.startswith("-"))
            return None if is_right else "is not in its order"

        held(cases, list_, f"GET {list_.path}?sort={order}", everything, compare)
    for order in orders:
        if order in keys and f"-{order}" in keys:
            is_turned = keys[order] == keys[f"-{order}"][::-1]
            cases.check(f"GET {list_.path}?sort=-{order} after {order}", None if is_turned else "is not the other way round")


def one_list(cases, client, resolved, path, operation, parameters):
    list_ = List(client, path, parameters)
    try:
        everything = list_.read({})
    except Broken as broken:
        return cases.check(f"GET {path}", str(broken))
    is_short = len(everything) < 2 and operation["operationId"] not in SHORT
    cases.check(f"GET {path}", f"has {len(everything)} items only" if is_short else None)
    for name, parameter in parameters.items():
        schema = resolved.flat(parameter["schema"])
        if name == "sort":
            sorted_(cases, list_, schema["enum"], everything)
        elif name in ("from", "to"):
            # Both at once, at `from`.
            if name == "from" and everything and isinstance(everything[0], dict) and all(map(time_of, everything)):
                between(cases, list_, everything)
        elif name not in PAGING:
            # Columns and units are no filters.
            if name in ("raw", "units"):
                continue
            for value in values_of(name, schema, everything):
                filtered(cases, list_, name, value, everything)
    return None


def run(cases, client, maker, document):
    values, resolved = Several(maker).values, Document(document)
    for template, operation, parameters in lists(document):
        answer = operation["responses"]["200"]
        if set(answer["content"]) & set(FILES):
            continue
        one_list(cases, client, resolved, filled(template, values(template)), operation, parameters)
