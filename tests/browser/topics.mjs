// What is looked at, topic by topic. Each gets `check(holds, what, detail)` and `until(page, what, condition)`.
import { accessibility } from "./accessibility.mjs";

const live = (text) => document.querySelector("#live")?.textContent.startsWith(text);

async function shapes({ config, open, check }) {
  const page = await open(config.urls.normal + "/ui/help", { deviceScaleFactor: 2 });
  const pictures = new Map();
  const marks = page.locator(".words svg.i");
  check(await marks.count() === 6, "six shapes", await marks.count());
  for (const mark of await marks.all()) {
    // Outlines alone: the same black for all of them.
    await mark.evaluate((svg) => { svg.parentElement.style.setProperty("color", "#000"); });
    const word = await mark.evaluate((svg) => svg.parentElement.textContent);
    const pixels = (await mark.screenshot()).toString("base64");
    check(![...pictures.values()].includes(pixels), `${word} looks like another`);
    pictures.set(word, pixels);
  }
  await page.done();
}

async function keyboard({ config, open, check }) {
  for (const path of ["/ui/", "/ui/endpoints/team-a/writer", "/ui/registry", "/ui/activity", "/ui/system", "/ui/help"]) {
    const page = await open(config.urls.normal + path);
    await page.evaluate(() => document.querySelector("#pause").click()); // what is updated is another topic
    const stops = [];
    const stop = () => page.evaluate(() => {
      const e = document.activeElement;
      if (e === document.body) return null;
      const box = e.getBoundingClientRect(), style = getComputedStyle(e);
      const at = document.elementFromPoint(box.x + Math.min(box.width / 2, box.width - 1), box.y + box.height / 2);
      return {
        text: (e.textContent.trim() || e.name || e.tagName).slice(0, 40) + "@" + Math.round(box.x + scrollX) + "," + Math.round(box.y + scrollY), skip: e.classList.contains("skip"),
        outline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: box.bottom > 0 && box.top < innerHeight && (at === e || e.contains(at) || at?.contains(e)),
      };
    });
    await page.keyboard.press("Tab");
    for (let i = 0; i < 120; i++) {
      const here = await stop();
      if (!here || (stops.length && here.text === stops[0].text)) break;
      stops.push(here);
      await page.keyboard.press("Tab");
    }
    check(stops.length > 6 && stops.length < 120, `${path} has stops`, stops.length);
    check(stops[0]?.skip, `${path}: the skip link is first`, stops[0]?.text);
    for (const here of stops) check(here.outline && here.seen, `${path}: the focus on ${here.text} is seen`, JSON.stringify(here));
    // And back: the same stops, with no trap.
    await page.evaluate(() => { const all = [...document.querySelectorAll("a, button, input, select, [tabindex='0']")].filter((e) => e.offsetParent); all.at(-1).focus(); });
    let back = 0;
    for (; back < 130 && !(await stop())?.skip; back++) await page.keyboard.press("Shift+Tab");
    check(Math.abs(back - stops.length) <= 2, `${path}: as many stops back`, `${back} of ${stops.length}`);
    await page.done();
  }
  const page = await open(config.urls.normal + "/ui/");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id) === "main", "the skip link leads to the content");
  await page.keyboard.press("/");
  check(await page.evaluate(() => document.activeElement.id) === "q", "the key / leads to the search field");
  await page.goto(config.urls.normal + "/ui/help");
  await page.uncheck("#slash");
  await page.goto(config.urls.normal + "/ui/");
  await page.keyboard.press("/");
  check(await page.evaluate(() => document.activeElement.id) !== "q", "the key can be switched off");
  check((await page.title()).startsWith("(1 failing) Agent endpoints"), "the title has the count", await page.title());
  await page.done();
}

async function noJavascript({ config, open, check }) {
  const page = await open(config.urls.normal + "/ui/", { javaScriptEnabled: false });
  const names = () => page.locator("#rows th").allTextContents();
  check((await names()).length === 8, "all rows are there");
  await page.click("ul.chips a:has-text('Failing')");
  check((await names()).join() === "writer", "a status is a link", await names());
  await page.click("ul.chips a:has-text('All')");
  await page.fill("#q", "planner");
  await page.click("button[type=submit]");
  check((await names()).join() === "planner", "the search is a form", await names());
  check(new URL(page.url()).search === "?q=planner", "the address has only what says something", page.url());
  await page.click("#rows th a");
  check((await page.locator("h1").textContent()) === "planner", "a name leads to the endpoint");
  for (const name of ["Activity", "Registry", "System", "Help", "Endpoints"]) {
    await page.click(`header nav a:has-text('${name}')`);
    check(await page.locator("header nav a[aria-current=page]").textContent() === name, `${name} is lit`);
  }
  check(await page.locator("#pause").isHidden(), "no button that does nothing");
  await page.goto(config.urls.many + "/ui/", { waitUntil: "load" });
  await page.click("a[rel=next]");
  check(await page.locator("#rows tr").count() === 30, "the second page has the rest");
  await page.close();
}

