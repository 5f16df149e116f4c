// Every page and state, in both themes and widths: axe, and what axe does not see.

const PAGES = ["/ui/", "/ui/activity", "/ui/registry", "/ui/system", "/ui/help", "/ui/endpoints/team-a/writer", "/ui/endpoints/team-a/nobody", "/ui/?status=broken", "/ui/?q=zzz"];
const MORE = {
  empty: ["/ui/", "/ui/registry", "/ui/activity"], rejected: ["/ui/endpoints/team-b/metadata-thief", "/ui/endpoints/team-b/odd"],
  "registry-away": ["/ui/", "/ui/registry", "/ui/system", "/ui/endpoints/team-a/research"], "no-registry": ["/ui/registry", "/ui/system"],
  "registry-garbage": ["/ui/registry"], standby: ["/ui/system"], deleted: ["/ui/endpoints/team-a/writer"], bug: ["/ui/", "/ui/endpoints/team-a/writer"], hostile: ["/ui/", "/ui/registry"], normal: PAGES,
};

/** Links and controls smaller than 24 px, with no exception but text that flows in a sentence (WCAG 2.5.8). */
const small = () => [...document.querySelectorAll("a, button, input:not([type=hidden]), select")].filter((e) => e.offsetParent && !e.classList.contains("skip")).map((e) => [e, e.getBoundingClientRect()])
  .filter(([, box]) => box.width < 23.9 || box.height < 23.9).map(([e, box]) => `${e.outerHTML.slice(0, 80)} ${Math.round(box.width)}×${Math.round(box.height)}`);

export async function accessibility({ config, browser, check, axe }) {
  let runs = 0;
  // All four at a time: each has a process of its own.
  await Promise.all(["light", "dark"].flatMap((colorScheme) => [320, 1280].map(async (width) => {
    // axe puts a script into the page, which the page's own policy would refuse: that is tested elsewhere.
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 800 }, bypassCSP: true });
    const page = await context.newPage();
    for (const [state, url] of Object.entries(config.urls)) {
      for (const path of MORE[state] ?? ["/ui/"]) {
        const name = `${state} ${path} ${colorScheme} ${width}`;
        await page.goto(url + path, { waitUntil: "load" });
        await page.evaluate(() => document.querySelector("#pause")?.click());
        await page.addScriptTag({ path: axe });
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
        for (const violation of violations) check(false, `${name}: ${violation.id}`, violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 120) + " " + (node.any[0]?.message ?? "")).join(" | "));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        check(wide <= 0, `${name}: overflow`, wide);
        const tiny = await page.evaluate(small);
        check(tiny.length === 0, `${name}: targets under 24 px`, tiny.slice(0, 4).join(" | "));
        if (width === 320) {
          // WCAG 1.4.12: other people's text spacing.
          await page.addStyleTag({ content: "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }" });
          const spaced = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          check(spaced <= 0, `${name}: overflow with text spacing`, spaced);
        }
        runs++;
      }
    }
    await context.close();
  })));
  console.log(`${runs} pages looked at`);
}
