// One topic in a real Chromium: node run.mjs '{"topic": …, "urls": {…}, "control": …}'. Exits with 1 and says what is
// wrong when something is.
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { topics } from "./topics.mjs";

const config = JSON.parse(process.argv[2]);
const require = createRequire(process.env.BROWSER_MODULES + "/");
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");
const program = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => path && existsSync(path));
if (!program) throw new Error("no Chromium: install it, or name it in CHROMIUM");

const browser = await chromium.launch({
  executablePath: program,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const wrong = [];
const check = (holds, what, detail = "") => { if (!holds) wrong.push(what + (detail === "" ? "" : ": " + detail)); };

/** A page that notes what no page of ours may do. */
async function open(url, options = {}, context = undefined) {
  const own = context ?? await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await own.newPage();
  const origin = new URL(url).origin;
  page.noted = [];
  page.asked = [];
  page.on("console", (message) => {
    // The browser itself logs each answer of 4xx and 5xx, and a connection that broke.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) page.noted.push("console: " + message.text());
  });
  page.on("pageerror", (error) => page.noted.push("error: " + error.message));
  page.on("dialog", (dialog) => { page.noted.push("dialog: " + dialog.message()); dialog.dismiss(); });
  // What the network has open, whatever the page says of itself.
  page.streams = new Set();
  page.on("requestfinished", (request) => page.streams.delete(request));
  page.on("requestfailed", (request) => page.streams.delete(request));
  page.on("request", (request) => {
    page.asked.push(request.url());
    if (request.url().endsWith("/ui/events")) page.streams.add(request);
    if (!request.url().startsWith(origin + "/")) page.noted.push("third party: " + request.url());
  });
  page.done = async () => { check(page.noted.length === 0, url, page.noted.join("; ")); await (context ? page : own).close(); };
  page.answer = await page.goto(url, { waitUntil: "load" });
  return page;
}
const act = async (server, action) => {
  const answer = await fetch(`${config.control}/${server}/${action}`, { method: "POST" });
  if (!answer.ok) throw new Error(`${server}/${action}: ${answer.status}`);
};
/** Waits until a condition in the page holds. */
const until = async (page, what, condition, argument, timeout = 15000) => {
  try { await page.waitForFunction(condition, argument, { timeout, polling: 50 }); }
  catch { check(false, `not within ${timeout} ms: ${what}`, await page.locator("#live").textContent().catch(() => "")); }
};

try {
  await topics[config.topic]({ config, browser, open, check, act, until, axe });
} catch (error) {
  wrong.push(error.stack);
} finally {
  await browser.close();
}
if (wrong.length) {
  console.log(wrong.join("\n"));
  process.exit(1);
}
