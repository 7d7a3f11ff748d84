// What several pages are held to.

export const { HUB_URL: hub, HUB_PASSWORD: password, HUB_DEVICE: device, SCREENSHOTS: screenshots } = process.env;

export function must(condition, what) {
  if (!condition) throw new Error(what);
}

/** Every operation of the document that the page itself can load. */
export function operations(page) {
  return page.evaluate(async () => {
    const { paths } = await (await fetch("/openapi.json")).json();
    return Object.values(paths)
      .flatMap((item) => Object.values(item))
      .map(({ operationId, summary }) => ({ operationId, summary }));
  });
}

/** Nothing of the page is beyond the right edge of the window. */
export async function fits(page) {
  const { beyond, widest } = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const isWide = (element) => element.getBoundingClientRect().right > clientWidth;
    const wide = [...document.body.querySelectorAll("*")].filter(isWide).slice(0, 5);
    return { beyond: scrollWidth - clientWidth, widest: wide.map(({ tagName, className }) => `${tagName}.${className}`) };
  });
  must(beyond <= 0, `${page.url()} is ${beyond} pixels wider than the window: ${widest}`);
}

/** The links at the top lead to the other pages, and the one to this page is marked. */
export async function linksToTheOthers(page) {
  const links = page.locator("nav.site a");
  const paths = await links.evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  must(paths.join() === "/,/docs,/docs/reference,/docs/guide/", `the links at the top are ${paths}`);
  const marked = await page.locator("nav.site a[aria-current]").getAttribute("href");
  const { pathname } = new URL(page.url());
  const own = paths.filter((path) => path === pathname || (path !== "/" && pathname.startsWith(path)));
  const nearest = own.sort((one, other) => other.length - one.length)[0];
  must(marked === nearest, `the link to ${marked} is marked on ${page.url()}`);
}

/** Writes a picture of the page, or of a part of it, when pictures are asked for. */
export async function picture(page, name, options) {
  if (screenshots) await page.screenshot({ path: `${screenshots}/${name}.png`, ...options });
}