async function changes({ config, open, check, act, until }) {
  const page = await open(config.urls.normal + "/ui/");
  await until(page, "a stream", live, "Live");
  const names = () => page.locator("#rows th").allTextContents();
  const before = await names();
  await page.focus("#rows tr:first-child th a");
  await act("normal", "writer-says-more");
  await until(page, "the new message", () => document.querySelector("#rows tr .msg").textContent.includes("Something else now."));
  check((await names()).join() === before.join(), "the order stays");
  check(await page.evaluate(() => document.activeElement.textContent) === "writer", "the focus stays on its row");
  check(await page.locator("#more").isHidden(), "nothing is offered");
  await act("normal", "planner-fails");
  await until(page, "the row in place", () => [...document.querySelectorAll("#rows tr")].find((row) => row.id === "r-team-b/planner").dataset.word === "failing");
  check((await names()).join() === before.join(), "no row moves", await names());
  await until(page, "the offer", () => !document.querySelector("#more").hidden);
  await until(page, "the announcement", () => document.querySelector("#say").textContent === "1 endpoint began to fail.");
  await until(page, "the counts", () => document.querySelector("a[data-count].st-failing").dataset.count === "2");
  check((await page.title()).startsWith("(2 failing)"), "the title follows", await page.title());
  check(await page.evaluate(() => document.activeElement.textContent) === "writer", "the focus is still there");
  const asked = page.asked.length;
  await page.click("#more button");
  check((await names()).slice(0, 2).join() === "writer,planner", "the new order", await names());
  check(page.asked.length === asked, "no page load for that");
  check(await page.locator("#more").isHidden(), "the offer is gone");
  await act("normal", "planner-recovers");
  await until(page, "updates go on after that", () => [...document.querySelectorAll("#rows tr")].find((row) => row.id === "r-team-b/planner").dataset.word === "ready");
  await page.done();
  const detail = await open(config.urls.normal + "/ui/endpoints/team-b/planner");
  await until(detail, "a stream", live, "Live");
  await act("normal", "planner-fails");
  await until(detail, "the state", () => document.querySelector("#state .st").textContent === "Failing");
  check(await detail.locator("#same-s button").count() === 3, "commands can be copied");
  await detail.done();
  const later = await open(config.urls.normal + "/ui/", { timezoneId: "Asia/Tokyo" });
  check(!(await later.locator("main").textContent()).includes("-"+"1"), "ages follow the server's clock");
  check((await later.locator("#rows tr:last-child time").textContent()).endsWith(" ago"), "an age");
  await later.done();
}

async function pause({ config, open, check, act, until }) {
  const page = await open(config.urls.normal + "/ui/");
  await until(page, "a stream", live, "Live");
  await page.click("#pause");
  check(await page.getAttribute("#pause", "aria-pressed") === "true", "the button is pressed");
  const asked = page.asked.length;
  await page.waitForTimeout(200);
  check(page.streams.size === 0, "the stream is closed", page.streams.size);
  await act("normal", "planner-fails");
  // Longer than a poll, a beat, and the time after which a page that hears nothing is called stale.
  await page.waitForTimeout(4000);
  check(page.asked.length === asked, "no request", page.asked.slice(asked).join());
  check(await page.locator("#stale").isHidden(), "paused is not stale");
  check((await page.locator("#live").textContent()).startsWith("Paused at"), "it says so");
  await page.click("#pause");
  await until(page, "what was missed", () => document.querySelector("a[data-count].st-failing").dataset.count === "2");
  await page.done();
}

