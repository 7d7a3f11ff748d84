"""Compares schemas of two OpenAPI 3.0 documents.

One question answers for both directions: is every value of one schema a value of the other? What
clients were allowed to send must still be taken, so in requests the old schema must fit into the new
one. What they are answered must be what they were told, so in responses the new one must fit into the
old one. Beyond that, a property that goes away breaks in both, and one that comes breaks in neither
unless a request must have it: objects that are answered may grow.
"""

import math
import re

SMALLER_FORMATS = {("int32", "int64"), ("uint32", "int64"), ("float", "double")}
TYPES = ("array", "boolean", "integer", "number", "object", "string")
MINIMA, MAXIMA = ("minLength", "minItems", "minProperties"), ("maxLength", "maxItems", "maxProperties")
# Of these a schema takes what both of two parts say, which must then be the same.
PLAIN = ("type", "format", "pattern", "multipleOf", "not", "items", "discriminator", "default")
# Texts of each kind that a format has: a pattern that takes all of them takes what the format took.
OF_FORMATS = {
    "date-time": (
        "2019-02-27T15:23:37Z", "2019-02-27t15:23:37z", "2019-02-27T15:23:37.3Z", "2019-02-27T15:23:37.311042999Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-12:45", "2024-02-29T12:00:00Z", "2000-02-29T12:00:00Z",
        *(f"2026-{month:02}-{day:02}T12:00:00Z" for month in (1, 3, 5, 7, 8, 10, 12) for day in range(1, 32)),
        *(f"2026-{month:02}-{day:02}T12:00:00Z" for month in (4, 6, 9, 11) for day in range(1, 31)),
        *(f"2026-02-{day:02}T12:00:00Z" for day in range(1, 29)),
    ),
}


class Document:
    """One document: what a reference leads to, and what a schema says once its parts are put together."""

    def __init__(self, root):
        self.root = root
        # With the schema itself: an id counts only as long as its object lives. Because what is put
        # together is kept, a cycle of schemas is one of the same objects.
        self.known = {}

    def follow(self, node):
        while isinstance(node, dict) and "$ref" in node:
            found = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            node = found
        return node

    def scheme(self, name):
        scheme = self.root.get("components", {}).get("securitySchemes", {}).get(name)
        return scheme and {key: value for key, value in self.follow(scheme).items() if key != "description"}

    def flat(self, schema):
        """The schema without `$ref` and `allOf`."""
        schema = self.follow(schema)
        key = id(schema)
        if key not in self.known:
            # Meets whoever comes here again while the parts are put together: an `allOf` of itself.
            self.known[key] = schema, {}
            self.known[key] = schema, self.put_together(schema)
        return self.known[key][1]

    def put_together(self, schema):
        if not isinstance(schema, dict):
            # `additionalProperties` may be true, which is any value.
            return {}
        own = {key: value for key, value in schema.items() if key != "allOf"}
        parts = [self.flat(part) for part in schema.get("allOf", [])]
        if not parts:
            return own
        whole = own
        for part in parts:
            whole = merge(whole, part)
        # Beside `allOf`, `nullable` means that null is allowed as well.
        whole["nullable"] = bool(own.get("nullable") or all(part.get("nullable") for part in parts))
        return whole

    def forms(self, schema):
        """The forms of a schema: the forms of a union by what tells them apart, or itself alone."""
        flat = self.flat(schema)
        union = flat.get("oneOf") or flat.get("anyOf")
        if not union:
            return [(None, flat)]
        key = "forms", id(flat)
        if key not in self.known:
            base = {name: value for name, value in flat.items() if name not in ("oneOf", "anyOf", "discriminator")}
            forms = []
            for member in union:
                for _, form in self.forms(member):
                    nullable = bool(base.get("nullable") or form.get("nullable"))
                    forms.append((self.tag(flat, member), merge(base, form) | {"nullable": nullable}))
            self.known[key] = flat, forms
        return self.known[key][1]

    def tag(self, union, member):
        """The discriminator's value for a form, or the form's name."""
        reference = member.get("$ref", "")
        name = reference.rsplit("/", 1)[-1]
        discriminator = union.get("discriminator", {})
        for value, target in discriminator.get("mapping", {}).items():
            if target in (reference, name):
                return value
        tag = self.flat(member).get("properties", {}).get(discriminator.get("propertyName"), {})
        values = self.flat(tag).get("enum", []) if tag else []
        return values[0] if len(values) == 1 else name or None


