"""Image corruptions at five severities, computed on the fly.

The corruptions follow CIFAR-10-C and ImageNet-C (Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to
Common Corruptions and Perturbations", 2019), the parameters do not: CIFAR-10-C is a published set of arrays, made from
the CIFAR-10 test images. Here any image is corrupted at its own size, with parameters of this package, by fewer
corruptions than their 15 (no glass or zoom blur, snow, frost or elastic transform; saturate is one of CIFAR-10-C's
extras). Accuracies on the two are not comparable.

Lengths are fractions of the image's shorter side, so that a severity looks alike at 32 and at 224 pixels. Noise and
JPEG act on single pixels and on blocks of 8: they fade where the processor scales a large photograph down.
"""

import io
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageEnhance

SEVERITIES = (1, 2, 3, 4, 5)
# Larger images are pixelated like one of this side; otherwise the resize of the processor would undo it.
PIXELATED_SIDE = 224
OCTAVES = 5
FOG_BRIGHTNESS = 0.9
# Samples a pixel from which the kernel of a blur is computed.
OVERSAMPLING = 16


def corrupt(image: Image.Image, name: str, severity: int, seed: int, row: int) -> Image.Image:
    """Corrupt an image; random draws depend on these arguments alone.

    Args:
        image: RGB, of any size.
        name: a key of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: of the run.
        row: of the image in its split.

    Returns:
        An RGB image of the same size. From 32 pixels on, the mean squared distance to `image` grows with the severity,
        except that grey images cannot be saturated and uniform ones cannot be blurred.

    Raises:
        ValueError: unknown corruption or severity, or the image is not RGB.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}: known: {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity is {severity}: it must be one of 1 to 5")
    if image.mode != "RGB":
        raise ValueError(f"the image is {image.mode}, not RGB")
    function, parameters = CORRUPTIONS[name]
    # Seeded by the name, not its position, so that adding a corruption leaves the draws of the others as they are.
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), severity, row])
    return function(image, parameters[severity - 1], rng)


def corruptions_of(image: Image.Image, seed: int, row: int) -> Iterator[Image.Image]:
    """Yield an image in every corruption at every severity, in the order of `CORRUPTIONS`."""
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            yield corrupt(image, name, severity, seed, row)


def _gaussian_noise(image: Image.Image, deviation: float, rng: np.random.Generator) -> Image.Image:
    """Add Gaussian noise; the standard deviation is a fraction of the value range."""
    pixels = _floats(image)
    return _image(pixels + deviation * rng.standard_normal(pixels.shape, dtype=np.float32))


def _shot_noise(image: Image.Image, photons: float, rng: np.random.Generator) -> Image.Image:
    """Draw each value from a Poisson distribution in which white has a mean of `photons`."""
    return _image((rng.poisson(_floats(image) * photons) / photons).astype(np.float32))


def _impulse_noise(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """Set a share of all values to the minimum or the maximum, with equal probability."""
    pixels = np.array(image)
    draws = rng.random(pixels.shape, dtype=np.float32)
    pixels[draws < share / 2] = 0
    pixels[draws > 1 - share / 2] = 255
    return Image.fromarray(pixels)


def _defocus_blur(image: Image.Image, fraction: float, rng: np.random.Generator) -> Image.Image:
    """Convolve with a disk whose radius is this fraction of the side plus 0.6 pixels."""
    radius = 0.6 + fraction * min(image.size)
    reach = int(np.ceil(radius))
    side = 2 * reach + 1
    samples = (np.arange(side * OVERSAMPLING) + 0.5) / OVERSAMPLING - reach - 0.5
    inside = samples[:, None] ** 2 + samples[None, :] ** 2 <= radius**2
    return _blurred(image, inside.reshape(side, OVERSAMPLING, side, OVERSAMPLING).sum((1, 3)))


def _motion_blur(image: Image.Image, fraction: float, rng: np.random.Generator) -> Image.Image:
    """Convolve with a line in a random direction whose length is this fraction of the side plus one pixel."""
    length = 1 + fraction * min(image.size)
    angle = rng.uniform(0, np.pi)
    along = np.linspace(-length / 2, length / 2, int(np.ceil(length)) * OVERSAMPLING)
    reach = int(np.ceil(length / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    np.add.at(
        kernel, tuple(np.rint(along * direction).astype(int) + reach for direction in (np.sin(angle), np.cos(angle))), 1
    )
    return _blurred(image, kernel)


def _fog(image: Image.Image, density: float, rng: np.random.Generator) -> Image.Image:
    """Blend with light grey by a random density field: a sum of octaves, each of half the amplitude."""
    field = np.zeros((image.height, image.width), dtype=np.float32)
    for octave in range(OCTAVES):
        grid = Image.fromarray(rng.random((2**octave + 1, 2**octave + 1), dtype=np.float32))
        field += np.asarray(grid.resize(image.size, Image.Resampling.BICUBIC)) / 2 ** (octave + 1)
    clear = np.exp(-density * (0.5 + field))[..., None]
    return _image(_floats(image) * clear + FOG_BRIGHTNESS * (1 - clear))


def _brightness(image: Image.Image, light: float, rng: np.random.Generator) -> Image.Image:
    """Raise the value (of HSV) by a fraction of the range; black becomes grey."""
    pixels = _floats(image)
    value = pixels.max(axis=2, keepdims=True)
    raised = np.minimum(value + light, 1)
    return _image(np.where(value > 0, pixels * raised / np.maximum(value, 1e-6), raised))


def _contrast(image: Image.Image, factor: float, rng: np.random.Generator) -> Image.Image:
    """Scale the contrast around the mean brightness of the image."""
    return ImageEnhance.Contrast(image).enhance(factor)


def _saturate(image: Image.Image, factor: float, rng: np.random.Generator) -> Image.Image:
    """Scale the colour saturation."""
    return ImageEnhance.Color(image).enhance(factor)


def _pixelate(image: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """Downsample to this share of the resolution, of 224 pixels at most, and upsample by nearest neighbour."""
    share *= min(1, PIXELATED_SIDE / min(image.size))
    coarse = image.resize([max(1, round(side * share)) for side in image.size], Image.Resampling.BOX)
    return coarse.resize(image.size, Image.Resampling.NEAREST)


def _jpeg(image: Image.Image, quality: float, rng: np.random.Generator) -> Image.Image:
    """Compress as JPEG of this quality with 4:2:0 chroma subsampling."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(quality), subsampling="4:2:0")
    with Image.open(file) as compressed:
        return compressed.convert("RGB")


