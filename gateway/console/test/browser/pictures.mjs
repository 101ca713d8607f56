// The pictures of docs/CONSOLE.md; with ALL every page, light and dark, wide and narrow.
import { launch, person, settled, url } from "./browser.mjs";

const to = process.env.PICTURES;
const quiet = "/cohorts/Kitchen%20buyers%20gone%20quiet";
const pages = {
  cohorts: ["/"], builder: [`${quiet}/edit`, async page => { await page.getByRole("button", { name: /^Run/ }).first().click(); await page.locator(".reach").waitFor(); }],
  problem: [`${quiet}/edit`, async page => { await page.getByRole("combobox", { name: "How long" }).last().fill("3 weks"); await page.locator(".problem").waitFor(); await page.getByRole("heading", { name: "Result" }).click(); }],
  cohort: [quiet], sync: ["/syncs/Left%20the%20cart%20this%20week/Facebook%20main"], held: ["/syncs/Held/Facebook%20main"], "new-sync": [`${quiet}/sync`], syncs: ["/syncs"], destinations: ["/destinations"],
  destination: ["/destinations/Facebook%20main", async page => { await page.getByRole("button", { name: "Test" }).click(); await page.getByText("It works.").waitFor(); }],
  customers: ["/customers"], customer: ["/customers/c_1000037"], events: ["/events"], operation: ["/operation"],
};
const shown = ["cohorts", "builder", "problem", "cohort", "new-sync", "held", "events", "builder-dark", "builder-phone"];
const looks = { "": {}, "-dark": { colorScheme: "dark" }, "-phone": { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } };
const browser = await launch();
for (const [look, options] of Object.entries(looks)) {
  const { page, context } = await person(browser, "crm_team", options);
  for (const [name, [path, act]] of Object.entries(pages)) {
    if (process.env.ALL === undefined && !shown.includes(name + look)) continue;
    await page.goto(url + path);
    await settled(page);
    if (path.endsWith("/edit")) await page.locator('[data-answer="whole"]').waitFor();
    if (act && !(options.isMobile && name === "builder")) await act(page);
    await settled(page);
    // What stays at the lower edge of a phone would stand in the middle of a picture of the whole page.
    await page.screenshot({ path: `${to}/${name}${look}.png`, fullPage: !options.isMobile });
  }
  await context.close();
}
await browser.close();