def merge(one, other):
    """A schema whose values are those of both."""
    whole = dict(one)
    for key, value in other.items():
        if key not in whole:
            whole[key] = value
        elif key == "properties":
            both = whole[key].keys() & value.keys()
            whole[key] = whole[key] | value | {name: {"allOf": [whole[key][name], value[name]]} for name in both}
        elif key == "required":
            whole[key] = list(dict.fromkeys(whole[key] + value))
        elif key == "enum":
            whole[key] = [item for item in whole[key] if item in value]
        elif key in MINIMA or key == "minimum":
            whole[key] = max(whole[key], value)
        elif key in MAXIMA or key == "maximum":
            whole[key] = min(whole[key], value)
        elif key in PLAIN and whole[key] != value:
            raise ValueError(f"cannot put together two schemas with different values of {key}: {whole[key]} and {value}")
        elif key in ("oneOf", "anyOf") and whole[key] != value:
            raise ValueError("cannot put together two schemas that are both unions")
        elif key == "additionalProperties" and False in (whole[key], value):
            whole[key] = False
        elif key in ("uniqueItems", "exclusiveMinimum", "exclusiveMaximum"):
            whole[key] = whole[key] or value
    return whole


class Schemas:
    """Finds the breaks between schemas of two documents."""

    def __init__(self, old, new):
        self.old, self.new = Document(old), Document(new)

    def breaks(self, direction, old, new):
        """Pairs of a JSON path and what broke there."""
        return list(dict.fromkeys(self.union(direction, old, new, "$", frozenset())))

    def union(self, direction, old, new, path, active):
        # A schema inside itself is being compared already.
        pair = id(self.old.flat(old)), id(self.new.flat(new))
        if pair in active:
            return
        active |= {pair}
        olds, news = self.old.forms(old), self.new.forms(new)
        if len(olds) == len(news) == 1:
            yield from self.one(direction, olds[0][1], news[0][1], path, active)
            return
        is_request = direction == "request"
        for tag, form in olds if is_request else news:
            def against(other):
                pair = (form, other) if is_request else (other, form)
                return list(self.one(direction, *pair, path, active))

            others = news if is_request else olds
            namesakes = [other for other_tag, other in others if other_tag == tag and tag is not None]
            if namesakes:
                yield from against(namesakes[0])
            elif all(against(other) for _, other in others):
                name = f"the form {tag}" if tag else "one of its forms"
                yield path, f"{name} {'was removed' if is_request else 'is new'}"

    def one(self, direction, old, new, path, active):
        is_request = direction == "request"
        inner, outer = (old, new) if is_request else (new, old)
        changed = "narrowed" if is_request else "widened"
        for keyword, was, now in misfits(old, new, inner, outer):
            yield path, f"{keyword} {changed} from {was} to {now}"
        if is_request and "default" in old and old["default"] != new.get("default"):
            yield path, f"the default changed from {old['default']!r} to {new.get('default', 'none')!r}"
        if "items" in old or "items" in new:
            yield from self.union(direction, old.get("items", {}), new.get("items", {}), f"{path}[]", active)
        yield from self.properties(direction, old, new, path, active)

    def properties(self, direction, old, new, path, active):
        is_request = direction == "request"
        # Read-only members are no part of a request, and write-only ones none of an answer.
        unseen = "readOnly" if is_request else "writeOnly"
        olds, news = (
            {name: schema for name, schema in one.get("properties", {}).items() if not document.flat(schema).get(unseen)}
            for document, one in ((self.old, old), (self.new, new))
        )
        for name, schema in olds.items():
            if name in news:
                yield from self.union(direction, schema, news[name], f"{path}.{name}", active)
            else:
                yield f"{path}.{name}", "was removed"
        was, now = set(old.get("required", [])), set(new.get("required", []))
        for name in sorted((now - was) & set(news) if is_request else (was - now) & set(olds) & set(news)):
            yield f"{path}.{name}", "is required now" if is_request else "is not always there any more"
        was, now = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if is_request and now is False and was is not False and can_be_object(old):
            yield path, "takes no further properties any more"
        # A map's values; what is answered beyond that may grow.
        elif isinstance(was, dict) or is_request and isinstance(now, dict):
            if now is not False and was is not False:
                yield from self.union(direction, was, now, f"{path}.*", active)


