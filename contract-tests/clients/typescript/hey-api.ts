// The client that @hey-api/openapi-ts generates.

import { client } from "../generated/hey-api/client.gen.js";
import * as api from "../generated/hey-api/index.js";
import { type Kind, PASSWORD, SCRIPT, done, environment, run } from "./scenario.js";

let token: string | undefined;
client.setConfig({ baseUrl: environment("HUB_URL"), auth: () => token });

function kinds(): Kind<any, any>[] {
  let connection = 0;
  const query = (cursor: string | undefined) => ({ query: { limit: 1, cursor } });
  const path = <Id>(id: Id) => ({ path: { id } });

  const networkConnections: Kind<api.NetworkConnection, number> = {
    name: "network connections",
    async create(number) {
      const body: api.NetworkConnectionInput = { name: `hey-api ${number}`, settings: { type: "the_things_stack" } };
      connection = done(await api.createNetworkConnection({ body })).id;
      return connection;
    },
    page: (cursor) => api.listNetworkConnections(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getNetworkConnection(path(id)),
    delete: (id) => api.deleteNetworkConnection(path(id)),
  };
  const drivers: Kind<api.Driver, { author: string; name: string }> = {
    name: "drivers",
    async create(number) {
      const body: api.DriverInput = { author: "hey-api", name: `driver-${number}`, tags: ["1"], script: SCRIPT };
      const { author, name } = done(await api.createDriver({ body }));
      return { author, name };
    },
    page: (cursor) => api.listDrivers(query(cursor)),
    id: ({ author, name }) => ({ author, name }),
    get: (id) => api.getDriver({ path: id }),
    delete: (id) => api.deleteDriver({ path: id }),
  };
  const devices: Kind<api.Device, string> = {
    name: "devices",
    async create(number) {
      const address = { network_connection_id: connection, network_device_id: `100000000000000${number}` };
      const body: api.DeviceInput = {
        id: `hey-api-${number}`, labels: ["client=hey-api"], driver: `hey-api/driver-${number}:1`,
        connectivity: { connections: [address] },
      };
      return done(await api.createDevice({ body })).id;
    },
    page: (cursor) => api.listDevices(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getDevice(path(id)),
    delete: (id) => api.deleteDevice(path(id)),
  };
  const dataTables: Kind<api.DataTable, number> = {
    name: "data tables",
    async create(number) {
      const columns: api.Column[] = [{ path: "first", type: "number" }];
      return done(await api.createDataTable({ body: { name: `hey-api ${number}`, selector: "client=hey-api", columns } })).id;
    },
    page: (cursor) => api.listDataTables(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getDataTable(path(id)),
    delete: (id) => api.deleteDataTable(path(id)),
  };
  const integrations: Kind<api.Integration, number> = {
    name: "integrations",
    async create(number) {
      const body: api.IntegrationInputWritable = {
        name: `hey-api ${number}`, selector: "client=hey-api", enabled: false,
        target: { type: "http", url: "https://hooks.example.com/sink", authorization: "Bearer secret" },
      };
      return done(await api.createIntegration({ body })).id;
    },
    page: (cursor) => api.listIntegrations(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getIntegration(path(id)),
    delete: (id) => api.deleteIntegration(path(id)),
  };
  const users: Kind<api.UserAccount, number> = {
    name: "users",
    create: async (number) => done(await api.createUser({
      body: { username: `hey-api-viewer-${number}`, password: PASSWORD, role: "viewer" },
    })).id,
    page: (cursor) => api.listUsers(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getUser(path(id)),
    delete: (id) => api.deleteUser(path(id)),
  };
  const apiKeys: Kind<api.ApiKey, number> = {
    name: "API keys",
    create: async (number) => done(await api.createApiKey({
      body: { name: `hey-api ${number}`, scopes: ["devices:read"] },
    })).id,
    page: (cursor) => api.listApiKeys(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getApiKey(path(id)),
    delete: (id) => api.deleteApiKey(path(id)),
  };
  const tenants: Kind<api.Tenant, number> = {
    name: "tenants",
    create: async (number) => done(await api.createTenant({
      body: { name: `hey-api ${number}`, administrator: { username: `hey-api-admin-${number}`, password: PASSWORD } },
    })).id,
    page: (cursor) => api.listTenants(query(cursor)),
    id: (item) => item.id,
    get: (id) => api.getTenant(path(id)),
    delete: (id) => api.deleteTenant(path(id)),
  };
  return [networkConnections, drivers, devices, dataTables, integrations, users, apiKeys, tenants];
}

await run({
  name: "hey-api",
  logIn: (username, password) => api.createToken({ body: { username, password } }),
  use: (value) => { token = value; },
  session: () => api.getToken(),
  logOut: () => api.deleteToken(),
  createDevice: (name) => api.createDevice({ body: { name } }),
  getDevice: (id) => api.getDevice({ path: { id } }),
  kinds,
});