async function tabs(tools) {
  await eightTabs(tools);
  // Where the browser has no locks (plain http from another machine) the tabs ask around.
  await eightTabs(tools, () => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
}

async function eightTabs({ config, browser, open, check, until }, before_all) {
  const context = await browser.newContext();
  if (before_all) await context.addInitScript(before_all);
  const pages = await Promise.all(Array.from({ length: 8 }, () => open(config.urls.normal + "/ui/", {}, context)));
  for (const page of pages) {
    check(await page.locator("#rows tr").count() === 8, "every tab has its rows");
    await until(page, "live or polling", () => /^(Live|Polling)/.test(document.querySelector("#live").textContent));
  }
  const words = async () => Promise.all(pages.map((page) => page.locator("#live").textContent()));
  const count = (list, word) => list.filter((text) => text.startsWith(word)).length;
  // Tabs that ask around settle; the browser's own locks are exact from the start.
  const settled = Date.now();
  while (before_all && count(await words(), "Live") > 4 && Date.now() - settled < 5000) await pages[0].waitForTimeout(100);
  check(count(await words(), "Live") <= 4 && count(await words(), "Live") >= 1, "at most four streams", (await words()).join());
  const streams = pages.reduce((sum, page) => sum + page.streams.size, 0);
  check(streams >= 1 && streams <= 4, "at most four streams on the network", streams);
  check(count(await words(), "Polling") >= 4, "the others poll", (await words()).join());
  const streaming = (await words()).findIndex((text) => text.startsWith("Live"));
  const left = pages.splice(streaming, 1)[0];
  const before = count(await words(), "Live");
  await left.done();
  const start = Date.now();
  while (count(await words(), "Live") <= before && Date.now() - start < 10000) await pages[0].waitForTimeout(100);
  check(count(await words(), "Live") === before + 1, "a place that became free is taken", (await words()).join());
  for (const page of pages) await page.done();
  await context.close();
}

async function stale({ config, open, check, act, until, axe }) {
  const page = await open(config.urls.normal + "/ui/", { bypassCSP: true });
  await until(page, "a stream", live, "Live");
  await act("normal", "kill");
  const start = Date.now();
  await until(page, "the banner", () => !document.querySelector("#stale").hidden);
  const took = Date.now() - start;
  check(took >= 1500 && took < 8000, "3 s of silence, and a little", took);
  check(/Not updating since \d/.test(await page.locator("#stale").textContent()), "with the time");
  check(await page.locator("#rows tr").count() === 8, "the rows are still there");
  check((await page.locator("#live").textContent()).startsWith("Reconnecting") || (await page.locator("#live").textContent()).startsWith("Polling"), "it says so", await page.locator("#live").textContent());
  await until(page, "one announcement", () => document.querySelector("#say").textContent.startsWith("Connection lost."));
  await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() => window.axe.run());
  check(violations.length === 0, "axe on the stale page", violations.map((violation) => violation.id).join());
  await act("normal", "revive");
  await until(page, "the return", () => document.querySelector("#stale").hidden, undefined, 40000);
  check(!(await page.evaluate(() => document.body.classList.contains("is-stale"))), "nothing is grey any more");
  await page.done();
}

async function polling({ config, open, check, act, until }) {
  const page = await open(config.urls.normal + "/ui/");
  await until(page, "polling", live, "Polling");
  await act("normal", "planner-fails");
  await until(page, "the change", () => document.querySelector("a[data-count].st-failing").dataset.count === "2");
  check(await page.locator("#stale").isHidden(), "not stale");
  const events = page.asked.filter((url) => url.endsWith("/events")).length;
  check(events <= 2, "a stream that is refused is not asked for again and again", events);
  await page.done();
}

async function build({ config, browser, check, until }) {
  const page = await browser.newPage();
  await page.route("**/ui/", async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: (await answer.text()).replace(/data-build="[^"]*"/, 'data-build="0.0.9+old"') });
  });
  await page.goto(config.urls.normal + "/ui/");
  await until(page, "the offer", () => !document.querySelector("#newer").hidden);
  check(await page.locator("#reload").isVisible(), "a button to reload");
  await page.close();
}

