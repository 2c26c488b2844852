// Makes a network's pixels of an RGBA image, as the image processor does that was measured with it.
//
// The resize is that of torchvision for 8-bit images with antialiasing: a triangle, or a cubic with a = -0.5, stretched
// by the scale where the image shrinks; columns first, then rows, each rounded to whole levels.

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
};

const MOST_BITS = 22;

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/**
 * Return for each output position the first input position that counts and the weights from there on: whole numbers of
 * 16 bits, in units of 2 ** -bits, as torchvision's resize of 8-bit images has them.
 */
function weightsOf(given, wanted, filter) {
  const scale = given / wanted;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const places = Array.from({ length: wanted }, (_, index) => {
    const center = scale * (index + 0.5);
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(given, Math.trunc(center + support + 0.5));
    const weights = [];
    for (let at = first; at < end; at++) weights.push(filter.weight((at - center + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
  const largest = places.reduce((most, { weights }) => Math.max(most, ...weights), 0);
  let bits = 0;
  while (bits < MOST_BITS && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++;
  for (const place of places) {
    place.weights = place.weights.map((weight) => Math.trunc(weight * 2 ** bits + (weight < 0 ? -0.5 : 0.5)));
  }
  return { places, unit: 2 ** bits };
}

/** Resample along one axis; `step` leads to the next sample of the axis, in numbers of the array. */
function resample(from, to, { places, unit }, lines, lineOf, step, position) {
  for (let line = 0; line < lines; line++) {
    const start = lineOf(line);
    places.forEach(({ first, weights }, index) => {
      for (let channel = 0; channel < 3; channel++) {
        let sum = unit / 2;
        for (let n = 0; n < weights.length; n++) sum += weights[n] * from[start + (first + n) * step + channel];
        to[position(line, index) + channel] = Math.min(255, Math.max(0, Math.floor(sum / unit)));
      }
    });
  }
}

/** Resize an RGB image {data, width, height} to whole levels. */
export function resize(image, height, width, filterName) {
  if (image.height === height && image.width === width) return image;
  const filter = FILTERS[filterName];
  if (filter === undefined) throw new Error(`no such filter: ${filterName}`);
  const wide = new Uint8ClampedArray(image.height * width * 3);
  const columns = weightsOf(image.width, width, filter);
  resample(image.data, wide, columns, image.height, (y) => y * image.width * 3, 3, (y, x) => (y * width + x) * 3);
  const data = new Uint8ClampedArray(height * width * 3);
  const rows = weightsOf(image.height, height, filter);
  resample(wide, data, rows, width, (x) => x * 3, width * 3, (x, y) => (y * width + x) * 3);
  return { data, width, height };
}

/** Cut out the centre, with black around it where the image is smaller. */
export function centerCrop(image, height, width) {
  const pad = (given, wanted) => Math.floor(Math.max(0, wanted - given) / 2);
  const cut = (given, wanted) => Math.trunc(Math.max(0, given - wanted) / 2);
  const [top, left] = [cut(image.height, height), cut(image.width, width)];
  const [above, before] = [pad(image.height, height), pad(image.width, width)];
  const data = new Uint8ClampedArray(height * width * 3);
  for (let y = 0; y < Math.min(height, image.height); y++) {
    const start = ((y + top) * image.width + left) * 3;
    const line = image.data.subarray(start, start + Math.min(width, image.width) * 3);
    data.set(line, ((y + above) * width + before) * 3);
  }
  return { data, width, height };
}

/** Return an RGBA image as RGB, its transparency dropped as Pillow drops it. */
export function rgb({ data, width, height }) {
  const kept = new Uint8ClampedArray(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) kept.set(data.subarray(from, from + 3), to);
  return { data: kept, width, height };
}

/** Return height and width of an image whose shortest edge becomes `edge`. */
function byShortestEdge({ height, width }, edge) {
  const longest = Math.trunc((edge * Math.max(height, width)) / Math.min(height, width));
  return width <= height ? [longest, edge] : [edge, longest];
}

/**
 * Return the network's input [3, height, width] of an RGB image.
 *
 * @param steps.resize {height, width} or {shortest_edge}, and filter; null for none
 * @param steps.crop {height, width}, or null
 * @param steps.scale, steps.mean, steps.std value = (level * scale - mean) / std
 */
export function pixelsOf(image, steps) {
  let shown = image;
  if (steps.resize) {
    const { height, width, shortest_edge: edge, filter } = steps.resize;
    const size = edge === undefined ? [height, width] : byShortestEdge(shown, edge);
    shown = resize(shown, ...size, filter);
  }
  if (steps.crop) shown = centerCrop(shown, steps.crop.height, steps.crop.width);
  const area = shown.width * shown.height;
  const values = new Float32Array(3 * area);
  for (let channel = 0; channel < 3; channel++) {
    // In float32 and in this order, as the processor computes it.
    const mean = Math.fround(steps.mean[channel] / steps.scale);
    const std = Math.fround(steps.std[channel] / steps.scale);
    for (let at = 0; at < area; at++) {
      values[channel * area + at] = Math.fround(shown.data[3 * at + channel] - mean) / std;
    }
  }
  return { values, height: shown.height, width: shown.width };
}

/** Return probabilities of logits. */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
