// Uses the demo page: an image, a wrong file, the camera that is off, and the image again.
import { withPage } from "./browser.mjs";

const [url, image, wrong, width] = process.argv.slice(2);
const result = await withPage(url, { viewport: { width: Number(width), height: 800 } }, async (page) => {
  const input = "#image input[type=file]";
  const answered = () => page.waitForFunction(() => document.querySelector("#answer-0")?.innerText.includes("%"));
  await page.waitForSelector(input, { state: "attached" });
  await page.setInputFiles(input, image);
  await answered();
  const answer = await page.innerText("#answer-0");
  await page.waitForSelector("#heat-map-0 img");
  await page.click("#image button[aria-label=Clear], #image button[title=Clear], #image button[aria-label='Remove Image']");
  await page.waitForSelector(input, { state: "attached" });
  await page.setInputFiles(input, wrong);
  await page.waitForSelector(".toast-body");
  const message = await page.innerText(".toast-body");
  await page.reload();
  await page.waitForSelector(input, { state: "attached" });
  await page.click("#image button[aria-label='Capture from camera'], #image button[title='Capture from camera']");
  await page.waitForTimeout(300);
  await page.reload();
  await page.waitForSelector(input, { state: "attached" });
  await page.setInputFiles(input, image);
  await answered();
  return {
    answer,
    message,
    again: await page.innerText("#answer-0"),
    title: await page.title(),
    text: await page.innerText("body"),
    overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  };
});
console.log(JSON.stringify(result));
