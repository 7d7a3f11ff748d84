// Swagger UI, used as a person would.

import { device, fits, hub, linksToTheOthers, must, operations, password, picture } from "./checks.mjs";

const LOG_IN = "#operations-Log_in-create_token";
const LOG_OUT = "#operations-Log_in-delete_token";
const LIST = "#operations-Devices-list_devices";

/** Opens an operation, changes its body, executes it, and gives the answer's body. */
async function execute(page, operation, body) {
  const block = page.locator(operation);
  await block.locator(".opblock-summary-control").click();
  if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  await block.locator(".execute").click();
  const answer = block.locator(".live-responses-table .response");
  await answer.waitFor();
  const status = (await answer.locator(".response-col_status").innerText()).trim();
  must(/^200\b/.test(status), `the answer's status is ${status}`);
  return JSON.parse(await answer.locator(".highlight-code pre, pre.microlight").first().innerText());
}

/** The dialog "Authorize": the schemes in their order, and whether the first one is in use. */
async function authorization(page) {
  await page.locator(".auth-wrapper .authorize").click();
  const schemes = page.locator(".modal-ux .auth-container");
  await schemes.first().waitFor();
  const names = await schemes.locator("h4 code").allInnerTexts();
  const isUsed = (await schemes.first().getByRole("button", { name: "Remove authorization" }).count()) === 1;
  await page.locator(".modal-ux .close-modal").click();
  return { names, isUsed };
}

/** What of the tags and operations is in sight. */
async function shown(page) {
  const texts = (selector) => page.locator(selector).evaluateAll((all) => all.map((one) => one.id.split("-").pop()));
  return { tags: await texts(".opblock-tag"), operations: await texts(".opblock") };
}

async function find(page, phrase) {
  await page.locator(".operation-filter-input").fill(phrase);
}

export async function swagger(page) {
  await page.goto(`${hub}/docs`);
  await page.locator(".opblock-tag").first().waitFor();
  await linksToTheOthers(page);
  const expected = (await operations(page)).map(({ operationId }) => operationId);
  const folded = await shown(page);
  must(folded.tags.length > 10 && folded.operations.length === 0, `at first ${JSON.stringify(folded)} is shown`);
  await fits(page);

  // Whatever an operation is called or takes finds it.
  await find(page, "silent_for_s");
  await page.locator(LIST).waitFor();
  const found = await shown(page);
  must(found.operations.join() === "list_devices", `the filter finds ${found.operations}`);
  await find(page, "/");
  await page.locator(LOG_OUT).waitFor();
  const all = await shown(page);
  const missing = expected.filter((id) => !all.operations.includes(id));
  must(missing.length === 0, `not shown: ${missing}`);

  const before = await authorization(page);
  must(before.names[0] === "token", `the schemes are ${before.names}`);
  must(!before.isUsed, "there is a token before the log-in");

  // The log-in is followed by requests with its token.
  await execute(page, LOG_IN, { username: "admin", password });
  const after = await authorization(page);
  must(after.isUsed, "the token of the log-in is not used");
  await picture(page, "log-in", { clip: await around(page, LOG_IN, 640) });
  const listed = (await execute(page, LIST)).collection.map(({ id }) => id);
  must(listed.length === 1 && listed[0] === device, `the answer shows the devices ${listed}`);
  await fits(page);
  // A link to an operation opens it, also after the page was closed.
  await page.waitForLoadState("networkidle");
  await page.goto("about:blank");
  await page.goto(`${hub}/docs/#/Devices/list_devices`);
  await page.locator(`${LIST}.is-open`).waitFor();
  must((await authorization(page)).isUsed, "the token is forgotten");
  await page.locator(`${LIST} .execute`).click();
  await page.locator(`${LIST} .live-responses-table .response`).waitFor();
  await fits(page);
  await picture(page, "swagger-ui", { clip: await around(page, LIST, 900) });

  await find(page, "Log in");
  await execute(page, LOG_OUT);
  must(!(await authorization(page)).isUsed, "the token is used after the log-out");
  return `${all.operations.length} operations, folded; found by a parameter; log-in, list, link, log-out`;
}

/** The upper part of an operation, as far as a picture has room for it. */
async function around(page, operation, height) {
  const block = page.locator(operation);
  await block.evaluate((element) => element.scrollIntoView({ block: "start" }));
  await page.evaluate(() => window.scrollBy(0, -60));
  const { x, y, width, height: whole } = await block.boundingBox();
  return { x, y, width, height: Math.min(whole, height) };
}
