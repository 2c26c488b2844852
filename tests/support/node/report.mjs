// Reads a report: sorts a table, opens a cell of the confusion matrix; with and without script, wide and narrow, dark.
import { withPage } from "./browser.mjs";

const [url, cell] = process.argv.slice(2);
const column = (page, index) =>
  page.$$eval("#classes table tbody tr", (rows, index) => rows.map((row) => row.cells[index].innerText), index);
const visible = (page) => page.$$eval(".cell", (cells) => cells.filter((one) => one.offsetParent).map((one) => one.id));

const used = await withPage(url, {}, async (page) => {
  const before = await column(page, 1);
  await page.click("#classes th:nth-child(2) button");
  const down = await column(page, 1);
  await page.click("#classes th:nth-child(2) button");
  const up = await column(page, 1);
  await page.click("#classes th:nth-child(1) button");
  const names = await column(page, 0);
  const sorted = await page.$eval("#classes th:nth-child(1)", (heading) => heading.getAttribute("aria-sort"));
  const closed = await visible(page);
  await page.click(`.matrix a[href="#${cell}"]`);
  return { before, down, up, names, sorted, closed, opened: await visible(page) };
});
const plain = await withPage(url, { javaScriptEnabled: false }, async (page) => {
  await page.click(`.matrix a[href="#${cell}"]`);
  return { opened: (await page.isVisible(`#${cell}`)) ? cell : "", buttons: await page.locator("th button").count() };
});
const narrow = await withPage(url, { viewport: { width: 360, height: 800 }, colorScheme: "dark" }, async (page) => ({
  overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  paper: await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
}));
console.log(JSON.stringify({ used, plain, narrow }));
