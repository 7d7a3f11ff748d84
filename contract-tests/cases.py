"""Parts of the cases that no generator makes."""

import json
import types

# Resources that the seed's makers make, by the path below which they live, with the lists below each.
RESOURCES = {
    "network-connections": ["events", "unknown-devices"],
    "drivers": ["versions", "usage", "export"],
    "devices": ["uplinks", "events"],
    "data-tables": ["rows", "rows.csv"],
    "integrations": ["deliveries"],
    "users": [],
    "api-keys": [],
}


def path_to(resource, parameters):
    # A tag and a version are below the driver, a label below the device, an unknown device below its connection.
    parts = ("tag", "digest", "label", "network_device_id")
    own = (str(value) for name, value in parameters.items() if name not in parts)
    return "/".join(["/api/v3", resource, *own])


def problem(answer, statuses):
    """The rule that an answer breaks, or nothing."""
    if answer.status not in statuses:
        return f"answered {answer.status}, not {' or '.join(map(str, statuses))}"
    if not answer.headers.get("X-Request-Id"):
        return f"a {answer.status} without X-Request-Id"
    if answer.status < 400 or answer.body is None:
        return None
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or sorted(body) != ["code", "error"] or body["code"] != answer.status \
            or not isinstance(body["error"], str) or not body["error"]:
        return f"a {answer.status} whose body is no error object: {answer.body[:80]!r}"
    if not answer.headers.get("X-Error-Reason"):
        return f"a {answer.status} without X-Error-Reason"
    return None


class Cases:
    """Runs cases and keeps count."""

    def __init__(self):
        self.passed, self.failures = 0, []

    def check(self, name, found):
        if found:
            self.failures.append(f"{name}: {found}")
        else:
            self.passed += 1


def paths_with_values(document, values):
    """Every path of the document, below its server's path, with values that exist in place of its parameters."""
    prefix = document.get("servers", [{}])[0].get("url", "")
    prefix = prefix if prefix.startswith("/") else "/" + prefix.split("://", 1)[-1].partition("/")[2]
    for template, item in document["paths"].items():
        path = template
        for name, value in values(template).items():
            path = path.replace("{" + name + "}", str(value))
        yield prefix.rstrip("/") + path, {method.upper() for method in item}


def referred(document, parameter):
    """A parameter, wherever it is written."""
    while "$ref" in parameter:
        name = parameter["$ref"].rsplit("/", 1)[-1]
        parameter = document["components"]["parameters"][name]
    return parameter


def takes_header(document, operation, name):
    return any(one["in"] == "header" and one["name"] == name
               for one in (referred(document, each) for each in operation.get("parameters", [])))


def declares_etag(operation):
    return any("ETag" in answer.get("headers", {}) for status, answer in operation["responses"].items() if status[0] == "2")


def members_of(document, operation):
    """The members of the object that an operation takes."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema["properties"]


def resource_of(template):
    """The segment that names the resource: `devices` in `/api/v3/devices/{id}/uplinks`."""
    for several in ("import", "bulk"):
        if template.startswith(f"/api/v3/devices/{several}"):
            return f"device-{several}s"
    if template in ("/api/v3/drivers/import", "/api/v3/drivers/try"):
        return "driver-imports" if template.endswith("import") else "driver-trials"
    return template.removeprefix("/api/v3/").split("/")[0]


def filled(template, parameters):
    for name, value in parameters.items():
        template = template.replace("{" + name + "}", str(value))
    return template


def update_of(document, operation, answer, maker, resource):
    """A body that changes what was read: all that may be changed, with a new name or text."""
    members = members_of(document, operation)
    made = maker.export_body() if "schedule" in members else maker.body(resource)
    # An answer says less than a request must, as it does of credentials: the maker knows.
    body = {name: made.get(name, value) for name, value in answer.json.items() if name in members and value is not None}
    if "digest" in members:
        # A tag is changed by pointing it elsewhere.
        path = f"drivers/{answer.json['author']}/{answer.json['name']}/versions"
        digests = [version["digest"] for version in maker.client.api("GET", path)["collection"]]
        return body | {"digest": next(digest for digest in digests if digest != answer.json["digest"])}
    if "desired" in members:
        # A state is changed by wishing for another.
        return {"desired": {maker.name(): 1}}
    if set(members) == {"settings"}:
        return {"settings": {"type": "http", "method": "POST", "url": f"https://{maker.name()}.example.com/"}}
    body[next(name for name in ("name", "description", "full_name") if name in members)] = maker.name()
    return body


def requests_of(document, client, maker):
    """Each operation that the document has, as a request that would succeed, on a resource of its own
    where it needs one."""
    for template, item in document["paths"].items():
        for method, operation in item.items():
            path, body, resource = template, None, resource_of(template)
            if "{" in template:
                path = filled(template, maker.path_parameters(resource, template))
            if method == "post" and "{" not in template and resource != "auth" and "requestBody" in operation:
                body = maker.body(resource)
            if method == "post" and "{" in template and "requestBody" in operation:
                body = maker.body_below(template)
            if method == "put" and declares_etag(item.get("get", {"responses": {}})):
                body = update_of(document, operation, client.call("GET", path), maker, resource)
            media_type = "application/octet-stream" if isinstance(body, bytes) else maker.media_type(resource)
            if operation["operationId"] == "redecode_device_uplinks":
                path += "?driver=thingshub/cayenne-lpp"
            yield types.SimpleNamespace(
                operation=operation["operationId"], method=method.upper(), template=template, path=path, body=body,
                resource=resource, raw=operation, headers={"Content-Type": media_type} if body is not None else {},
            )
