// What both clients for TypeScript are put through. Each answers in the same form.

export interface HubError {
  code: number;
  error: string;
}

export interface Answer<T> {
  data?: T;
  error?: HubError;
  response?: Response;
}

export interface Page<Item> {
  collection: Item[];
  next_cursor: string | null;
}

/** What there is to do with one kind of resource. */
export interface Kind<Item, Id> {
  name: string;
  create(number: number): Promise<Id>;
  page(cursor: string | undefined): Promise<Answer<Page<Item>>>;
  id(item: Item): Id;
  get(id: Id): Promise<Answer<Item>>;
  delete(id: Id): Promise<Answer<Item>>;
}

export interface Client {
  name: string;
  logIn(username: string, password: string): Promise<Answer<{ token: string }>>;
  /** From now on, this token is sent. */
  use(token: string): void;
  session(): Promise<Answer<{ User: { username: string } }>>;
  logOut(): Promise<Answer<unknown>>;
  createDevice(name: string): Promise<Answer<unknown>>;
  getDevice(id: string): Promise<Answer<unknown>>;
  /** Every kind of resource, in an order in which each finds what it refers to. */
  kinds(): Kind<any, any>[];
}

/** Of the users that are made. */
export const PASSWORD = "two horses and a battery";
export const SCRIPT = "function decode(payload, port) { return {first: payload[0]}; }";

export function must(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** The data of an operation that must succeed. */
export function done<T>(answer: Answer<T>): T {
  if (answer.data === undefined) throw new Error(`an operation that must succeed answered ${JSON.stringify(answer.error)}`);
  return answer.data;
}

/** The error must be the typed object, and say the same as the status. */
function refused(what: string, status: number, answer: Answer<unknown>, text: string): void {
  const { error, response } = answer;
  if (error === undefined) throw new Error(`${what}: it was not refused`);
  must(response?.status === status && error.code === status, `${what}: ${response?.status} ${JSON.stringify(error)}`);
  must(error.error.includes(text), `${what}: "${error.error}" does not say "${text}"`);
  console.log(`  ${what}: ${error.code} ${error.error}`);
}

/** The ids of all, a page of one at a time. */
async function listAll<Item, Id>(kind: Kind<Item, Id>): Promise<Id[]> {
  const found: Id[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page: Page<Item> = done(await kind.page(cursor));
    must(page.collection.length <= 1, `${kind.name}: a page of ${page.collection.length}`);
    found.push(...page.collection.map(kind.id));
    cursor = page.next_cursor;
  }
  return found;
}

/** A variable that contract-tests/clients/run sets. */
export function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

async function scenario(client: Client): Promise<void> {
  refused("a wrong password", 400, await client.logIn("admin", "wrong"), "invalid credentials");
  const { token } = done(await client.logIn("admin", environment("HUB_PASSWORD")));
  client.use(token);
  must(done(await client.session()).User.username === "admin", "the session is the administrator's");

  // The administrator and the tenant are there from the start.
  const made: { kind: Kind<any, any>; before: unknown[]; ids: unknown[] }[] = [];
  for (const kind of client.kinds()) {
    made.push({ kind, before: await listAll(kind), ids: [await kind.create(1), await kind.create(2)] });
  }
  for (const { kind, before, ids } of made) {
    const found = JSON.stringify(await listAll(kind));
    const expected = JSON.stringify([...before, ...ids]);
    must(found === expected, `${kind.name}: there are ${expected}, but found ${found}`);
    console.log(`  ${kind.name}: ${found}`);
  }

  refused("a name with a line break", 400, await client.createDevice("a\nb"), "name: ");
  client.use("none");
  refused("no such token", 401, await client.session(), "a valid token is required");
  client.use(token);
  refused("no such device", 404, await client.getDevice("none"), "there is no device");
  client.use(done(await client.logIn(`${client.name}-viewer-1`, PASSWORD)).token);
  refused("a viewer who creates", 403, await client.createDevice("a"), "may only read");
  client.use(token);

  for (const { kind, before, ids } of made.reverse()) {
    for (const id of ids) {
      done(await kind.delete(id));
      refused(`${kind.name}, deleted`, 404, await kind.get(id), "there is no ");
    }
    must((await listAll(kind)).length === before.length, `${kind.name} are left`);
  }
  done(await client.logOut());
  refused("an ended session", 401, await client.session(), "a valid token is required");
}

export async function run(client: Client): Promise<void> {
  try {
    await scenario(client);
  } catch (error) {
    console.log(`FAILED: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
