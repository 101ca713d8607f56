// The console from end to end, in a real browser: programs of tests/console start the server, the gateway and this. The last
// line names what the caller is to find at the destination.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { axe, launch, person, settled, signIn, url } from "./browser.mjs";
import { kinds } from "./kinds.mjs";

const browser = await launch();
const only = process.env.ONLY?.split(",");
let failed = 0;

// Scenarios of a stage run two at a time, and begin when those of the stage before are over: the mission's changes the data that others
// count, and the pages of the last show what the others made.
const stages = [[], [], []];
const LANES = 2;

function scenario(name, run, stage = 1) {
  stages[stage].push({ name, run });
}

async function perform({ name, run }) {
  if (only && !only.includes(name)) return;
  const start = Date.now();
  const people = [];
  try {
    await run(async (role, options) => {
      const one = await person(browser, role, options);
      people.push(one);
      return one;
    });
    for (const { errors } of people) assert.deepEqual(errors, [], "errors of the page");
    console.log(`ok ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack ?? error}`);
    await people.at(-1)?.page.screenshot({ path: `${process.env.CONSOLE_DIRECTORY ?? "/tmp"}/failed-${name.replaceAll(" ", "-")}.png`, fullPage: true }).catch(() => undefined);
  } finally {
    for (const { context } of people) await context.close();
  }
}

const tree = page => page.locator(".tree");
const size = page => page.locator(".figure").first();
const json = async page => {
  await page.getByRole("tab", { name: "JSON" }).click();
  return JSON.parse(await page.getByLabel("The rule as JSON").inputValue());
};
const setJson = async (page, text) => {
  await page.getByRole("tab", { name: "JSON" }).click();
  await page.getByLabel("The rule as JSON").fill(text);
};
const form = page => page.getByRole("tab", { name: "Form" }).click();
const answered = async page => {
  await page.locator('[data-answer="whole"]').waitFor();
};
const call = (page, method, path, body) => page.evaluate(async ([how, where, what]) => {
  const session = await (await fetch("/v1/session")).json();
  const response = await fetch(where, { method: how, headers: { "Content-Type": "application/json", "X-CSRF-Token": session.csrf }, body: what && JSON.stringify(what) });
  const text = await response.text();
  return { status: response.status, body: text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text };
}, [method, path, body]);

scenario("signing in", async as => {
  const { page } = await as(null);
  await page.goto(`${url}/events`);
  await page.getByLabel("Role").fill("crm_team");
  await page.getByLabel("Password").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The role or the password is wrong.").waitFor();
  await axe(page, "a refused sign-in");
  await page.getByLabel("Password").fill(process.env.CONSOLE_PASSWORDS.split(",")[0].split("=")[1]);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  await page.getByRole("button", { name: /account/ }).or(page.getByRole("button", { name: "crm_team" })).first().click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("Password").waitFor();
  await page.reload();
  await page.getByLabel("Password").waitFor();
});

