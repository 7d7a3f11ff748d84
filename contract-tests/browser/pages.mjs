// Uses both pages; ends with status 1 and a line for each thing that is wrong.

import { open, watchedPage } from "./browser.mjs";

const { HUB_URL: hub, HUB_TOKEN: token, HUB_DEVICE: device, SCREENSHOT: screenshot } = process.env;

function must(condition, what) {
  if (!condition) throw new Error(what);
}

/** Every operation of the document that the page itself can load. */
function operations(page) {
  return page.evaluate(async () => {
    const { paths } = await (await fetch("/openapi.json")).json();
    return Object.values(paths).flatMap((item) => Object.values(item)).map(({ operationId, summary }) => ({ operationId, summary }));
  });
}

/** Authorize, execute "List devices", and read the answer. */
async function swagger(page) {
  await page.goto(`${hub}/docs`);
  await page.locator(".opblock").first().waitFor();
  const expected = (await operations(page)).length;
  const shown = await page.locator(".opblock").count();
  must(shown === expected, `${shown} of ${expected} operations are shown`);

  await page.locator(".auth-wrapper .authorize").click();
  const scheme = page.locator(".modal-ux .auth-container").filter({ has: page.locator("h4 code", { hasText: /^token$/ }) });
  await scheme.locator("input").fill(token);
  await scheme.getByRole("button", { name: "Apply credentials" }).click();
  await scheme.getByRole("button", { name: "Remove authorization" }).waitFor();
  await scheme.getByRole("button", { name: "Close" }).click();

  const operation = page.locator("#operations-Devices-list_devices");
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".execute").click();
  const answer = operation.locator(".live-responses-table .response");
  await answer.waitFor();
  const status = (await answer.locator(".response-col_status").innerText()).trim();
  must(/^200\b/.test(status), `the answer's status is ${status}`);
  const body = await answer.locator(".highlight-code pre, pre.microlight").first().innerText();
  const found = JSON.parse(body).collection.map(({ id }) => id);
  must(found.length === 1 && found[0] === device, `the answer shows the devices ${found}`);

  // The token in the picture ends with this hub.
  if (screenshot) {
    await page.setViewportSize({ width: 1200, height: 1650 });
    await operation.evaluate((element) => element.scrollIntoView());
    await page.screenshot({ path: screenshot });
  }
  return `${shown} operations; authorized; "List devices" answered ${status} with ${found}`;
}

/** Read, and search. */
async function reference(page) {
  await page.goto(`${hub}/docs/reference`);
  await page.locator('[data-section-id*="/operation/"]').first().waitFor();
  const expected = await operations(page);
  const headings = await page.locator('[data-section-id*="/operation/"] h2').allInnerTexts();
  const missing = expected.filter(({ summary }) => !headings.some((heading) => heading.trim() === summary));
  must(missing.length === 0, `not shown: ${missing.map(({ operationId }) => operationId).join(", ")}`);

  await page.locator('input[aria-label="Search"]').fill("ingest key");
  await page.locator('[data-role="search:results"] li').first().waitFor();
  return `${headings.length} operations; the search finds`;
}

let failures = 0;
const browser = await open();
try {
  for (const [path, use] of [["/docs", swagger], ["/docs/reference", reference]]) {
    const { page, problems } = await watchedPage(browser, hub);
    try {
      console.log(`  ${path}: ${await use(page)}`);
    } catch (error) {
      problems.push(error.message);
    }
    // What is still under way must not get away.
    await page.waitForLoadState("networkidle");
    for (const problem of problems) console.log(`FAILED: ${path}: ${problem}`);
    failures += problems.length;
    await page.context().close();
  }
} finally {
  await browser.close();
}
process.exitCode = failures === 0 ? 0 : 1;
