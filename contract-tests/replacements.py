"""PUT replaces: what the request leaves out has its default afterwards, whatever it was before.

Two resources of one kind are changed to the same, one of them from something else. What may be left out
is the document's.
"""

from cases import declares_etag, filled, members_of, problem, resource_of, update_of
from schemas import Document

# Members that tell two resources apart, or are of the moment.
OWN = {"id", "name", "username", "author", "digest", "revision", "created_at", "updated_at", "tag", "next_run_at", "schedule"}

# Values of structured members, other than their defaults.
STRUCTURED = {
    "auto_provisioning": {"labels": ["else=1"]},
    "columns": [{"path": "else", "type": "number"}],
    "delivery": {"concurrency": 2},
    "driver": "thingshub/cayenne-lpp",
    "events": ["raw"],
    "payload": {"type": "cloudevents"},
    "supports": [{"manufacturer": "Else", "model": "one"}],
}
# Members that are not tried with another value, and why.
UNTRIED = {"connectivity": "an address is that of one device"}


def other_values(schema, name):
    """Values that a member might have instead of its default, to be tried one after the other."""
    if name in STRUCTURED:
        return [STRUCTURED[name]]
    kind = schema.get("type")
    if kind == "string":
        return ["someone@example.com"] if "email" in name else ["something else"]
    if kind == "boolean":
        return [not schema.get("default", False)]
    if kind == "integer":
        return [max(7, int(schema.get("minimum", 7)))]
    if kind == "array":
        return [["else=1"], ["raw"]]
    return [{"something": "else"}] if kind == "object" else []


def set_aside(client, path, body, schemas, required):
    """Sets each member that may be left out to something else; gives those that were taken."""
    taken = {}
    for name in schemas.keys() - required:
        for value in other_values(schemas[name], name):
            if client.call("PUT", path, body | taken | {name: value}).status == 200:
                taken[name] = value
                break
    return taken


def without_own(read, names):
    return {name: read.get(name) for name in names if name not in OWN}


def run(cases, client, maker, document):
    resolved = Document(document)
    for template, item in document["paths"].items():
        if "put" not in item or not declares_etag(item.get("get", {"responses": {}})) or "{" not in template:
            continue
        paths = [filled(template, maker.path_parameters(resource_of(template), template)) for _ in range(2)]
        schemas = {name: resolved.flat(schema) for name, schema in members_of(document, item["put"]).items()}
        operation = resolved.flat(item["put"]["requestBody"]["content"]["application/json"]["schema"])
        required = set(operation.get("required", ()))
        body = update_of(document, item["put"], client.call("GET", paths[0]), maker, resource_of(template))
        least = {name: value for name, value in body.items() if name in required}
        taken = set_aside(client, paths[0], least, schemas, required)
        for path in paths:
            # Names are one resource's alone.
            least |= {"name": maker.name()} if "name" in least else {}
            cases.check(f"PUT {path} with what it must have", problem(client.call("PUT", path, least), [200]))
        changed, fresh = (without_own(client.call("GET", path).json, schemas) for path in paths)
        kept = [name for name in schemas if changed.get(name) != fresh.get(name)]
        cases.check(f"GET {paths[0]} after that", f"keeps {', '.join(kept)}" if kept else None)
        untaken = schemas.keys() - required - taken.keys() - OWN - UNTRIED.keys()
        title = f"PUT {paths[0]} with something else"
        cases.check(title, f"took no other value of {', '.join(sorted(untaken))}" if untaken else None)
