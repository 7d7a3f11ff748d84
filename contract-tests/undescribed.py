"""Finds members of an answer that its schema does not name.

Answers may grow, so their schemas are open and no validator minds; but what they have grown must be
described, or nobody could use it.
"""


def undescribed(document, schema, value, path="$"):
    """Paths of such members; of a union's forms, the one that names most of them counts."""
    return min((in_form(document, form, value, path) for _, form in document.forms(schema)), key=len)


def in_form(document, form, value, path):
    found = []
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += undescribed(document, form.get("items", {}), item, f"{path}[{number}]")
    # An object without any name in its schema is free.
    if isinstance(value, dict) and "properties" in form:
        for name, member in value.items():
            if name in form["properties"]:
                found += undescribed(document, form["properties"][name], member, f"{path}.{name}")
            elif not form.get("additionalProperties"):
                found.append(f"{path}.{name}")
    return found