// The seed's steps: an event comes in by the API; its cohort is built, run, saved and synced.
scenario("mission", async as => {
  const { page } = await as("crm_team");
  await page.goto(`${url}/operation`);
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Label").fill("shop");
  await page.getByRole("button", { name: "Make the key" }).click();
  const key = (await page.locator(".key").textContent()).trim();
  await page.getByRole("button", { name: "Close" }).click();
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const signals = ["c_mission_1", "c_mission_2", "c_mission_3"].map(customerId => ({ customerId, eventType: "purchase", data: { brand: "Kursaha", price: 1200.5 } }));
  const sent = await fetch(`${url}/api/event-flows/signal`, { method: "POST", headers, body: JSON.stringify({ signals: [...signals, { customerId: "c_mission_4", eventType: "purchase", data: { brand: "Kursaha", price: 900 } }] }) });
  assert.equal(sent.status, 200, await sent.text());
  const profiles = signals.map(({ customerId }) => ({ customerId, customerData: { email: `${customerId}@example.com`, city: "Pune" } }));
  const told = await fetch(`${url}/api/customers`, { method: "POST", headers, body: JSON.stringify(profiles) });
  assert.equal(told.status, 200, await told.text());

  await page.getByRole("link", { name: "Cohorts", exact: true }).click();
  await page.getByRole("link", { name: "New cohort" }).first().click();
  await page.getByLabel("Name of the cohort").fill("Bought Kursaha above 1,000");
  await tree(page).getByRole("button", { name: "did", exact: true }).click();
  const event = page.getByRole("combobox", { name: "Event" });
  await event.fill("purch");
  await event.press("ArrowDown");
  await event.press("Enter");
  await page.getByRole("button", { name: "+ where" }).click();
  await page.getByRole("combobox", { name: "Property" }).fill("brand");
  await page.getByRole("combobox", { name: "Value" }).fill("Kursaha");
  await page.getByRole("button", { name: "+ where" }).click();
  await page.getByRole("combobox", { name: "Property" }).nth(1).fill("price");
  await page.getByRole("combobox", { name: "Comparison" }).or(page.getByLabel("Comparison")).nth(1).selectOption("gt");
  await page.getByRole("combobox", { name: "Value" }).nth(1).fill("1000");
  await page.waitForFunction(() => document.querySelector(".figure:not(.old)")?.textContent === "3");
  await page.getByText("Customers who did purchase where brand is Kursaha and price is more than 1,000.").waitFor();
  await page.getByRole("button", { name: /^Run/ }).first().click();
  await page.getByRole("link", { name: "c_mission_2" }).waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: "Bought Kursaha above 1,000" }).waitFor();

  await page.goto(`${url}/destinations/new`);
  await page.getByLabel("Name", { exact: true }).fill("Facebook");
  await page.getByLabel("Ad account").fill("12");
  await page.getByLabel("Name of the audience").fill("Kursaha buyers");
  await page.getByLabel("Secret").fill("file:meta");
  await page.getByLabel("More settings").fill(JSON.stringify({ base_url: process.env.FAKE_URL }));
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Test" }).click();
  await page.getByText("It works.").waitFor();

  await page.goto(`${url}/cohorts/${encodeURIComponent("Bought Kursaha above 1,000")}`);
  await page.getByRole("link", { name: "Sync", exact: true }).first().click();
  await page.getByRole("radio", { name: /Facebook/ }).check();
  await page.getByRole("radio", { name: "Hourly" }).check();
  await page.getByText("Every hour").first().waitFor();
  await page.locator(".tally dd").first().getByText("3").waitFor();
  await page.getByRole("button", { name: "Save sync" }).click();
  await page.getByRole("heading", { level: 1, name: "Sync to Facebook" }).waitFor();
  await page.getByRole("button", { name: "Send now" }).click();
  await page.getByText("Done").first().waitFor({ timeout: 30_000 });
  writeFileSync(`${process.env.CONSOLE_DIRECTORY}/delivered`, JSON.stringify({ cohort: "Bought Kursaha above 1,000", audience: "Kursaha buyers" }));
  await axe(page, "a sync that ran");
}, 0);

for (const half of [0, 1]) scenario(`both ways ${half + 1}`, async as => {
  const { page } = await as("crm_team");
  await call(page, "POST", "/v1/cohorts", { name: "both ways", rule: { did: "cart" } });
  await page.goto(`${url}/cohorts/new`);
  await tree(page).getByRole("button", { name: "did", exact: true }).waitFor();
  for (const rule of kinds.filter((_, i) => i % 2 === half)) {
    await setJson(page, JSON.stringify(rule));
    await form(page);
    await page.waitForFunction(() => document.querySelectorAll(".tree [data-place]").length > 0);
    assert.equal(await page.locator(".json-block").count(), 0, JSON.stringify(rule));
    await answered(page);
    assert.equal(await page.locator(".problem").count(), 0, `${JSON.stringify(rule)}: ${await page.locator(".problem").allTextContents()}`);
    const sizes = await page.locator(".tree .condition .size b").allTextContents();
    assert.ok(sizes.length > 0 && sizes.every(each => /^[\d,]+$/.test(each)), `${JSON.stringify(rule)}: sizes ${sizes}`);
    assert.deepEqual(await json(page), rule);
  }
});

scenario("what the form does not know", async as => {
  const { page } = await as("crm_team");
  await page.goto(`${url}/cohorts/new`);
  await tree(page).getByRole("button", { name: "did", exact: true }).waitFor();
  await setJson(page, '{"and": [{"did": "purchase", "where": {"property": "price", "operator": "gt", "value": 12345678901234567890.10}}, {"later": [1, 2.50]}]}');
  await form(page);
  assert.equal(await page.locator(".json-block").count(), 1, "what the form does not know is a block of JSON");
  await page.getByLabel("How many").first().waitFor({ state: "detached" });
  await page.getByRole("button", { name: "+ how often" }).click();
  await page.getByRole("tab", { name: "JSON" }).click();
  const text = await page.getByLabel("The rule as JSON").inputValue();
  assert.match(text, /12345678901234567890\.10/);
  assert.match(text, /\{"later": \[1, 2\.50\]\}/);
  assert.match(text, /"count": \{"gte": 2\}/);
});

