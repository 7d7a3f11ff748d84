// Redoc, read and searched.

import { fits, hub, linksToTheOthers, must, operations } from "./checks.mjs";

async function search(page, phrase) {
  const box = page.locator('input[aria-label="Search"]');
  const results = page.locator('[data-role="search:results"] li');
  await box.fill("");
  await results.first().waitFor({ state: "detached" });
  await box.fill(phrase);
  await results.first().waitFor();
  return (await results.allInnerTexts()).map((result) => result.trim());
}

export async function reference(page) {
  await page.goto(`${hub}/docs/reference`);
  await page.locator('[data-section-id*="/operation/"]').first().waitFor();
  await linksToTheOthers(page);
  const expected = await operations(page);
  const headings = await page.locator('[data-section-id*="/operation/"] h2').allInnerTexts();
  const missing = expected.filter(({ summary }) => !headings.some((heading) => heading.trim() === summary));
  must(missing.length === 0, `not shown: ${missing.map(({ operationId }) => operationId).join(", ")}`);
  await fits(page);

  // On narrow pages the search is in a menu that is closed.
  if (await page.locator('input[aria-label="Search"]').isVisible()) {
    must((await search(page, "ingest key")).length > 0, "the search finds no words of a text");
    const { summary } = expected.find(({ operationId }) => operationId === "list_devices");
    const found = await search(page, "silent_for_s");
    must(found.some((result) => result.includes(summary)), `a parameter's name finds ${found}`);
  }
  const hidden = page.locator("[data-section-id] div[hidden]").first();
  must(!(await hidden.isVisible()), "the names for the search are in sight");
  return `${headings.length} operations`;
}
