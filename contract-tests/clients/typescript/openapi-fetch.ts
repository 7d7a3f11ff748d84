// The client that openapi-typescript generates the types of, and openapi-fetch runs.

import createClient from "openapi-fetch";

import type { components, paths } from "../generated/openapi-fetch/schema.js";
import { type Kind, PASSWORD, SCRIPT, done, environment, run } from "./scenario.js";

type Schemas = components["schemas"];

const api = createClient<paths>({ baseUrl: environment("HUB_URL") });
let token: string | undefined;
api.use({
  onRequest({ request }) {
    if (token !== undefined) request.headers.set("Authorization", `Bearer ${token}`);
  },
});

function kinds(): Kind<any, any>[] {
  let connection = 0;
  const query = (cursor: string | undefined) => ({ params: { query: { limit: 1, cursor } } });
  const path = <Id>(id: Id) => ({ params: { path: { id } } });

  const networkConnections: Kind<Schemas["NetworkConnection"], number> = {
    name: "network connections",
    async create(number) {
      const body: Schemas["NetworkConnectionInput"] = {
        name: `openapi-fetch ${number}`, enabled: true, settings: { type: "the_things_stack" },
      };
      connection = done(await api.POST("/api/v3/network-connections", { body })).id;
      return connection;
    },
    page: (cursor) => api.GET("/api/v3/network-connections", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/network-connections/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/network-connections/{id}", path(id)),
  };
  const drivers: Kind<Schemas["Driver"], { author: string; name: string }> = {
    name: "drivers",
    async create(number) {
      const { author, name } = done(await api.POST("/api/v3/drivers", {
        body: { author: "openapi-fetch", name: `driver-${number}`, tags: ["1"], script: SCRIPT, labels: [], supports: [] },
      }));
      return { author, name };
    },
    page: (cursor) => api.GET("/api/v3/drivers", query(cursor)),
    id: ({ author, name }) => ({ author, name }),
    get: (id) => api.GET("/api/v3/drivers/{author}/{name}", { params: { path: id } }),
    delete: (id) => api.DELETE("/api/v3/drivers/{author}/{name}", { params: { path: id } }),
  };
  const devices: Kind<Schemas["Device"], string> = {
    name: "devices",
    async create(number) {
      const address = { network_connection_id: connection, network_device_id: `100000000000000${number}` };
      return done(await api.POST("/api/v3/devices", {
        body: {
          id: `openapi-fetch-${number}`, labels: ["client=openapi-fetch"], driver: `openapi-fetch/driver-${number}:1`,
          connectivity: { connections: [address] },
        },
      })).id;
    },
    page: (cursor) => api.GET("/api/v3/devices", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/devices/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/devices/{id}", path(id)),
  };
  const dataTables: Kind<Schemas["DataTable"], number> = {
    name: "data tables",
    create: async (number) => done(await api.POST("/api/v3/data-tables", {
      body: { name: `openapi-fetch ${number}`, selector: "client=openapi-fetch", columns: [{ path: "first", type: "number" }] },
    })).id,
    page: (cursor) => api.GET("/api/v3/data-tables", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/data-tables/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/data-tables/{id}", path(id)),
  };
  const integrations: Kind<Schemas["Integration"], number> = {
    name: "integrations",
    create: async (number) => done(await api.POST("/api/v3/integrations", {
      body: {
        name: `openapi-fetch ${number}`, selector: "client=openapi-fetch", enabled: false,
        target: { type: "http", url: "https://hooks.example.com/sink", authorization: "Bearer secret" },
      },
    })).id,
    page: (cursor) => api.GET("/api/v3/integrations", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/integrations/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/integrations/{id}", path(id)),
  };
  const users: Kind<Schemas["UserAccount"], number> = {
    name: "users",
    create: async (number) => done(await api.POST("/api/v3/users", {
      body: { username: `openapi-fetch-viewer-${number}`, password: PASSWORD, role: "viewer" },
    })).id,
    page: (cursor) => api.GET("/api/v3/users", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/users/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/users/{id}", path(id)),
  };
  const apiKeys: Kind<Schemas["ApiKey"], number> = {
    name: "API keys",
    create: async (number) => done(await api.POST("/api/v3/api-keys", {
      body: { name: `openapi-fetch ${number}`, scopes: ["devices:read"] },
    })).id,
    page: (cursor) => api.GET("/api/v3/api-keys", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/api-keys/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/api-keys/{id}", path(id)),
  };
  const tenants: Kind<Schemas["Tenant"], number> = {
    name: "tenants",
    create: async (number) => done(await api.POST("/api/v3/tenants", {
      body: { name: `openapi-fetch ${number}`, administrator: { username: `openapi-fetch-admin-${number}`, password: PASSWORD } },
    })).id,
    page: (cursor) => api.GET("/api/v3/tenants", query(cursor)),
    id: (item) => item.id,
    get: (id) => api.GET("/api/v3/tenants/{id}", path(id)),
    delete: (id) => api.DELETE("/api/v3/tenants/{id}", path(id)),
  };
  return [networkConnections, drivers, devices, dataTables, integrations, users, apiKeys, tenants];
}

await run({
  name: "openapi-fetch",
  logIn: (username, password) => api.POST("/api/v3/auth/token", { body: { username, password } }),
  use: (value) => { token = value; },
  session: () => api.GET("/api/v3/auth/token"),
  logOut: () => api.DELETE("/api/v3/auth/token"),
  createDevice: (name) => api.POST("/api/v3/devices", { body: { name, labels: [] } }),
  getDevice: (id) => api.GET("/api/v3/devices/{id}", { params: { path: { id } } }),
  kinds,
});
