"""Each rule of breaking.py, in both directions: a pair of documents, and what must be said of it."""

import pytest
from breaking import breaks

TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
TOKEN = {"token": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-Key"}}


def document(request=TEXT, answer=TEXT, schemas=(), schemes=TOKEN, path="/a", **operation):
    """One operation, `POST /a`."""
    operation = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
    } | operation
    components = {"schemas": dict(schemas), "securitySchemes": schemes}
    return {"openapi": "3.0.0", "paths": {path: {"post": operation}}, "components": components}


def thing(required=(), **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


def closed(required=(), **properties):
    return thing(required, **properties) | {"additionalProperties": False}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def words(*values):
    return {"type": "string", "enum": list(values)}


def union(*kinds, tell_apart=True):
    """Forms told apart by `type`."""
    made = {"oneOf": [thing(["type"], type=words(kind), **{kind: TEXT}) for kind in kinds]}
    return made | ({"discriminator": {"propertyName": "type"}} if tell_apart else {})


# Schemas that take fewer and more values, by what is said of the path at which they differ. In a
# request the way from the wider to the narrower breaks, in an answer the way back, and no other.
NARROWER_AND_WIDER = {
    "$: type": [
        (INTEGER, NUMBER),
        (TEXT, TEXT | {"nullable": True}),
        (TEXT, {}),
        ({"allOf": [ref("Name")]}, {"allOf": [ref("Name")], "nullable": True}),
    ],
    "$: enum": [(words("a"), words("a", "b")), (words("a"), TEXT), ({"enum": [1]}, {"enum": [1, True]})],
    "$: minLength": [(TEXT | {"minLength": 1}, TEXT), (TEXT | {"minLength": 2}, TEXT | {"minLength": 1})],
    "$: maxLength": [(TEXT | {"maxLength": 1}, TEXT), (TEXT | {"maxLength": 1}, TEXT | {"maxLength": 2})],
    "$: minimum": [
        (NUMBER | {"minimum": 1}, NUMBER | {"minimum": 0}),
        (NUMBER | {"minimum": 1, "exclusiveMinimum": True}, NUMBER | {"minimum": 1}),
    ],
    "$: maximum": [
        (NUMBER | {"maximum": 1}, NUMBER),
        (NUMBER | {"maximum": 1, "exclusiveMaximum": True}, NUMBER | {"maximum": 1}),
    ],
    "$: multipleOf": [(INTEGER | {"multipleOf": 4}, INTEGER | {"multipleOf": 2}), (INTEGER | {"multipleOf": 2}, INTEGER)],
    "$: pattern": [(TEXT | {"pattern": "^a$"}, TEXT)],
    "$: format": [(TEXT | {"format": "uuid"}, TEXT), (INTEGER | {"format": "int32"}, INTEGER | {"format": "int64"})],
    "$: not": [({"not": TEXT}, {})],
    "$: minItems": [({"type": "array", "items": TEXT, "minItems": 1}, {"type": "array", "items": TEXT})],
    "$: maxItems": [({"type": "array", "items": TEXT, "maxItems": 1}, {"type": "array", "items": TEXT})],
    "$: uniqueItems": [({"type": "array", "items": TEXT, "uniqueItems": True}, {"type": "array", "items": TEXT})],
    "$: maxProperties": [({"type": "object", "maxProperties": 1}, {"type": "object"})],
    "$[]: type": [({"type": "array", "items": INTEGER}, {"type": "array", "items": NUMBER})],
    "$.a: type": [(thing(a=INTEGER), thing(a=NUMBER)), (thing(["a"], a=INTEGER), thing(["a"], a=NUMBER))],
    "$.a[].b: type": [tuple(thing(a={"type": "array", "items": thing(b=kind)}) for kind in (INTEGER, NUMBER))],
    "$.*: type": [tuple({"type": "object", "additionalProperties": kind} for kind in (INTEGER, NUMBER))],
    "$.a: is": [(thing(["a"], a=TEXT), thing(a=TEXT))],
    "$: the form b": [(union("a"), union("a", "b")), (union("a", "c"), union("a", "b", "c"))],
    "$: one of its forms": [(union("a", tell_apart=False), union("a", "b", tell_apart=False)), (INTEGER, {"anyOf": [TEXT, INTEGER]})],
    "$.a: enum": [
        tuple({"oneOf": [thing(["t"], t=words("x"), a=words(*kinds)), thing(["t"], t=words("y"))],
               "discriminator": {"propertyName": "t"}} for kinds in ("p", "pq")),
    ],
}
NARROWINGS = [(said, *pair) for said, pairs in NARROWER_AND_WIDER.items() for pair in pairs]

# Pairs of schemas, what is said of the change in a request, and what of it in an answer.
CHANGES = {
    "a property was removed": (closed(a=TEXT, b=TEXT), closed(a=TEXT), "$.b: was removed", "$.b: was removed"),
    "an optional property is new": (closed(a=TEXT), closed(a=TEXT, b=TEXT), None, None),
    "a required property is new": (closed(a=TEXT), closed(["b"], a=TEXT, b=TEXT), "$.b: is required now", None),
    "an object was closed": (thing(a=TEXT), closed(a=TEXT), "$: takes no further properties any more", None),
    "an object was opened": (closed(a=TEXT), thing(a=TEXT), None, None),
    "a default changed": (TEXT | {"default": "a"}, TEXT | {"default": "b"}, "$: the default changed from 'a' to 'b'", None),
    "a default is new": (TEXT, TEXT | {"default": "b"}, None, None),
    "another type": (TEXT, INTEGER, "$: type narrowed from string to integer", "$: type widened from string to integer"),
    "another pattern": (TEXT | {"pattern": "a"}, TEXT | {"pattern": "b"}, "$: pattern narrowed", "$: pattern widened"),
    # In a request: what took times takes more; what takes fewer texts than times breaks clients.
    "a pattern that takes the times of a format": (
        TEXT | {"format": "date-time"}, TEXT | {"pattern": "^[0-9].*$"}, None, "$: format widened"),
    "a pattern that takes some times": (
        TEXT | {"format": "date-time"}, TEXT | {"pattern": "Z$"}, "$: pattern narrowed", "$: format widened"),
    "another escape": (TEXT | {"pattern": "^\\u001f$"}, TEXT | {"pattern": "^\\x1f$"}, None, None),
    "another order": (words("a", "b"), words("b", "a"), None, None),
    "another description": (TEXT, TEXT | {"description": "what", "example": "it"}, None, None),
    "what only answers have": (thing(a=TEXT | {"readOnly": True}), thing(), None, "$.a: was removed"),
    "what only requests have": (thing(a=TEXT | {"writeOnly": True}), thing(), "$.a: was removed", None),
    "a named schema written out": (ref("Name"), TEXT, None, None),
    "a whole put together from parts": (thing(["a"], a=TEXT, b=TEXT), {"allOf": [thing(["a"], a=TEXT), thing(b=TEXT)]}, None, None),
    "a part that says more": (thing(a=TEXT), {"allOf": [thing(a=TEXT), thing(a={"maxLength": 5})]}, "$.a: maxLength", None),
    "other forms under other names": ({"oneOf": [ref("Name"), INTEGER]}, {"oneOf": [INTEGER, TEXT]}, None, None),
}

TREE = thing(children={"type": "array", "items": ref("Tree")}, other={"allOf": [ref("Tree")], "nullable": True}, name=TEXT)
NAMES = {"Name": TEXT}


def found(old, new):
    return breaks(old, new)


def assert_said(lines, *expected):
    assert len(lines) == len(expected) and all(start in line for start, line in zip(expected, lines)), lines


@pytest.mark.parametrize("said, narrower, wider", NARROWINGS)
def test_a_request_may_not_take_less(said, narrower, wider):
    narrower, wider = document(request=narrower, schemas=NAMES), document(request=wider, schemas=NAMES)
    assert_said(found(wider, narrower), f"POST /a request {said}")
    assert_said(found(narrower, wider))


@pytest.mark.parametrize("said, narrower, wider", NARROWINGS)
def test_an_answer_may_not_say_more(said, narrower, wider):
    narrower, wider = document(answer=narrower, schemas=NAMES), document(answer=wider, schemas=NAMES)
    assert_said(found(narrower, wider), f"POST /a 200 {said}")
    assert_said(found(wider, narrower))


@pytest.mark.parametrize("old, new, in_request, in_answer", CHANGES.values(), ids=CHANGES)
def test_other_changes_of_schemas(old, new, in_request, in_answer):
    for side, expected in (("request", in_request), ("answer", in_answer)):
        lines = found(document(**{side: old}, schemas=NAMES), document(**{side: new}, schemas=NAMES))
        assert_said(lines, *([expected] if expected else []))


def test_a_schema_inside_itself_ends():
    deep = thing(children={"type": "array", "items": ref("Tree")}, other={"allOf": [ref("Tree")], "nullable": True}, name=INTEGER)
    old, new = (document(answer=ref("Tree"), schemas={"Tree": tree}) for tree in (TREE, deep))
    assert_said(found(old, old))
    # And where a parent names it in a part of its own.
    assert "POST /a 200 $.name: type widened from string to integer" in found(old, new)
    assert_said(found(document(answer={"allOf": [ref("Tree")]}, schemas={"Tree": TREE}), old))


def parameter(name="p", place="query", schema=TEXT, **rest):
    return {"name": name, "in": place, "schema": schema} | rest


REQUIRED = parameter(required=True)
OPERATIONS = {
    # Changes: the old operation, the new one, and what is said of the way there and of the way back.
    "a parameter": ({"parameters": [parameter()]}, {}, ["parameter p (query): was removed"], []),
    "a required parameter": ({}, {"parameters": [REQUIRED]}, ["p (query): is new and required"], ["p (query): was removed"]),
    "an optional parameter required": ({"parameters": [parameter()]}, {"parameters": [REQUIRED]}, ["p (query): is required now"], []),
    "a parameter's bound": (
        {"parameters": [parameter(schema=INTEGER)]}, {"parameters": [parameter(schema=INTEGER | {"maximum": 100})]},
        ["p (query) $: maximum narrowed from none to 100"], [],
    ),
    "a parameter's default": (
        {"parameters": [parameter(schema=INTEGER | {"default": 5})]}, {"parameters": [parameter(schema=INTEGER)]},
        ["p (query) $: the default changed"], [],
    ),
    "how a parameter is written": (
        {"parameters": [parameter()]}, {"parameters": [parameter(explode=False)]},
        ["p (query): is written in another way"], ["p (query): is written in another way"],
    ),
    "a header's name": ({"parameters": [parameter("X-A", "header")]}, {"parameters": [parameter("x-a", "header")]}, [], []),
    "no body any more": ({}, {"requestBody": None}, ["request: the body was removed"], ["request: a body is required now"]),
    "an optional body": (
        {"requestBody": {"content": {}}}, {"requestBody": {"required": True, "content": {}}}, ["request: the body is required now"], [],
    ),
    "a body's type": (
        {"requestBody": {"content": {"text/csv": {}, "text/plain": {}}}}, {"requestBody": {"content": {"text/csv": {}}}},
        ["request: text/plain was removed"], [],
    ),
    "an answer's type": (
        {"responses": {"200": {"content": {"text/csv": {}}}}}, {"responses": {"200": {}}}, ["200: text/csv was removed"], [],
    ),
    "a success": ({"responses": {"200": {}, "201": {}}}, {"responses": {"200": {}}}, ["/a 201: the status was removed"], []),
    "an error": ({"responses": {"200": {}, "404": {}}}, {"responses": {"200": {}}}, [], []),
    "an error's body": (
        {"responses": {"404": {"content": {"application/json": {"schema": TEXT}}}}},
        {"responses": {"404": {"content": {"application/json": {"schema": words("a")}}}}},
        [], ["/a 404 $: enum widened"],
    ),
    "a header": (
        {"responses": {"200": {"headers": {"X-A": {"schema": TEXT}}}}}, {"responses": {"200": {}}}, ["200 header X-A: was removed"], [],
    ),
    "a header that is always there": (
        {"responses": {"200": {"headers": {"X-A": {"schema": TEXT, "required": True}}}}},
        {"responses": {"200": {"headers": {"x-a": {"schema": TEXT}}}}},
        ["200 header X-A: is not always there any more"], [],
    ),
    "a header's schema": (
        {"responses": {"200": {"headers": {"X-A": {"schema": INTEGER}}}}}, {"responses": {"200": {"headers": {"X-A": {"schema": TEXT}}}}},
        ["200 header X-A $: type widened"], ["200 header X-A $: type widened"],
    ),
    "authentication": ({}, {"security": [{"token": []}]}, ["/a: no authentication is not enough any more: it takes token"], []),
    "nothing explicit": ({}, {"security": []}, [], []),
    "one way to authenticate of two": (
        {"security": [{"token": []}, {"key": []}]}, {"security": [{"token": []}]}, ["/a: key is not enough any more"], [],
    ),
    "two keys for one": ({"security": [{"token": []}]}, {"security": [{"token": [], "key": []}]}, ["/a: token is not enough"], []),
    "a scope": ({"security": [{"token": []}]}, {"security": [{"token": ["admin"]}]}, ["/a: token is not enough any more"], []),
    "a name for programs": ({"operationId": "a"}, {"operationId": "b"}, [], []),
}


@pytest.mark.parametrize("old, new, there, back", OPERATIONS.values(), ids=OPERATIONS)
def test_changes_of_operations(old, new, there, back):
    assert_said(found(document(**old), document(**new)), *there)
    assert_said(found(document(**new), document(**old)), *back)


def test_operations_come_and_do_not_go():
    one, other = document(), document()
    other["paths"]["/b"] = {"get": {"responses": {}}}
    assert_said(found(one, other))
    assert_said(found(other, one), "GET /b: the operation was removed")


def test_what_a_path_calls_its_values_makes_no_difference():
    old = document(path="/a/{id}/{x}", parameters=[parameter("id", "path"), parameter("x", "path", INTEGER)])
    new = document(path="/a/{key}/{y}", parameters=[parameter("key", "path"), parameter("y", "path", INTEGER)])
    swapped = document(path="/a/{id}/{x}", parameters=[parameter("id", "path", INTEGER), parameter("x", "path")])
    assert_said(found(old, new))
    assert len(found(old, swapped)) == 2


def test_parameters_of_the_path_and_shared_ones_count():
    old, new = document(), document()
    old["paths"]["/a"]["parameters"] = [{"$ref": "#/components/parameters/P"}]
    old["components"]["parameters"] = {"P": parameter()}
    assert_said(found(old, new), "POST /a parameter p (query): was removed")


def test_another_way_to_send_the_same_credentials():
    secured = {"security": [{"token": []}]}
    new = document(schemes={"token": {"type": "apiKey", "in": "query", "name": "token"}}, **secured)
    assert_said(found(document(**secured), new), "POST /a: the authentication token works in another way now")


def test_servers_and_the_authentication_of_all_operations():
    old, new = document() | {"servers": [{"url": "/v1/"}]}, document() | {"servers": [{"url": "/v2"}]}
    assert_said(found(old, new), "servers: /v1 was removed")
    assert_said(found(document(), document() | {"security": [{"key": []}]}), "POST /a: no authentication is not enough")


def receiving(body=None, headers=None, name="uplink"):
    """A document with one message that receivers get."""
    headers = {"Webhook-Id": True} if headers is None else headers
    operation = {
        "parameters": [{"name": name, "in": "header", "required": required, "schema": TEXT}
                       for name, required in headers.items()],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body or thing(["a"], a=TEXT)}}},
        "responses": {"2XX": {"description": ""}},
    }
    return document() | {"x-webhooks": {name: {"post": operation}}}


MESSAGES = {
    "the same": (receiving(), None),
    "one more member": (receiving(thing(["a"], a=TEXT, b=TEXT)), None),
    "one more header": (receiving(headers={"Webhook-Id": True, "Webhook-Attempt": True}), None),
    "no such message": (receiving(name="raw"), "message uplink: the message was removed"),
    "another type": (receiving(thing(["a"], a=NUMBER)), "message uplink"),
    "not always there": (receiving(thing(a=TEXT)), "message uplink"),
    "no header": (receiving(headers={}), "message uplink header Webhook-Id: was removed"),
    "a header that comes at times": (
        receiving(headers={"Webhook-Id": False}),
        "message uplink header Webhook-Id: is not always there any more",
    ),
}


@pytest.mark.parametrize("new, said", MESSAGES.values(), ids=MESSAGES)
def test_changes_of_messages(new, said):
    found = breaks(receiving(), new)
    assert len(found) == (said is not None), found
    assert all(line.startswith(said) for line in found), found
