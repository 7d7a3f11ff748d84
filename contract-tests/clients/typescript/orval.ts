// What orval generates: a client for fetch, and zod schemas, which check what is sent and what is answered.

import { readFileSync } from "node:fs";
import type { ZodType } from "zod";

import * as api from "../generated/orval/fetch.js";
import * as zod from "../generated/orval/zod.js";
import { PASSWORD, SCRIPT, environment, must } from "./scenario.js";

interface Answer {
  data: any;
  status: number;
}

let token: string | undefined;
const plainFetch = globalThis.fetch;
// The client names paths alone and takes its headers from its caller.
globalThis.fetch = (path, options) => {
  const headers = new Headers(options?.headers);
  if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
  return plainFetch(new URL(String(path), environment("HUB_URL")), { ...options, headers });
};

let checked = 0;

/** What the operation answered, as the hub sent it, once the schema has taken it. */
async function answered(name: string, schema: ZodType, call: Promise<Answer>): Promise<any> {
  const { data, status } = await call;
  must(status === 200 || status === 201, `${name}: ${status} ${JSON.stringify(data)}`);
  fits(name, schema, data);
  return data;
}

function fits(name: string, schema: ZodType, value: unknown): void {
  const result = schema.safeParse(value);
  must(result.success, `${name}: ${result.error?.message} in ${JSON.stringify(value)}`);
  checked += 1;
}

/** A body that must fit the schema of the request. */
function body<T>(name: string, schema: ZodType, value: T): T {
  fits(`${name}, request`, schema, value);
  return value;
}

async function scenario(): Promise<void> {
  const login = { username: "admin", password: environment("HUB_PASSWORD") };
  token = (await answered("log in", zod.CreateTokenResponse, api.createToken(login))).token;
  await answered("session", zod.GetTokenResponse, api.getToken());

  const connection = await answered("create a connection", zod.CreateNetworkConnectionResponse,
    api.createNetworkConnection(body("create a connection", zod.CreateNetworkConnectionBody, {
      name: "orval", settings: { type: "the_things_stack" as const },
      auto_provisioning: { labels: ["new"], name_template: "{network_device_id}" },
    })));
  const driver = body("create a driver", zod.CreateDriverBody, {
    author: "orval", name: "driver", tags: ["1"], script: SCRIPT,
    schema: { version: "2", properties: { first: { type: "float64", unit: "°C" } } },
  });
  await answered("create a driver", zod.CreateDriverResponse, api.createDriver(driver));
  const device = body("create a device", zod.CreateDeviceBody, {
    id: "orval-1", labels: ["client=orval", "Türsensor"], driver: "orval/driver:1",
    connectivity: { connections: [{ network_connection_id: connection.id, network_device_id: "1000000000000001" }] },
  });
  await answered("create a device", zod.CreateDeviceResponse, api.createDevice(device));
  const table = await answered("create a table", zod.CreateDataTableResponse,
    api.createDataTable(body("create a table", zod.CreateDataTableBody, {
      name: "orval", selector: "client=orval", columns: [{ path: "first", type: "number" as const }],
    })));
  const integration = await answered("create an integration", zod.CreateIntegrationResponse,
    api.createIntegration(body("create an integration", zod.CreateIntegrationBody, {
      name: "orval", selector: "client=orval", target: { type: "websocket" as const },
    })));
  const user = await answered("create a user", zod.CreateUserResponse, api.createUser(body(
    "create a user", zod.CreateUserBody, { username: "orval.viewer", password: PASSWORD, role: "viewer" as const })));
  const key = await answered("create a key", zod.CreateApiKeyResponse, api.createApiKey(body(
    "create a key", zod.CreateApiKeyBody, { name: "orval", scopes: ["devices:read" as const] })));

  // What a network server sends, with the connection's own key.
  const uplink = JSON.parse(readFileSync(environment("UPLINK"), "utf8"));
  const session = token;
  token = connection.ingest_key;
  await answered("an uplink", zod.CreateUplinkResponse, api.createUplink(connection.id, uplink));
  token = session;

  await answered("connections", zod.ListNetworkConnectionsResponse, api.listNetworkConnections({ total: true }));
  await answered("connection", zod.GetNetworkConnectionResponse, api.getNetworkConnection(connection.id));
  await answered("its events", zod.ListNetworkConnectionEventsResponse, api.listNetworkConnectionEvents(connection.id));
  await answered("drivers", zod.ListDriversResponse, api.listDrivers());
  await answered("versions", zod.ListDriverVersionsResponse, api.listDriverVersions("orval", "driver"));
  await answered("tag", zod.GetDriverTagResponse, api.getDriverTag("orval", "driver", "1"));
  await answered("devices", zod.ListDevicesResponse, api.listDevices({ sort: "-last_seen" }));
  await answered("device", zod.GetDeviceResponse, api.getDevice("orval-1"));
  const uplinks = await answered("uplinks", zod.ListDeviceUplinksResponse, api.listDeviceUplinks("orval-1"));
  must(uplinks.collection.length === 1, "the device has the uplink");
  await answered("device's events", zod.ListDeviceEventsResponse, api.listDeviceEvents("orval-1"));
  await answered("state", zod.GetDeviceStateResponse, api.getDeviceState("orval-1"));
  await answered("labels", zod.ListDeviceLabelsResponse, api.listDeviceLabels("orval-1"));
  await answered("tables", zod.ListDataTablesResponse, api.listDataTables());
  await answered("rows", zod.ListRowsResponse, api.listRows(table.id));
  await answered("integrations", zod.ListIntegrationsResponse, api.listIntegrations());
  await answered("integration", zod.GetIntegrationResponse, api.getIntegration(integration.id));
  await answered("health", zod.GetIntegrationHealthResponse, api.getIntegrationHealth(integration.id));
  await answered("users", zod.ListUsersResponse, api.listUsers());
  await answered("user", zod.GetUserResponse, api.getUser(user.id));
  await answered("keys", zod.ListApiKeysResponse, api.listApiKeys());
  await answered("key", zod.GetApiKeyResponse, api.getApiKey(key.id));
  await answered("tenants", zod.ListTenantsResponse, api.listTenants());
  await answered("audit log", zod.ListAuditLogResponse, api.listAuditLog({ limit: 100 }));

  // The schemas notice what is no answer of the hub's, and no request that it takes.
  must(!zod.GetDeviceResponse.safeParse({ id: "orval-1" }).success, "a device without its members is none");
  must(!zod.CreateDeviceBody.safeParse({ name: "a\nb" }).success, "a name with a line break is none");
  const refused = await api.createDevice({ name: "a\nb" });
  must(refused.status === 400, "the hub refuses it as well");
  console.log(`  ${checked} requests and answers fit their schemas`);
}

try {
  await scenario();
} catch (error) {
  console.log(`FAILED: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
