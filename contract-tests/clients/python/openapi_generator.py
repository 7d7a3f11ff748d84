"""The scenario, with the client for Python that openapi-generator generates."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openapi_client as api

# Of the users that are made.
PASSWORD = "two horses and a battery"
SCRIPT = "function decode(payload, port) { return {first: payload[0]}; }"


def must(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def refused(what: str, status: int, call: Callable[[], Any], text: str) -> None:
    """The error must be the contract's object, and say the same as the status."""
    try:
        answer = call()
    except api.ApiException as exception:
        error = json.loads(exception.body or "{}")
        must(exception.status == status and error["code"] == status, f"{what}: {exception.status} {error}")
        must(text in error["error"], f"{what}: {error['error']!r} does not say {text!r}")
        print(f"  {what}: {error['code']} {error['error']}")
    else:
        must(False, f"{what}: it was not refused, but answered {answer}")


@dataclass
class Kind:
    """The operations of one kind of resource; the id is the arguments of `get` and `delete`."""

    name: str
    create: Callable[[int], Any]
    page: Callable[..., Any]
    id: Callable[[Any], tuple[Any, ...]]
    get: Callable[..., Any]
    delete: Callable[..., Any]


def kinds(client: api.ApiClient) -> list[Kind]:
    """Every kind of resource, in an order in which each finds what it refers to."""
    connections, drivers = api.NetworkConnectionsApi(client), api.DriversApi(client)
    devices, tables = api.DevicesApi(client), api.DataTablesApi(client)
    integrations, users = api.IntegrationsApi(client), api.UsersApi(client)
    keys, tenants = api.APIKeysApi(client), api.TenantsApi(client)
    connection_ids: list[int] = []

    def connection(number: int) -> Any:
        settings = api.NetworkSettings(api.NetworkSettingsTheThingsStack(type="the_things_stack"))
        made = connections.create_network_connection(
            api.NetworkConnectionInput(name=f"generator {number}", settings=settings))
        must(made.ingest_key != "", "a new connection has a key")
        connection_ids.append(made.id)
        return made

    def driver(number: int) -> Any:
        properties = {"first": {"type": "float64"}}
        schemas = [
            api.DriverSchemaSource(api.DriverSchema(version="2", properties=properties)),
            api.DriverSchemaSource("version: '2'\nproperties: {first: {type: float64}}"),
        ]
        return drivers.create_driver(api.DriverInput(
            author="generator", name=f"driver-{number}", tags=["1"], script=SCRIPT, schema=schemas[number - 1]))

    def device(number: int) -> Any:
        address = api.DeviceConnection(
            network_connection_id=connection_ids[0], network_device_id=f"100000000000000{number}")
        made = devices.create_device(api.DeviceInput(
            id=f"generator-{number}", labels=["client=generator"], driver=f"generator/driver-{number}:1",
            connectivity=api.Connectivity(connections=[address])))
        must(made.labels == ["client=generator"], f"the device's labels are {made.labels}")
        return made

    def table(number: int) -> Any:
        columns = [api.Column(path="first", type=api.ColumnType.COLUMN_TYPE_NUMBER)]
        return tables.create_data_table(
            api.DataTableInput(name=f"generator {number}", selector="client=generator", columns=columns))

    def integration(number: int) -> Any:
        target = api.IntegrationTarget(
            api.IntegrationTargetHttpTarget(type="http", url="https://hooks.example.com/sink", authorization="Bearer secret"))
        made = integrations.create_integration(api.IntegrationInput(
            name=f"generator {number}", selector="client=generator", enabled=False, target=target))
        must(made.target.actual_instance.has_authorization, "the target keeps its authorization")
        return made

    def user(number: int) -> Any:
        return users.create_user(api.UserInput(
            username=f"generator-viewer-{number}", password=PASSWORD, role=api.Role.ROLE_VIEWER))

    def key(number: int) -> Any:
        scopes = [api.KeyScope.KEY_SCOPE_DEVICES_READ]
        made = keys.create_api_key(api.ApiKeyInput(name=f"generator {number}", scopes=scopes))
        must(made.key != "", "a new API key is shown")
        return made

    def tenant(number: int) -> Any:
        administrator = api.Administrator(username=f"generator-admin-{number}", password=PASSWORD)
        return tenants.create_tenant(api.TenantInput(name=f"generator {number}", administrator=administrator))

    def by_id(item: Any) -> tuple[Any, ...]:
        return (item.id,)

    return [
        Kind("network connections", connection, connections.list_network_connections, by_id,
             connections.get_network_connection, connections.delete_network_connection),
        Kind("drivers", driver, drivers.list_drivers, lambda item: (item.author, item.name),
             drivers.get_driver, drivers.delete_driver),
        Kind("devices", device, devices.list_devices, by_id, devices.get_device, devices.delete_device),
        Kind("data tables", table, tables.list_data_tables, by_id, tables.get_data_table, tables.delete_data_table),
        Kind("integrations", integration, integrations.list_integrations, by_id,
             integrations.get_integration, integrations.delete_integration),
        Kind("users", user, users.list_users, by_id, users.get_user, users.delete_user),
        Kind("API keys", key, keys.list_api_keys, by_id, keys.get_api_key, keys.delete_api_key),
        Kind("tenants", tenant, tenants.list_tenants, by_id, tenants.get_tenant, tenants.delete_tenant),
    ]


