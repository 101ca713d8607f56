// What the browser programs share: Debian's Chromium, pages that are signed in, and axe.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const url = process.env.CONSOLE_URL ?? "http://127.0.0.1:8480";
export const passwords = Object.fromEntries((process.env.CONSOLE_PASSWORDS ?? "crm_team=kettle-and-lamp,growth=towel-and-mat").split(",").map(pair => pair.split("=")));

export async function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });
}

/** A browser of one person's, whose errors fail the test. */
export async function person(browser, role, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light", locale: "en-GB", timezoneId: "Asia/Kolkata", reducedMotion: "reduce", bypassCSP: false, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const errors = [];
  follow(page);
  page.on("pageerror", error => errors.push(String(error)));
  page.on("console", message => {
    if (message.type() === "error" && !/status of (4\d\d|503)|Failed to load resource/.test(message.text())) errors.push(message.text());
  });
  if (role !== null) await signIn(page, role);
  return { context, page, errors };
}

export async function signIn(page, role, password = passwords[role]) {
  await page.goto(`${url}/`);
  await page.getByLabel("Role").fill(role);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Cohorts", exact: true }).waitFor();
}

/** axe's findings on the page as it stands; the policy of the page lets no script in but by the debugger. */
export async function axe(page, what) {
  await page.evaluate(axeSource);
  const found = await page.evaluate(async () => (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 4).map(node => `${node.html.slice(0, 160)} ${node.failureSummary?.slice(0, 200) ?? ""}`) })));
  assert.deepEqual(found, [], `axe on ${what}:\n${JSON.stringify(found, null, 1)}`);
}

/** Waits until no request is under way, and none began for a moment. */
export async function settled(page) {
  const under = underWay.get(page);
  const end = Date.now() + 15_000;
  for (let quiet = 0; quiet < 3; quiet = under.size === 0 ? quiet + 1 : 0) {
    if (Date.now() > end) throw new Error(`still under way: ${[...under].map(request => request.url()).join(", ")}`);
    await page.waitForTimeout(30);
  }
}

const underWay = new WeakMap();

function follow(page) {
  const under = new Set();
  underWay.set(page, under);
  page.on("request", request => under.add(request));
  // What the page before had asked for is heard of no more.
  page.on("framenavigated", () => under.clear());
  page.on("requestfinished", request => under.delete(request));
  page.on("requestfailed", request => under.delete(request));
}
