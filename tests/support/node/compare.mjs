// Logits of images by an exported folder: through the page's own pixels, and the way of the pipeline.
// Arguments: folder with the models, name of the model, dtype, page's folder, steps as JSON, list of images as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [models, name, dtype, page, steps, images] = process.argv.slice(2);
const library = await import(
  pathToFileURL(createRequire(`${process.env.NODE_MODULES}/`).resolve("@huggingface/transformers"))
);
const { AutoModelForImageClassification, AutoProcessor, RawImage, Tensor, env } = library;
const { pixelsOf } = await import(pathToFileURL(`${page}/pixels.js`));
env.allowRemoteModels = false;
env.localModelPath = models;
const model = await AutoModelForImageClassification.from_pretrained(name, { dtype });
const processor = await AutoProcessor.from_pretrained(name);
const result = { ours: [], stock: [], pixels: [] };
for (const file of JSON.parse(readFileSync(images))) {
  const image = (await RawImage.read(file)).rgb();
  const { values, height, width } = pixelsOf(image, JSON.parse(steps));
  result.pixels.push(Array.from(values.slice(0, 3000)));
  const ours = await model({ pixel_values: new Tensor("float32", values, [1, 3, height, width]) });
  result.ours.push(Array.from(ours.logits.data));
  result.stock.push(Array.from((await model(await processor(image))).logits.data));
}
console.log(JSON.stringify(result));
