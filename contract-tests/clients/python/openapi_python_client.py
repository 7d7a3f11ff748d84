"""The scenario, with the client that openapi-python-client generates."""

import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from thingshub_client import AuthenticatedClient, Client
from thingshub_client.api.api_keys import create_api_key, delete_api_key, get_api_key, list_api_keys
from thingshub_client.api.data_tables import create_data_table, delete_data_table, get_data_table, list_data_tables
from thingshub_client.api.devices import create_device, delete_device, get_device, list_devices
from thingshub_client.api.drivers import create_driver, delete_driver, get_driver, list_drivers
from thingshub_client.api.integrations import (
    create_integration, delete_integration, get_integration, list_integrations,
)
from thingshub_client.api.log_in import create_token, delete_token, get_token
from thingshub_client.api.network_connections import (
    create_network_connection, delete_network_connection, get_network_connection, list_network_connections,
)
from thingshub_client.api.tenants import create_tenant, delete_tenant, get_tenant, list_tenants
from thingshub_client.api.users import create_user, delete_user, get_user, list_users
from thingshub_client.models import (
    Administrator, ApiKey, ApiKeyInput, ApiKeyWithKey, Column, ColumnType, Credentials, DataTable,
    DataTableInput, Device, DeviceConnection, DeviceInput, DeviceInputConnectivity,
    Driver, DriverInput, Error, HttpTarget, HttpTargetType, HttpTargetView, Integration, IntegrationInput, KeyScope,
    NetworkConnection, NetworkConnectionInput, NetworkConnectionWithKey, Role, Tenant, TenantInput, TheThingsStack,
    TheThingsStackType, Token, UserAccount, UserInput,
)
from thingshub_client.types import UNSET, Response, Unset

# Of the users that are made.
PASSWORD = "two horses and a battery"

Answer = TypeVar("Answer")
Item = TypeVar("Item", covariant=True)
Id = TypeVar("Id")


class Page(Protocol[Item]):
    @property
    def collection(self) -> Sequence[Item]: ...

    @property
    def next_cursor(self) -> str | None: ...


@dataclass
class Kind(Generic[Item, Id]):
    """The operations of one kind of resource."""

    name: str
    create: Callable[[int], Id]
    page: Callable[[str | Unset], Page[Item] | Error | None]
    id: Callable[[Item], Id]
    get: Callable[[Id], Response[Item | Error]]
    delete: Callable[[Id], Response[Item | Error]]


def done(answer: Answer | Error | None) -> Answer:
    """The answer of an operation that must succeed."""
    if answer is None or isinstance(answer, Error):
        raise SystemExit(f"FAILED: an operation that must succeed answered {answer}")
    return answer


