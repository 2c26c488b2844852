// The page's pixels of RGBA images, as base64 of float32. Arguments: the page's folder, a JSON file.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [page, file] = process.argv.slice(2);
const { pixelsOf, rgb } = await import(pathToFileURL(`${page}/pixels.js`));
const answers = JSON.parse(readFileSync(file)).map(({ steps, width, height, data }) => {
  const image = rgb({ data: new Uint8ClampedArray(Buffer.from(data, "base64")), width, height });
  const made = pixelsOf(image, steps);
  return { ...made, values: Buffer.from(made.values.buffer).toString("base64") };
});
console.log(JSON.stringify(answers));
