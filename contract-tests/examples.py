#!/usr/bin/env python3
"""Every body in the OpenAPI document has an example, which fits the body's schema, formats included, and
has nothing that is not described. Every form of every union that a request may have is in some example, and
every operation has a code sample in each language.

    contract-tests/examples.py DOCUMENT
"""

import collections
import json
import pathlib
import sys

from openapi_schema_validator import (
    OAS30ReadValidator,
    OAS30WriteValidator,
    OAS31Validator,
    oas30_format_checker,
    oas31_format_checker,
)


def contents(node, where=()):
    """Every media type with the path that leads to it."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        for media_type, content in (node.get("content") or {}).items():
            if isinstance(content, dict) and "schema" in content:
                yield (*where, media_type), content
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from contents(value, (*where, str(key)))


def close(node):
    """The same schemas, where an object has no more than what they describe."""
    if isinstance(node, list):
        return [close(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: close(value) for key, value in node.items()}
    if isinstance(closed.get("properties"), dict) and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def samples(content):
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        yield example["value"]


def validators(document):
    """The validators of what is sent and of what is received, and the checker of formats."""
    if document["openapi"].startswith("3.1."):
        return OAS31Validator, OAS31Validator, oas31_format_checker
    return OAS30WriteValidator, OAS30ReadValidator, oas30_format_checker


LANGUAGES = {"curl", "Python", "TypeScript"}


def resolved(document, schema):
    while "$ref" in schema or list(schema.get("allOf", [])) and "properties" not in schema:
        schema = schema["allOf"][0] if "allOf" in schema else schema
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def tag(document, form):
    """The word by which a form of a union is known; nothing where the union is none of tagged objects."""
    words = resolved(document, form).get("properties", {}).get("type", {}).get("enum", [])
    return words[0] if len(words) == 1 else None


def count_forms(document, schema, values, counts, depth=0):
    """Counts how many of the values have each of the tagged forms of all unions in the schema."""
    schema = resolved(document, schema)
    if depth > 12:
        return
    forms = {tag(document, form): form for form in schema.get("oneOf", schema.get("anyOf", []))}
    if forms and None not in forms:
        for word, form in forms.items():
            chosen = [value for value in values if isinstance(value, dict) and value.get("type") == word]
            counts[form.get("$ref", word)] += len(chosen)
            count_forms(document, form, chosen, counts, depth + 1)
    for name, part in schema.get("properties", {}).items():
        inner = [value[name] for value in values if isinstance(value, dict) and value.get(name) is not None]
        count_forms(document, part, inner, counts, depth + 1)
    if "items" in schema:
        inner = [item for value in values if isinstance(value, list) for item in value]
        count_forms(document, schema["items"], inner, counts, depth + 1)


def lacking(document):
    """Places without the example or code sample that they should have."""
    counts = collections.Counter()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found = {sample["label"] for sample in operation.get("x-codeSamples", [])}
            if found != LANGUAGES:
                yield f"{method} {path}: no code sample in {', '.join(sorted(LANGUAGES - found))}"
            for content in operation.get("requestBody", {}).get("content", {}).values():
                count_forms(document, content["schema"], list(samples(content)), counts)
    yield from (f"{form}: no request has an example of it" for form, count in counts.items() if not count)


def schema_errors(document):
    """A function that gives the errors of a value by a schema of the document; the last argument tells whether a
    client sends the value."""
    sent, received, format_checker = validators(document)
    components = close(document["components"])

    def errors(schema, value, is_sent):
        # References are looked up in the schema itself, so it takes what they lead to along.
        validator = sent if is_sent else received
        return validator({**close(schema), "components": components}, format_checker=format_checker).iter_errors(value)

    return errors


def problems(document):
    """The faults, and the number of examples."""
    found, count = list(lacking(document)), 0
    errors = schema_errors(document)
    for path, content in contents(document):
        values = list(samples(content))
        if not values:
            found.append(f"{' '.join(path)}: no example")
        for value in values:
            count += 1
            for error in errors(content["schema"], value, "requestBody" in path):
                found.append(f"{' '.join(path)}: {error.json_path}: {error.message}")
    return found, count


def main(path):
    found, count = problems(json.loads(pathlib.Path(path).read_text()))
    for line in found:
        print(line, file=sys.stderr)
    if found or not count:
        print(f"{len(found)} of {count} examples do not fit", file=sys.stderr)
        return 1
    print(f"all {count} examples fit their schemas")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
