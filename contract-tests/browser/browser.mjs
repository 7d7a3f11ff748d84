// Chromium as a person has it, but for two things: the hub's own certificate is trusted, and only
// that one; and there is no other machine that it could reach.

import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { chromium } from "playwright-core";

function keyHash(certificate) {
  const key = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}

export function open() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Chromium has no sandbox for root.
    chromiumSandbox: process.getuid() !== 0,
    args: [
      `--ignore-certificate-errors-spki-list=${keyHash(process.env.HUB_CERTIFICATE)}`,
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
}

/** Swagger UI warns of underscores in links to operations, which all operation ids have. */
const KNOWN = "escaping deep link whitespace";

/** A new page of this width, and the list that everything goes to which must not happen on it. */
export async function watchedPage(browser, origin, width) {
  const context = await browser.newContext({ viewport: { width, height: 1000 } });
  const page = await context.newPage();
  const problems = [];
  // The origin of a blob is that of the page which made it.
  const isOwn = (url) => url.protocol === "data:" || url.origin === origin;
  context.on("request", (request) => {
    if (!isOwn(new URL(request.url()))) problems.push(`a request to ${request.url()}`);
  });
  context.on("requestfailed", (request) => {
    problems.push(`a request that failed: ${request.url()}: ${request.failure()?.errorText}`);
  });
  page.on("console", (message) => {
    if ((message.type() === "error" || message.type() === "warning") && !message.text().includes(KNOWN)) {
      problems.push(`the console has a message of type ${message.type()}: ${message.text()} ${message.location().url}`);
    }
  });
  page.on("pageerror", (error) => problems.push(`an error that nothing caught: ${error.message}`));
  // Not every violation reaches the console.
  await page.exposeFunction("tellViolation", (text) => problems.push(`against the content security policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.tellViolation(`${event.violatedDirective}: ${event.blockedURI}`);
    });
  });
  return { page, problems };
}
