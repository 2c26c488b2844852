"""Small images on disk, and where the large data sets are."""

from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared"
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_images(folder: Path, count: int, classes=tuple(COLOURS), size: int = 16, seed: int = 0) -> Path:
    """`folder/CLASS/0.png`, … : noise around the colour of the class, so that a probe can learn them."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.normal(COLOURS.get(name, (90, 90, 90)), 60, (size, size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder
