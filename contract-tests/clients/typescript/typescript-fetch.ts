// The client that openapi-generator's typescript-fetch generates.

import * as api from "../generated/typescript-fetch/index.js";
import {
  type Answer, type HubError, type Kind, type Page, PASSWORD, SCRIPT, done, environment, run,
} from "./scenario.js";

let token: string | undefined;
const configuration = new api.Configuration({
  basePath: environment("HUB_URL"),
  accessToken: () => token ?? "",
});
const logIn = new api.LogInApi(configuration);
const connections = new api.NetworkConnectionsApi(configuration);
const drivers = new api.DriversApi(configuration);
const devices = new api.DevicesApi(configuration);
const tables = new api.DataTablesApi(configuration);
const integrations = new api.IntegrationsApi(configuration);
const users = new api.UsersApi(configuration);
const keys = new api.APIKeysApi(configuration);
const tenants = new api.TenantsApi(configuration);

/** Errors are thrown, with the response. */
async function answer<T>(call: Promise<T>): Promise<Answer<T>> {
  try {
    return { data: await call };
  } catch (error) {
    if (!(error instanceof api.ResponseError)) throw error;
    return { error: await error.response.clone().json() as HubError, response: error.response };
  }
}

async function page<T>(call: Promise<{ collection: T[]; nextCursor: string | null }>): Promise<Answer<Page<T>>> {
  const { data, ...rest } = await answer(call);
  return data ? { data: { collection: data.collection, next_cursor: data.nextCursor } } : rest;
}

function kinds(): Kind<any, any>[] {
  let connection = 0;
  const networkConnections: Kind<api.NetworkConnection, number> = {
    name: "network connections",
    async create(number) {
      const networkConnectionInput: api.NetworkConnectionInput = {
        name: `typescript-fetch ${number}`, settings: { type: "the_things_stack" },
      };
      connection = done(await answer(connections.createNetworkConnection({ networkConnectionInput }))).id;
      return connection;
    },
    page: (cursor) => page(connections.listNetworkConnections({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(connections.getNetworkConnection({ id })),
    delete: (id) => answer(connections.deleteNetworkConnection({ id })),
  };
  const driverKind: Kind<api.Driver, { author: string; name: string }> = {
    name: "drivers",
    async create(number) {
      const driverInput: api.DriverInput = {
        author: "typescript-fetch", name: `driver-${number}`, tags: ["1"], script: SCRIPT,
        schema: "version: '2'\nproperties: {first: {type: float64}}",
      };
      const { author, name } = done(await answer(drivers.createDriver({ driverInput })));
      return { author, name };
    },
    page: (cursor) => page(drivers.listDrivers({ limit: 1, cursor })),
    id: ({ author, name }) => ({ author, name }),
    get: (id) => answer(drivers.getDriver(id)),
    delete: (id) => answer(drivers.deleteDriver(id)),
  };
  const deviceKind: Kind<api.Device, string> = {
    name: "devices",
    async create(number) {
      const address = { networkConnectionId: connection, networkDeviceId: `100000000000000${number}` };
      const deviceInput: api.DeviceInput = {
        id: `typescript-fetch-${number}`, labels: ["client=typescript-fetch"],
        driver: `typescript-fetch/driver-${number}:1`, connectivity: { connections: [address] },
      };
      return done(await answer(devices.createDevice({ deviceInput }))).id;
    },
    page: (cursor) => page(devices.listDevices({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(devices.getDevice({ id })),
    delete: (id) => answer(devices.deleteDevice({ id })),
  };
  const dataTables: Kind<api.DataTable, number> = {
    name: "data tables",
    async create(number) {
      const columns: api.Column[] = [{ path: "first", type: "number" }];
      const dataTableInput = { name: `typescript-fetch ${number}`, selector: "client=typescript-fetch", columns };
      return done(await answer(tables.createDataTable({ dataTableInput }))).id;
    },
    page: (cursor) => page(tables.listDataTables({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(tables.getDataTable({ id })),
    delete: (id) => answer(tables.deleteDataTable({ id })),
  };
  const integrationKind: Kind<api.Integration, number> = {
    name: "integrations",
    async create(number) {
      const integrationInput: api.IntegrationInput = {
        name: `typescript-fetch ${number}`, selector: "client=typescript-fetch", enabled: false,
        target: { type: "http", url: "https://hooks.example.com/sink", authorization: "Bearer secret" },
      };
      return done(await answer(integrations.createIntegration({ integrationInput }))).id;
    },
    page: (cursor) => page(integrations.listIntegrations({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(integrations.getIntegration({ id })),
    delete: (id) => answer(integrations.deleteIntegration({ id })),
  };
  const userKind: Kind<api.UserAccount, number> = {
    name: "users",
    create: async (number) => done(await answer(users.createUser({
      userInput: { username: `typescript-fetch-viewer-${number}`, password: PASSWORD, role: "viewer" },
    }))).id,
    page: (cursor) => page(users.listUsers({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(users.getUser({ id })),
    delete: (id) => answer(users.deleteUser({ id })),
  };
  const apiKeys: Kind<api.ApiKey, number> = {
    name: "API keys",
    create: async (number) => done(await answer(keys.createApiKey({
      apiKeyInput: { name: `typescript-fetch ${number}`, scopes: ["devices:read"] },
    }))).id,
    page: (cursor) => page(keys.listApiKeys({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(keys.getApiKey({ id })),
    delete: (id) => answer(keys.deleteApiKey({ id })),
  };
  const tenantKind: Kind<api.Tenant, number> = {
    name: "tenants",
    create: async (number) => done(await answer(tenants.createTenant({
      tenantInput: {
        name: `typescript-fetch ${number}`,
        administrator: { username: `tsfetch-admin-${number}`, password: PASSWORD },
      },
    }))).id,
    page: (cursor) => page(tenants.listTenants({ limit: 1, cursor })),
    id: (item) => item.id,
    get: (id) => answer(tenants.getTenant({ id })),
    delete: (id) => answer(tenants.deleteTenant({ id })),
  };
  return [
    networkConnections, driverKind, deviceKind, dataTables, integrationKind, userKind, apiKeys, tenantKind,
  ];
}

/** Renames what the client calls `user`. */
async function session(call: Promise<api.Session>): Promise<Answer<{ User: { username: string } }>> {
  const { data, ...rest } = await answer(call);
  return data ? { data: { User: data.user } } : rest;
}

await run({
  name: "typescript-fetch",
  logIn: (username, password) => answer(logIn.createToken({ credentials: { username, password } })),
  use: (value) => { token = value; },
  session: () => session(logIn.getToken()),
  logOut: () => answer(logIn.deleteToken()),
  createDevice: (name) => answer(devices.createDevice({ deviceInput: { name } })),
  getDevice: (id) => answer(devices.getDevice({ id })),
  kinds,
});
