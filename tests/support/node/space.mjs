// Opens the page of a Space and classifies images in it, with the libraries from this machine instead of their network.
// Arguments: address, width of the window, list of images as JSON, where to save a picture of the page (or nothing).
import { existsSync, readFileSync } from "node:fs";
import { withPage } from "./browser.mjs";

const [url, width, list, picture] = process.argv.slice(2);
const images = JSON.parse(readFileSync(list)).map((file) => [file, readFileSync(file).toString("base64")]);
const TYPES = { js: "text/javascript", mjs: "text/javascript", wasm: "application/wasm" };

async function local(route) {
  const [, name, path] = route.request().url().match(/npm\/((?:@[^/]+\/)?[^@/]+)@[^/]+\/(.*)$/);
  const file = `${process.env.NODE_MODULES}/${name}/${path}`;
  if (!existsSync(file)) return route.abort();
  return route.fulfill({ path: file, contentType: TYPES[path.split(".").pop()] });
}

const options = { viewport: { width: Number(width), height: 800 } };
const result = await withPage(url, options, async (page) => {
  await page.waitForSelector("body[data-ready]", { timeout: 60000 });
  const scores = await page.evaluate(async (images) => {
    const { decode, scores } = await import("./page.js");
    const found = [];
    for (const [, content] of images) {
      const blob = await (await fetch(`data:image/*;base64,${content}`)).blob();
      found.push(await scores(await decode(blob)));
    }
    return found;
  }, images);
  await page.setInputFiles("#file", { name: "notes.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#status.error");
  const message = await page.innerText("#status");
  await page.setInputFiles("#file", images[0][0]);
  await page.waitForSelector("#answer li");
  const answer = await page.innerText("#answer");
  if (await page.isVisible("#examples button")) {
    await page.click("#examples button");
    await page.waitForTimeout(300);
  }
  if (picture) await page.screenshot({ path: picture, fullPage: true });
  return {
    scores,
    message,
    answer,
    text: await page.innerText("body"),
    overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  };
}, (page) => page.route("https://cdn.jsdelivr.net/**", local));
console.log(JSON.stringify(result));
