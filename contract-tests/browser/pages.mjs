// Uses all pages, on a wide and on a narrow screen; ends with status 1 and a line for each thing that is wrong.

import { open, watchedPage } from "./browser.mjs";
import { hub } from "./checks.mjs";
import { reference } from "./reference.mjs";
import { swagger } from "./swagger.mjs";
import { guide, landing } from "./texts.mjs";

const PAGES = [["/", landing], ["/docs", swagger], ["/docs/reference", reference], ["/docs/guide/", guide]];
/** The narrow one first: pictures are of the wide one, which overwrites them. */
const WIDTHS = [390, 1440];

let failures = 0;
const browser = await open();
try {
  for (const width of WIDTHS) {
    for (const [path, use] of PAGES) {
      const { page, problems } = await watchedPage(browser, hub, width);
      const name = `${path} at ${width} pixels`;
      try {
        console.log(`  ${name}: ${await use(page)}`);
      } catch (error) {
        problems.push(error.message);
      }
      // What is still under way must not get away.
      await page.waitForLoadState("networkidle");
      for (const problem of problems) console.log(`FAILED: ${name}: ${problem}`);
      failures += problems.length;
      await page.context().close();
    }
  }
} finally {
  await browser.close();
}
process.exitCode = failures === 0 ? 0 : 1;