def types(schema):
    allowed = {schema["type"]} if "type" in schema else set(TYPES)
    if "number" in allowed:
        allowed.add("integer")
    # A schema without any type takes null as well.
    if schema.get("nullable") or "type" not in schema and "enum" not in schema:
        allowed.add("null")
    return allowed


def can_be_object(schema):
    return "object" in types(schema)


def spell_types(schema):
    return " or ".join(sorted(types(schema) - ({"integer"} if schema.get("type") == "number" else set())))


def lower(schema):
    return schema.get("minimum", -math.inf), bool(schema.get("exclusiveMinimum"))


def upper(schema):
    return schema.get("maximum", math.inf), not schema.get("exclusiveMaximum")


def spell_bound(schema, end):
    bound = schema.get(end)
    return "none" if bound is None else f"{bound} (exclusive)" if schema.get(f"exclusive{end.title()}") else str(bound)


def misfits(old, new, inner, outer):
    """Keyword, old and new value wherever a value of `inner` may be none of `outer`."""
    if not types(inner) <= types(outer):
        yield "type", spell_types(old), spell_types(new)
    if "enum" in outer and not is_within(inner, outer["enum"]):
        yield "enum", old.get("enum", "any value"), new.get("enum", "any value")
    if lower(inner) < lower(outer):
        yield "minimum", spell_bound(old, "minimum"), spell_bound(new, "minimum")
    if upper(inner) > upper(outer):
        yield "maximum", spell_bound(old, "maximum"), spell_bound(new, "maximum")
    for keyword in MINIMA:
        if inner.get(keyword, 0) < outer.get(keyword, 0):
            yield keyword, old.get(keyword, 0), new.get(keyword, 0)
    for keyword in MAXIMA:
        if inner.get(keyword, math.inf) > outer.get(keyword, math.inf):
            yield keyword, old.get(keyword, "none"), new.get(keyword, "none")
    # Deciding if one pattern takes all that another does is not worth it: any other one counts.
    for keyword in ("pattern", "not"):
        if keyword == "pattern" and takes_format(inner, outer):
            continue
        if keyword in outer and spelled_alike(inner.get(keyword)) != spelled_alike(outer[keyword]):
            yield keyword, old.get(keyword, "none"), new.get(keyword, "none")
    one, other = inner.get("format"), outer.get("format")
    if other and one != other and (one, other) not in SMALLER_FORMATS:
        yield "format", old.get("format", "none"), new.get("format", "none")
    if outer.get("uniqueItems") and not inner.get("uniqueItems"):
        yield "uniqueItems", bool(old.get("uniqueItems")), bool(new.get("uniqueItems"))
    step = outer.get("multipleOf")
    if step and ("multipleOf" not in inner or inner["multipleOf"] % step):
        yield "multipleOf", old.get("multipleOf", "none"), new.get("multipleOf", "none")


def takes_format(inner, outer):
    """True if a pattern without a format takes what a format without a pattern took."""
    texts = OF_FORMATS.get(inner.get("format"))
    if not texts or "pattern" in inner or "format" in outer or "pattern" not in outer:
        return False
    return all(re.search(outer["pattern"], text) for text in texts)


def spelled_alike(value):
    r"""A pattern in which each character has one escape: `\u001f` and `\x1f` are the same."""
    return re.sub(r"\\u00([0-9a-f]{2})", r"\\x\1", value) if isinstance(value, str) else value


def is_within(schema, values):
    if "enum" in schema:
        # Equal, and not 1 for true.
        return all(any(type(value) is type(other) and value == other for other in values) for value in schema["enum"])
    return schema.get("type") == "boolean" and {True, False} <= {value for value in values if isinstance(value, bool)}