def must(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {what}")


def refused(what: str, status: int, response: Response[Answer | Error], text: str) -> None:
    """The error must be the typed object, and say the same as the status."""
    error = response.parsed
    must(isinstance(error, Error), f"{what}: {error} is no error object")
    assert isinstance(error, Error)
    must(response.status_code == status and error.code == status, f"{what}: {response.status_code} {error}")
    must(text in error.error, f"{what}: {error.error!r} does not say {text!r}")
    print(f"  {what}: {error.code} {error.error}")


def kinds(api: AuthenticatedClient) -> list[Kind[Any, Any]]:
    """Every kind of resource, in an order in which each finds what it refers to."""
    connection_ids: list[int] = []

    def network_connection(number: int) -> int:
        settings = TheThingsStack(type_=TheThingsStackType.THE_THINGS_STACK)
        body = NetworkConnectionInput(name=f"python {number}", settings=settings)
        made: NetworkConnectionWithKey = done(create_network_connection.sync(client=api, body=body))
        must(made.ingest_key != "", "a new connection has a key")
        connection_ids.append(made.id)
        return made.id

    def driver(number: int) -> tuple[str, str]:
        script = "function decode(payload, port) { return {first: payload[0]}; }"
        body = DriverInput(author="python", name=f"driver-{number}", tags=["1"], script=script)
        made: Driver = done(create_driver.sync(client=api, body=body))
        return made.author, made.name

    def device(number: int) -> str:
        address = DeviceConnection(
            network_connection_id=connection_ids[0], network_device_id=f"100000000000000{number}")
        body = DeviceInput(
            id=f"python-{number}", labels=["client=python"], driver=f"python/driver-{number}:1",
            connectivity=DeviceInputConnectivity(connections=[address]))
        made: Device = done(create_device.sync(client=api, body=body))
        must(made.labels == ["client=python"], f"the device's labels are {made.labels}")
        return made.id

    def data_table(number: int) -> int:
        columns = [Column(path="first", type_=ColumnType.COLUMN_TYPE_NUMBER)]
        body = DataTableInput(name=f"python {number}", selector="client=python", columns=columns)
        made: DataTable = done(create_data_table.sync(client=api, body=body))
        return made.id

    def integration(number: int) -> int:
        target = HttpTarget(type_=HttpTargetType.HTTP, url="https://hooks.example.com/sink", authorization="Bearer secret")
        body = IntegrationInput(name=f"python {number}", selector="client=python", enabled=False, target=target)
        made: Integration = done(create_integration.sync(client=api, body=body))
        target_made = made.target
        must(isinstance(target_made, HttpTargetView) and target_made.has_authorization,
             "the target keeps its authorization")
        return made.id

    def user(number: int) -> int:
        body = UserInput(username=f"python-viewer-{number}", password=PASSWORD, role=Role.ROLE_VIEWER)
        made: UserAccount = done(create_user.sync(client=api, body=body))
        return made.id

    def api_key(number: int) -> int:
        body = ApiKeyInput(name=f"python {number}", scopes=[KeyScope.KEY_SCOPE_DEVICES_READ])
        made: ApiKeyWithKey = done(create_api_key.sync(client=api, body=body))
        must(made.key != "", "a new API key is shown")
        return made.id

    def tenant(number: int) -> int:
        administrator = Administrator(username=f"python-admin-{number}", password=PASSWORD)
        body = TenantInput(name=f"python {number}", administrator=administrator)
        made: Tenant = done(create_tenant.sync(client=api, body=body))
        return made.id

    network_connections: Kind[NetworkConnection, int] = Kind(
        "network connections",
        network_connection,
        lambda cursor: list_network_connections.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_network_connection.sync_detailed(id, client=api),
        lambda id: delete_network_connection.sync_detailed(id, client=api),
    )
    drivers: Kind[Driver, tuple[str, str]] = Kind(
        "drivers",
        driver,
        lambda cursor: list_drivers.sync(client=api, limit=1, cursor=cursor),
        lambda item: (item.author, item.name),
        lambda id: get_driver.sync_detailed(*id, client=api),
        lambda id: delete_driver.sync_detailed(*id, client=api),
    )
    devices: Kind[Device, str] = Kind(
        "devices",
        device,
        lambda cursor: list_devices.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_device.sync_detailed(id, client=api),
        lambda id: delete_device.sync_detailed(id, client=api),
    )
    data_tables: Kind[DataTable, int] = Kind(
        "data tables",
        data_table,
        lambda cursor: list_data_tables.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_data_table.sync_detailed(id, client=api),
        lambda id: delete_data_table.sync_detailed(id, client=api),
    )
    integrations: Kind[Integration, int] = Kind(
        "integrations",
        integration,
        lambda cursor: list_integrations.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_integration.sync_detailed(id, client=api),
        lambda id: delete_integration.sync_detailed(id, client=api),
    )
    users: Kind[UserAccount, int] = Kind(
        "users",
        user,
        lambda cursor: list_users.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_user.sync_detailed(id, client=api),
        lambda id: delete_user.sync_detailed(id, client=api),
    )
    api_keys: Kind[ApiKey, int] = Kind(
        "API keys",
        api_key,
        lambda cursor: list_api_keys.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_api_key.sync_detailed(id, client=api),
        lambda id: delete_api_key.sync_detailed(id, client=api),
    )
    tenants: Kind[Tenant, int] = Kind(
        "tenants",
        tenant,
        lambda cursor: list_tenants.sync(client=api, limit=1, cursor=cursor),
        lambda item: item.id,
        lambda id: get_tenant.sync_detailed(id, client=api),
        lambda id: delete_tenant.sync_detailed(id, client=api),
    )
    return [network_connections, drivers, devices, data_tables, integrations, users, api_keys, tenants]


def list_all(kind: Kind[Item, Id]) -> list[Id]:
    """The ids of all, a page of one at a time."""
    found: list[Id] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = done(kind.page(cursor))
        must(len(page.collection) <= 1, f"{kind.name}: a page of {len(page.collection)}")
        found += map(kind.id, page.collection)
        cursor = page.next_cursor
    return found


def main() -> None:
    url, password = os.environ["HUB_URL"], os.environ["HUB_PASSWORD"]
    # The hub's own certificate, and no other.
    trust = ssl.create_default_context(cafile=os.environ["HUB_CERTIFICATE"])
    anonymous = Client(base_url=url, verify_ssl=trust)

    wrong = Credentials(username="admin", password="wrong")
    refused("a wrong password", 400, create_token.sync_detailed(client=anonymous, body=wrong), "invalid credentials")
    token: Token = done(create_token.sync(client=anonymous, body=Credentials(username="admin", password=password)))
    api = AuthenticatedClient(base_url=url, verify_ssl=trust, token=token.token)
    must(done(get_token.sync(client=api)).user.username == "admin", "the session is the administrator's")

    # The administrator and the tenant are there from the start.
    made = [(kind, list_all(kind), [kind.create(number) for number in (1, 2)]) for kind in kinds(api)]
    for kind, before, ids in made:
        found = list_all(kind)
        must(found == before + ids, f"{kind.name}: there are {before + ids}, but found {found}")
        print(f"  {kind.name}: {found}")

    refused("a name with a line break", 400, create_device.sync_detailed(
        client=api, body=DeviceInput(name="a\nb")), "name: ")
    refused("no such token", 401, get_token.sync_detailed(
        client=AuthenticatedClient(base_url=url, verify_ssl=trust, token="none")), "a valid token is required")
    refused("no such device", 404, get_device.sync_detailed("none", client=api), "there is no device")
    login = Credentials(username="python-viewer-1", password=PASSWORD)
    viewer = AuthenticatedClient(
        base_url=url, verify_ssl=trust, token=done(create_token.sync(client=anonymous, body=login)).token)
    refused("a viewer who creates", 403, create_device.sync_detailed(
        client=viewer, body=DeviceInput()), "may only read")

    for kind, before, ids in reversed(made):
        for id in ids:
            done(kind.delete(id).parsed)
            refused(f"{kind.name}, deleted", 404, kind.get(id), "there is no ")
        must(list_all(kind) == before, f"{kind.name} are left")
    done(delete_token.sync(client=api))
    refused("an ended session", 401, get_token.sync_detailed(client=api), "a valid token is required")


main()
