// The pages that consist of text: landing page and guide.

import { fits, hub, linksToTheOthers, must } from "./checks.mjs";

export async function landing(page) {
  await page.goto(`${hub}/`);
  await linksToTheOthers(page);
  await fits(page);
  const links = page.locator("main a");
  const paths = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  const missing = ["/docs", "/docs/reference", "/docs/guide/", "/openapi.json", "/openapi-3.1.yaml", "/readyz"].filter(
    (path) => !paths.includes(path),
  );
  must(missing.length === 0, `no links to ${missing}`);
  await page.locator('main a[href="/docs/guide/"]').click();
  await page.waitForURL(`${hub}/docs/guide/`);
  return `${paths.length} links`;
}

export async function guide(page) {
  await page.goto(`${hub}/docs/guide/`);
  await linksToTheOthers(page);
  const chapters = await page.locator("main dt a").evaluateAll((all) => all.map((link) => link.href));
  must(chapters.length > 20, `${chapters.length} chapters`);
  await fits(page);
  for (const chapter of chapters) {
    await page.goto(chapter);
    await fits(page);
    const current = await page.locator("nav.contents [aria-current]").getAttribute("href");
    must(chapter.endsWith(current), `${current} is marked among the chapters on ${chapter}`);
    const broken = await page.locator("main img").evaluateAll((all) => all.filter((image) => !image.naturalWidth).length);
    must(broken === 0, `${broken} images of ${chapter} are not there`);
  }
  // A heading's own link leads to it.
  await page.goto(`${hub}/docs/guide/selectors`);
  await page.locator("#terms a.anchor").click();
  must(page.url().endsWith("/docs/guide/selectors#terms"), page.url());
  const top = await page.locator("#terms").evaluate((heading) => heading.getBoundingClientRect().top);
  must(top > 0 && top < 200, `the heading is at ${top}`);
  return `${chapters.length} chapters`;
}