scenario("wrong input", async as => {
  const { page } = await as("crm_team");
  await page.goto(`${url}/cohorts/new`);
  await setJson(page, '{"and": [{"did": "purchase"}, {"not": {"or": [{"did": "cart", "time": {"in_the_last": "3 weeks"}}]}}]}');
  await form(page);
  await answered(page);
  const before = await size(page).textContent();
  const box = page.getByRole("combobox", { name: "How long" });
  await box.fill("3 weks");
  await page.locator(".problem").getByText("3 weks").first().waitFor();
  assert.equal(await box.getAttribute("aria-invalid"), "true");
  assert.equal(await size(page).textContent(), before, "the result keeps the last good answer");
  assert.match(await page.locator(".condition .size b").first().textContent(), /^[\d,]+$/, "the other condition keeps its size");
  await page.locator(".group-head").getByText("see 2.1").first().waitFor();
  await axe(page, "a problem");
  await page.getByLabel("Name of the cohort").fill("has a problem");
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-invalid") === "true");
  await page.getByRole("button", { name: "Use “3 weeks”" }).click();
  await page.locator(".problem").waitFor({ state: "detached" });
  assert.equal(await box.inputValue(), "3 weeks");
  await setJson(page, '{"and": [');
  await page.getByText("This is not a valid rule yet").waitFor();
  await form(page);
  assert.equal(await box.inputValue(), "3 weeks", "the form shows the last rule that parsed");
  await page.getByLabel("Name of the cohort").fill("");
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.getByText("A cohort needs a name.").waitFor();
  await page.getByLabel("Name of the cohort").fill("both ways");
  await call(page, "POST", "/v1/cohorts", { name: "both ways", rule: { did: "cart" } });
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.locator("#name-problem").waitFor();
});

scenario("drafts and a server that is away", async as => {
  const { page } = await as("crm_team");
  await page.goto(`${url}/cohorts/new`);
  await tree(page).getByRole("button", { name: "did", exact: true }).click();
  await page.getByLabel("Name of the cohort").fill("A draft");
  await page.getByText("Draft kept in this browser").waitFor();
  await page.route("**/v1/preview", route => route.abort());
  await page.getByRole("button", { name: "+ how often" }).click();
  await page.getByText("Your draft is kept in this browser").waitFor();
  await page.unroute("**/v1/preview");
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByText("Your draft is kept in this browser").waitFor({ state: "detached" });
  await page.reload();
  await page.getByText("is open.").waitFor();
  assert.equal(await page.getByLabel("Name of the cohort").inputValue(), "A draft");
  await page.getByLabel("How many").waitFor();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByText("Add the first condition").waitFor();
  await page.reload();
  await page.getByText("Add the first condition").waitFor();
});

scenario("two people", async as => {
  const { page: one } = await as("crm_team");
  const { page: two } = await as("crm_team");
  await call(one, "POST", "/v1/cohorts", { name: "Shared", rule: { and: [{ did: "purchase" }, { did: "cart" }] } });
  for (const page of [one, two]) {
    await page.goto(`${url}/cohorts/Shared/edit`);
    await page.getByRole("combobox", { name: "Event" }).first().waitFor();
  }
  await one.getByRole("button", { name: "+ how often" }).first().click();
  await one.getByRole("button", { name: "Save", exact: true }).first().click();
  await one.getByRole("dialog").getByText("Gained").waitFor();
  await one.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await one.getByText("Saved as version 2.").waitFor();
  await two.getByRole("combobox", { name: "Event" }).nth(1).fill("view");
  await two.getByRole("button", { name: "Save", exact: true }).first().click();
  await two.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await two.getByText("Somebody changed this cohort while you edited it").waitFor();
  await axe(two, "two changes");
  await two.getByRole("button", { name: "Take both" }).click();
  await two.getByText("Saved as version 3.").waitFor();
  const { body } = await call(two, "GET", "/v1/cohorts/Shared");
  assert.deepEqual(body.rule.and.map(each => JSON.stringify(each)).sort(), ['{"did":"purchase","count":{"gte":2}}', '{"did":"view"}'].sort());
});