def list_all(kind: Kind) -> list[tuple[Any, ...]]:
    """The ids of all, a page of one at a time."""
    found, cursor = [], None
    while True:
        page = kind.page(limit=1, cursor=cursor)
        must(len(page.collection) <= 1, f"{kind.name}: a page of {len(page.collection)}")
        found += map(kind.id, page.collection)
        cursor = page.next_cursor
        if cursor is None:
            return found


def connect(token: str | None = None) -> api.ApiClient:
    configuration = api.Configuration(host=os.environ["HUB_URL"], access_token=token)
    # The hub's own certificate, and no other.
    configuration.ssl_ca_cert = os.environ["HUB_CERTIFICATE"]
    return api.ApiClient(configuration)


def log_in(username: str, password: str) -> str:
    return api.LogInApi(connect()).create_token(api.Credentials(username=username, password=password)).token


def main() -> None:
    refused("a wrong password", 400, lambda: log_in("admin", "wrong"), "invalid credentials")
    token = log_in("admin", os.environ["HUB_PASSWORD"])
    client = connect(token)
    must(api.LogInApi(client).get_token().user.username == "admin", "the session is the administrator's")

    # The administrator and the tenant are there from the start.
    made = [(kind, list_all(kind), [kind.id(kind.create(number)) for number in (1, 2)]) for kind in kinds(client)]
    for kind, before, ids in made:
        found = list_all(kind)
        must(found == before + ids, f"{kind.name}: there are {before + ids}, but found {found}")
        print(f"  {kind.name}: {found}")

    devices = api.DevicesApi(client)
    try:
        api.DeviceInput(name="a\nb")
        must(False, "the client takes a name with a line break")
    except ValueError as error:
        must("name" in str(error), f"the client says of the name: {error}")
    refused("no such token", 401, lambda: api.LogInApi(connect("none")).get_token(), "a valid token is required")
    refused("no such device", 404, lambda: devices.get_device("none"), "there is no device")
    viewer = connect(log_in("generator-viewer-1", PASSWORD))
    refused("a viewer who creates", 403, lambda: api.DevicesApi(viewer).create_device(api.DeviceInput()),
            "may only read")

    for kind, before, ids in reversed(made):
        for id in ids:
            kind.delete(*id)
            refused(f"{kind.name}, deleted", 404, lambda: kind.get(*id), "there is no ")
        must(list_all(kind) == before, f"{kind.name} are left")
    api.LogInApi(client).delete_token()
    refused("an ended session", 401, lambda: api.LogInApi(client).get_token(), "a valid token is required")


main()
