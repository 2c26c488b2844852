"""Images as users have them."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Images of every mode that files have, of EXIF orientations, of several frames, and of very different sizes."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)

    def noise(width, height, *channels):
        small = rng.integers(0, 256, (max(1, height // 4), max(1, width // 4), *channels), dtype=np.uint8)
        return Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR)

    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = noise(23, 17, 4).convert("L" if mode in ("I;16", "1") else mode.replace("P", "RGB"))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image).astype(np.uint16) * 3)
        elif mode in ("1", "P"):
            image = image.convert(mode)
        image.save(folder / f"mode-{mode.replace(';', '')}.png")
    noise(20, 20, 3).convert("P").save(folder / "mode-P-transparent.png", transparency=3)
    noise(20, 31, 4).convert("CMYK").save(folder / "mode-CMYK.jpg")
    noise(20, 31, 3).convert("YCbCr").save(folder / "mode-YCbCr.jpg")
    Image.fromarray(rng.normal(100, 60, (20, 20)).astype(np.float32)).save(folder / "mode-F.tiff")
    Image.fromarray(rng.integers(0, 400, (20, 20), dtype=np.int32)).save(folder / "mode-I.tiff")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        noise(40, 24, 3).save(folder / f"exif-{orientation}.jpg", exif=exif)
    frames = [noise(30, 20, 3) for _ in range(3)]
    for kind in ("gif", "webp", "png"):
        frames[0].save(folder / f"animated-{kind}.{kind}", save_all=True, append_images=frames[1:])
    for width, height in ((1, 1), (3, 3), (3, 90), (90, 3), (4, 4), (700, 500), (16, 16)):
        noise(width, height, 3).save(folder / f"size-{width}-{height}.png")
    return folder