scenario("a save is undone", async as => {
  const { page } = await as("crm_team");
  const rule = { and: [{ did: "purchase" }, { did: "cart" }] };
  await call(page, "POST", "/v1/cohorts", { name: "Saved twice", rule });
  await page.goto(`${url}/cohorts/Saved%20twice/edit`);
  await page.getByRole("button", { name: "+ how often" }).first().click();
  await page.getByRole("button", { name: "Save", exact: true }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved as version 2.").waitFor();
  await page.locator(".toast").getByRole("button", { name: "Undo" }).click();
  await page.getByText("Saved as version 3.").waitFor();
  assert.deepEqual((await call(page, "GET", "/v1/cohorts/Saved%20twice")).body.rule, rule);
  assert.deepEqual(await json(page), rule);
});

scenario("keyboard only", async as => {
  const { page } = await as("crm_team");
  const key = (...keys) => keys.reduce((before, each) => before.then(() => page.keyboard.press(each)), Promise.resolve());
  await page.locator("body").focus();
  await key("n");
  await page.getByLabel("Name of the cohort").waitFor();
  await page.keyboard.press("Tab");
  for (let i = 0; i < 60 && await page.evaluate(() => document.activeElement?.textContent?.trim()) !== "did"; i++) await page.keyboard.press("Tab");
  await key("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Did or did not");
  await key("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Event");
  await key("Control+a");
  await page.keyboard.type("car");
  await key("ArrowDown", "Enter");
  await page.waitForFunction(() => document.activeElement?.value === "cart");
  const more = async () => {
    for (let i = 0; i < 60 && !(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")?.startsWith("More for ") && !document.activeElement.getAttribute("aria-label").includes("where"))); i++) await page.keyboard.press("Tab");
  };
  await more();
  await key("d");
  await page.waitForFunction(() => document.querySelectorAll(".tree .condition").length === 2);
  await more();
  await key("o");
  assert.deepEqual((await json(page)).and.map(each => Object.keys(each)[0]), ["did", "did_not"]);
  await page.getByRole("tab", { name: "JSON" }).focus();
  await key("ArrowLeft");
  await more();
  await key("Alt+ArrowDown");
  assert.deepEqual((await json(page)).and.map(each => Object.keys(each)[0]), ["did_not", "did"]);
  await key("Control+z");
  assert.deepEqual((await json(page)).and.map(each => Object.keys(each)[0]), ["did", "did_not"]);
  await key("Control+Shift+z");
  assert.deepEqual((await json(page)).and.map(each => Object.keys(each)[0]), ["did_not", "did"]);
  await page.getByRole("tab", { name: "JSON" }).focus();
  await key("ArrowLeft");
  await more();
  await key("l");
  await page.getByText("Left out for now.").waitFor();
  await key("l");
  await page.getByText("Left out for now.").waitFor({ state: "detached" });
  await key("g");
  await page.waitForFunction(() => document.querySelectorAll(".tree .kids.any").length === 1);
  await key("Delete");
  await page.waitForFunction(() => document.querySelectorAll(".tree .condition").length === 1);
  await page.getByLabel("Name of the cohort").focus();
  await page.keyboard.type("By keyboard");
  await key("Control+Enter");
  await page.locator(".reach, .side table").first().waitFor();
  await key("Control+s");
  await page.getByRole("heading", { level: 1, name: "By keyboard" }).waitFor();
  await key("?");
  await page.getByRole("dialog").waitFor();
  await key("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await key("/");
  await page.keyboard.type("shared");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Find a cohort or a customer");
});

scenario("a held run", async as => {
  const { page } = await as("crm_team");
  const until = async done => {
    for (let i = 0; i < 150; i++) {
      const { body } = await call(page, "GET", "/v1/sync-runs?cohort=Shrinks&limit=1");
      if (body.items[0]?.state === done) return;
      await page.waitForTimeout(200);
    }
    throw new Error(`no run is ${done}`);
  };
  await call(page, "POST", "/v1/cohorts", { name: "Shrinks", rule: { and: [{ did: "purchase" }, { profile: "city", operator: "in", value: ["Pune", "Surat"] }] } });
  await call(page, "POST", "/v1/destinations", { name: "Audience that shrinks", kind: "facebook_ads", config: { ad_account_id: "12", audience_name: "Shrinks", base_url: process.env.FAKE_URL }, secret: "file:meta" });
  await call(page, "POST", "/v1/syncs", { cohort: "Shrinks", destination: "Audience that shrinks" });
  const place = "/v1/syncs/Shrinks/Audience%20that%20shrinks";
  await call(page, "POST", `${place}/now`, {});
  await until("success");
  const { body: { count: lost } } = await call(page, "GET", "/v1/cohorts/Shrinks/count");
  await call(page, "PUT", "/v1/cohorts/Shrinks", { rule: { and: [{ did: "purchase" }, { profile: "city", operator: "eq", value: "Nowhere" }] } });
  await call(page, "POST", `${place}/now`, {});
  await until("held");
  await page.goto(`${url}/syncs/Shrinks/Audience%20that%20shrinks`);
  await page.getByRole("heading", { name: /^Held: remove/ }).waitFor();
  await page.getByText("Version 2, crm_team").waitFor();
  await page.locator("ins").getByText("Nowhere").waitFor();
  await page.getByText(`This change alone removes ${lost.toLocaleString("en-GB")}.`).waitFor();
  const buttons = await page.locator(".held footer button").allTextContents();
  assert.equal(buttons[0], "Keep them, pause the sync");
  assert.match(buttons[1], /^Remove [\d,]+ and go on$/);
  await axe(page, "a held run");
  await page.getByRole("button", { name: buttons[0] }).click();
  await page.getByText("Paused").first().waitFor();
});

scenario("a cohort's page", async as => {
  const { page } = await as("crm_team");
  const name = "Bought something";
  await call(page, "POST", "/v1/cohorts", { name, rule: { and: [{ did: "purchase" }, { profile: "city", operator: "eq", value: "Pune" }] } });
  await call(page, "POST", "/v1/cohorts", { name: "Opened something", rule: { did: "open" } });
  await call(page, "PUT", `/v1/cohorts/${encodeURIComponent(name)}`, { rule: { and: [{ did: "purchase" }, { profile: "city", operator: "in", value: ["Pune", "Surat"] }] } });
  await page.goto(`${url}/cohorts/${encodeURIComponent(name)}`);
  await page.getByRole("heading", { level: 1, name }).waitFor();
  const { body: { count } } = await call(page, "GET", `/v1/cohorts/${encodeURIComponent(name)}/count`);
  await page.waitForFunction(n => Number(document.querySelector(".figure")?.textContent?.replaceAll(",", "")) === n, count);
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: "Count and keep now" }).click();
  await page.getByText("entered,").waitFor();
  const member = await page.locator("tbody th a").first().textContent();
  await page.getByLabel("Customer id").fill(member);
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("In.", { exact: true }).waitFor();
  await page.getByLabel("Id, or a value of the profile").fill("Surat");
  await page.waitForFunction(() => [...document.querySelectorAll("td bdi")].length > 0 && [...document.querySelectorAll("tbody td bdi")].every(each => each.textContent.includes("Surat")));
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
  const lines = await new Promise((resolve, reject) => download.createReadStream().then(stream => { let text = ""; stream.on("data", each => { text += each; }); stream.on("end", () => resolve(text.trim().split("\n"))); stream.on("error", reject); }));
  assert.equal(lines.length, count + 1);
  await page.getByLabel("Add a cohort").fill("Opened something");
  await page.getByLabel("Add a cohort").press("Enter");
  await page.locator(".overlap .cells").first().waitFor();
  await page.getByRole("heading", { name: "Version 2" }).waitFor();
  await page.locator("del").first().waitFor();
  await axe(page, "a cohort");
  await page.goto(`${url}/customers/${member}`);
  const line = page.locator(".event.moved").filter({ hasText: name });
  await line.getByText("entered").waitFor();
  await axe(page, "a customer who entered a cohort");
});

const places = ["/", "/cohorts/new", "/cohorts/Bought%20something/edit", "/cohorts/Bought%20something", "/cohorts/Bought%20something/sync", "/syncs", "/syncs/Bought%20Kursaha%20above%201%2C000/Facebook", "/destinations", "/destinations/Facebook", "/destinations/new", "/customers", "/customers/c_mission_1", "/events", "/operation", "/nowhere"];
const looks = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, phone: { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } };
for (const [look, options] of Object.entries(looks)) {
  scenario(`every page ${look}`, async as => {
    const { page } = await as("crm_team", options);
    for (const place of places) {
      await page.goto(url + place);
      await settled(page);
      await page.locator("h1, h2").first().waitFor({ state: "attached" });
      if (!options.isMobile || place.includes("Bought%20something")) await axe(page, `${place}, ${look}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${place} is ${wide} px wider than the window`);
    }
    if (!options.isMobile) return;
    await page.goto(`${url}/cohorts/Bought%20something/edit`);
    await page.locator(".bottom-bar").getByRole("button", { name: "Save" }).waitFor();
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("link", { name: "Events" }).click();
    await page.getByRole("heading", { level: 1, name: "Events" }).waitFor();
  }, 2);
}

for (const stage of stages) {
  const lane = async () => {
    for (let next = stage.shift(); next !== undefined; next = stage.shift()) await perform(next);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

await browser.close();
process.exit(failed === 0 ? 0 : 1);