def _blurred(image: Image.Image, kernel: np.ndarray) -> Image.Image:
    """Convolve an image with a kernel of odd sides, mirrored at its borders."""
    from scipy.signal import fftconvolve  # a third of a second, for stages that corrupt nothing

    reach = len(kernel) // 2
    padded = np.pad(_floats(image), ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    weights = (kernel / kernel.sum()).astype(np.float32)[..., None]
    return _image(fftconvolve(padded, weights, mode="valid", axes=(0, 1)))


def _floats(image: Image.Image) -> np.ndarray:
    """Return float32 [height, width, 3] in [0, 1]."""
    return np.asarray(image, dtype=np.float32) / 255


def _image(pixels: np.ndarray) -> Image.Image:
    """Return float [height, width, 3] in [0, 1] as an image; values outside are clipped."""
    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


_Corruption = Callable[[Image.Image, float, np.random.Generator], Image.Image]
CORRUPTIONS: dict[str, tuple[_Corruption, tuple[float, float, float, float, float]]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.07, 0.10, 0.14, 0.20)),
    "shot_noise": (_shot_noise, (250, 120, 60, 30, 15)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.04, 0.07, 0.12)),
    "defocus_blur": (_defocus_blur, (0.008, 0.016, 0.024, 0.032, 0.042)),
    "motion_blur": (_motion_blur, (0.03, 0.05, 0.08, 0.11, 0.15)),
    "fog": (_fog, (0.2, 0.4, 0.7, 1.0, 1.4)),
    "brightness": (_brightness, (0.10, 0.20, 0.30, 0.40, 0.50)),
    "contrast": (_contrast, (0.75, 0.60, 0.45, 0.30, 0.15)),
    "saturate": (_saturate, (1.5, 2.0, 3.0, 5.0, 10.0)),
    "pixelate": (_pixelate, (0.80, 0.65, 0.50, 0.40, 0.30)),
    "jpeg_compression": (_jpeg, (60, 40, 25, 18, 12)),
}