async function preferences({ config, open, check, act, until }) {
  for (const [reducedMotion, name] of [["reduce", "none"], ["no-preference", "turned"]]) {
    const page = await open(config.urls.normal + "/ui/", { reducedMotion });
    await until(page, "a stream", live, "Live");
    await act("normal", name === "none" ? "planner-fails" : "planner-recovers");
    await until(page, "the turned row", () => document.querySelector(".turned"));
    const animation = await page.evaluate(() => getComputedStyle(document.querySelector(".turned")).animationName);
    check(animation === name, `with ${reducedMotion} the animation is ${name}`, animation);
    await page.done();
  }
  const page = await open(config.urls.normal + "/ui/", { forcedColors: "active" });
  const seen = await page.evaluate(() => [...document.querySelectorAll("#rows svg.i")].every((svg) => {
    const style = getComputedStyle(svg);
    return style.fill !== getComputedStyle(document.body).backgroundColor && svg.getBoundingClientRect().width > 10;
  }));
  check(seen, "shapes differ from the background in forced colours");
  await page.done();
}

async function hostile({ config, open, check }) {
  const page = await open(config.urls.hostile + "/ui/?size=200");
  const paths = await page.evaluate(() => [...document.querySelectorAll("#rows th a")].map((a) => a.href));
  check(paths.length === 18, "every row is there", paths.length);
  for (const path of [...paths, "/ui/activity", "/ui/registry", "/ui/system", "/ui/?q=%3Cscript%3Ealert(1)%3C/script%3E", "/ui/?status=%3Cimg%20src=x%20onerror=alert(1)%3E"]) {
    await page.goto(new URL(path, config.urls.hostile).href, { waitUntil: "load" });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(wide <= 0, `${path} overflows`, wide);
    check(await page.locator("a[href^='javascript:'], img, iframe, object").count() === 0, `${path} has what it must not have`);
  }
  await page.done();
}

async function skew({ config, open, until, check }) {
  const page = await open(config.urls.normal + "/ui/");
  await until(page, "a stream", live, "Live");
  // The script has drawn the ages anew.
  await until(page, "a beat", () => /heard [1-9]|heard 0/.test(document.querySelector("#live").textContent));
  await page.waitForFunction(() => window.performance.now() > 2500);
  const ages = await page.evaluate(() => [...document.querySelectorAll("#rows time.ago")].map((time) => time.textContent));
  for (const age of ["2 min ago", "66 min ago", "2 d ago"]) check(ages.includes(age), `an age by the server's clock: ${age}`, ages.join());
  check(ages.every((age) => !age.includes("-")), "no age is negative", ages.join());
  await page.done();
}

async function many({ config, open, check }) {
  for (const path of ["/ui/", "/ui/?q=agent-09&sort=since", "/ui/?page=50&size=200"]) {
    const page = await open(config.urls.many + path);
    const timing = await page.evaluate(() => {
      const [entry] = performance.getEntriesByType("navigation");
      return { first: entry.responseStart - entry.requestStart, complete: entry.loadEventEnd || entry.domComplete };
    });
    const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
    console.log(path, JSON.stringify(timing), "nodes", nodes);
    check(timing.first <= 200, `${path}: first byte within 200 ms`, timing.first);
    check(timing.complete <= 2000, `${path}: complete within 2 s`, timing.complete);
    check(nodes <= 8000, `${path}: not too many nodes`, nodes);
    check(page.asked.length <= 5, `${path}: at most five requests`, page.asked.join());
    await page.done();
  }
}

async function prefix({ config, open, check, until }) {
  const page = await open(config.urls.normal + "/x/y/ui/");
  await until(page, "a stream", live, "Live");
  await page.click("#rows th a");
  await until(page, "a stream", live, "Live");
  for (const name of ["Activity", "Registry", "System", "Help", "Endpoints"]) await page.click(`header nav a:has-text('${name}')`);
  const outside = page.asked.filter((url) => !new URL(url).pathname.startsWith("/x/y/"));
  check(outside.length === 0, "requests outside of the prefix", outside.join());
  await page.done();
}

async function screenshot({ config, open, until }) {
  const page = await open(config.url + "/ui/", { colorScheme: "light", deviceScaleFactor: 2, viewport: { width: 1280, height: 760 } });
  await until(page, "a stream", live, "Live");
  // By itself: the page is live.
  const every = () => ["failing", "rejected", "degraded", "paused", "ready"].every((word) => Number(document.querySelector(`.chips .st-${word}`)?.dataset.count) > 0);
  await until(page, "every state of the demo", every, undefined, 30000);
  const more = page.locator("#more button");
  if (await more.isVisible()) await more.click();
  await page.screenshot({ path: config.file });
  await page.close();
}

export const topics = {
  accessibility, shapes, keyboard, "no-javascript": noJavascript, changes, pause, tabs, stale, polling, build, preferences, hostile, many, prefix, screenshot, skew,
};
