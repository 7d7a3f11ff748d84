// Pages of other origins: one that the hub allows uses the API and follows events, and one that it does
// not allow can do neither. Ends with status 1 and a line for each thing that is wrong.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { request } from "node:https";

import { open } from "./browser.mjs";

const {
  HUB_URL: hub, HUB_CERTIFICATE: certificate, HUB_PASSWORD: password, HUB_DEVICE: device,
  HUB_CONNECTION: connection, HUB_INGEST_KEY: ingestKey, UPLINK: message, SAMPLE: sample,
  ALLOWED_ORIGIN: allowed, OTHER_ORIGIN: other,
} = process.env;
const SECONDS_MAX = 20;

function must(condition, what) {
  if (!condition) throw new Error(what);
}

/** The complete page of the documentation, for this hub. */
function documented() {
  const [, page] = readFileSync(sample, "utf8").match(/```html\n([^]*?)```/);
  must(page.includes("https://hub.example.com/"), "the documented page names another hub");
  return page.replace("https://hub.example.com", hub);
}

/** At an origin on this machine, an empty page, and the documented one. */
function serve(origin) {
  const server = createServer(({ url }, response) => {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(url === "/sample" ? documented() : '<!doctype html><title>An app</title><link rel="icon" href="data:,">');
  });
  return new Promise((resolve) => server.listen(Number(new URL(origin).port), "127.0.0.1", () => resolve(server)));
}

/** Posts an uplink as the network server; gives its id. */
function uplink(counter) {
  const body = JSON.parse(readFileSync(message, "utf8"));
  body.uplink_message.f_cnt = counter;
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${ingestKey}` };
  return new Promise((resolve, reject) => {
    const url = `${hub}/api/v3/network-connections/${connection}/uplinks`;
    const sent = request(url, { method: "POST", headers, ca: readFileSync(certificate) }, (response) => {
      let text = "";
      response.on("data", (piece) => (text += piece));
      response.on("end", () => {
        const receipt = JSON.parse(text);
        if (receipt.status === "recorded") resolve(receipt.uplink_id);
        else reject(new Error(`the uplink was answered with ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}

/** Functions of the app, as a page would have them. */
function app() {
  window.call = async (url, { token, ...options } = {}) => {
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (options.body) headers["Content-Type"] = "application/json";
    const answer = await fetch(url, { ...options, headers });
    const named = ["ETag", "X-Request-Id", "Location"].map((name) => [name, answer.headers.get(name)]);
    return { status: answer.status, headers: Object.fromEntries(named), body: await answer.json() };
  };
  window.follow = (url) => {
    window.seen = [];
    window.source = new EventSource(url);
    window.source.onopen = () => window.seen.push("open");
    window.source.onerror = () => window.seen.push(window.source.readyState === EventSource.CLOSED ? "closed" : "broken");
    window.source.addEventListener("uplink", (event) => {
      window.seen.push(`${event.lastEventId} of ${JSON.parse(event.data).device_id}`);
    });
  };
}

async function pageAt(browser, origin) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(app);
  await page.goto(`${origin}/`);
  return page;
}

/** Waits until the page has seen something, and more often than before. */
function sees(page, what, times = 1) {
  const enough = ([what, times]) => window.seen.filter((seen) => seen === what).length >= times;
  return page.waitForFunction(enough, [what, times], { timeout: SECONDS_MAX * 1000 }).catch(async () => {
    throw new Error(`the page did not see "${what}", but ${JSON.stringify(await page.evaluate(() => window.seen))}`);
  });
}

async function allowedPage(browser) {
  const page = await pageAt(browser, allowed);
  const call = (path, options) => page.evaluate(([url, options]) => window.call(url, options), [`${hub}/api/v3${path}`, options]);
  const credentials = JSON.stringify({ username: "admin", password });
  const login = await call("/auth/token", { method: "POST", body: credentials });
  must(login.status === 200 && login.headers["X-Request-Id"], `the log-in was answered with ${JSON.stringify(login)}`);
  const { token } = login.body;

  const refused = await call("/devices", { token: "wrong" });
  must(refused.status === 401 && refused.body.code === 401, `a wrong token was answered with ${JSON.stringify(refused)}`);
  const found = await call(`/devices/${device}`, { token });
  const { ETag: etag } = found.headers;
  must(etag, `the device's ETag cannot be read: ${JSON.stringify(found)}`);
  const body = JSON.stringify({ labels: ["floor=2"] });
  const changed = await call(`/devices/${device}/labels`, {
    token, method: "POST", body, headers: { "If-Match": etag, "Idempotency-Key": "once" },
  });
  must(changed.status === 200, `the labels were answered with ${JSON.stringify(changed)}`);

  const made = await call("/events/stream-key", { token, method: "POST" });
  must(made.status === 200 && made.body.key, `the stream key was answered with ${JSON.stringify(made)}`);
  const { key } = made.body;
  // A stream that ends soon: the browser comes back by itself, with the last id that it has seen.
  const query = new URLSearchParams({ stream_key: key, device_id: device, kinds: "uplink", for_s: "2" });
  await page.evaluate((url) => window.follow(url), `${hub}/api/v3/events?${query}`);
  await sees(page, "open");
  const first = await uplink(1001);
  await sees(page, `${first} of ${device}`);
  await sees(page, "broken");
  const second = await uplink(1002);
  await sees(page, `${second} of ${device}`);
  await sees(page, "open", 2);
  await page.evaluate(() => window.source.close());
  await page.context().close();
  return key;
}

async function documentedPage(browser) {
  const page = await pageAt(browser, allowed);
  await page.goto(`${allowed}/sample`);
  const opened = page.waitForResponse((response) => response.url().includes("/events?"), { timeout: SECONDS_MAX * 1000 });
  await page.locator("input[name=username]").fill("admin");
  await page.locator("input[name=password]").fill(password);
  await page.locator("button").click();
  must((await opened).status() === 200, "the documented page follows nothing");
  await uplink(1003);
  await page.locator("#events li", { hasText: `uplink of ${device}` }).waitFor({ timeout: SECONDS_MAX * 1000 });
  await page.context().close();
}

async function otherPage(browser, key) {
  const page = await pageAt(browser, other);
  const outcome = await page.evaluate(
    ([url, body]) => window.call(url, { method: "POST", body }).then(({ status }) => `status ${status}`, (error) => error.name),
    [`${hub}/api/v3/auth/token`, JSON.stringify({ username: "admin", password })],
  );
  must(outcome === "TypeError", `a page that is not allowed could log in: ${outcome}`);
  const query = new URLSearchParams({ stream_key: key, for_s: "2" });
  await page.evaluate((url) => window.follow(url), `${hub}/api/v3/events?${query}`);
  await sees(page, "closed");
  const seen = await page.evaluate(() => window.seen);
  must(!seen.includes("open"), `a page that is not allowed could follow: ${JSON.stringify(seen)}`);
  await page.context().close();
}

const servers = [await serve(allowed), await serve(other)];
const browser = await open();
try {
  const key = await allowedPage(browser);
  console.log("  a page of an allowed origin: logged in, changed labels, followed events over a break");
  await documentedPage(browser);
  console.log("  the documented page: shows an uplink");
  await otherPage(browser, key);
  console.log("  a page of another origin: refused");
} catch (error) {
  console.log(`FAILED: pages of other origins: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
  for (const server of servers) server.close();
}
