// Classifies images in the browser. What is shown of the model, and how its pixels are made, is in space.json.
import { pixelsOf, rgb, softmax } from "./pixels.js";

const MAX_PIXELS = 50_000_000;
const SHOWN = 5;
const place = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;

export const about = await (await fetch("./space.json")).json();
show();
const library = await import(about.library);
const { AutoModelForImageClassification, Tensor, env } = library;
env.allowLocalModels = true;
env.allowRemoteModels = false;
env.localModelPath = "./";
const model = await AutoModelForImageClassification.from_pretrained("model", { dtype: about.dtype, device: "wasm" });
place("status").textContent = "Ready.";
document.body.dataset.ready = "true";

/** Return the image in a file as RGBA, upright, its colours as they are stored. */
export async function decode(blob) {
  const bitmap = await createImageBitmap(blob, {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  if (bitmap.width * bitmap.height > MAX_PIXELS) throw new Error("it has too many pixels");
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Return the probability of each class for an RGBA image. */
export async function scores(image) {
  const { values, height, width } = pixelsOf(rgb(image), about.steps);
  const { logits } = await model({ pixel_values: new Tensor("float32", values, [1, 3, height, width]) });
  return softmax(logits.data);
}

async function answer(blob) {
  const status = place("status");
  status.className = "";
  status.textContent = "Looking …";
  place("answer").replaceChildren();
  try {
    const image = await decode(blob).catch((error) => {
      throw new Error(error instanceof DOMException ? "your browser cannot read it as an image" : error.message);
    });
    const canvas = place("picture");
    [canvas.width, canvas.height, canvas.hidden] = [image.width, image.height, false];
    canvas.getContext("2d").putImageData(image, 0, 0);
    const shares = await scores(image);
    const best = shares.map((share, index) => [share, about.labels[index]]).sort(([a], [b]) => b - a);
    place("answer").replaceChildren(...best.slice(0, SHOWN).map(([share, label]) => bar(share, label)));
    status.textContent = `Most likely: ${best[0][1]}`;
  } catch (error) {
    status.className = "error";
    status.textContent = `This file cannot be classified: ${error.message}.`;
  }
}

function element(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function bar(share, label) {
  const [line, fill] = [element("li"), element("span")];
  fill.className = "bar";
  fill.style.width = percent(share);
  line.append(element("span", label), element("span", percent(share)), fill);
  return line;
}

/** Show what is known of the model, and wait for images. */
function show() {
  document.title = about.title;
  for (const name of ["title", "facts", "classes", "note"]) place(name).textContent = about[name];
  for (const name of ["file", "camera"]) {
    place(name).addEventListener("change", ({ target }) => target.files.length && answer(target.files[0]));
  }
  const drop = place("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) answer(event.dataTransfer.files[0]);
    });
  }
  addEventListener("paste", ({ clipboardData }) => clipboardData.files.length && answer(clipboardData.files[0]));
  place("tried").hidden = about.examples.length === 0;
  place("examples").replaceChildren(...about.examples.map(example));
}

function example({ file, label, answer: measured, score }) {
  const [item, button, picture] = [element("li"), element("button"), element("img")];
  [picture.src, picture.alt] = [file, `a test image: ${label}`];
  const verdict = measured === label ? "right" : `not ${label}`;
  button.append(picture, element("span", `${measured} ${percent(score)}, ${verdict}`));
  button.addEventListener("click", async () => answer(await (await fetch(file)).blob()));
  item.append(button);
  return item;
}
