"""The saved image processor on a whole batch of images of one size, with the pixels that it gives each alone."""

from typing import Any

import torch

FEWEST = 8  # images of one size for which it pays to verify that the batch gives the same pixels
TRIED = 2  # images of a size that are processed both ways
_METHODS_FAIL = (AttributeError, TypeError, ValueError, RuntimeError)


class BatchProcessor:
    """Calls an image processor's own methods once for a batch, where that is seen to give the same pixels.

    Called as a whole, a processor of transformers handles a list image by image on a CPU, which costs ten times what
    resizing and normalising do. For each size of images the first few are processed both ways; unless both agree in
    every bit, as with processors that do more than resize, crop, rescale and normalise, all go through the whole one.

    Args:
        processor: a `transformers` image processor, also one of timm.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self._agrees: dict[tuple[Any, ...], bool] = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the processor makes of uint8 [n, 3, height, width], float32 [n, 3, out height, out width]."""
        if len(images) < FEWEST:
            return self._whole(images)
        key = (*images.shape[1:], images.device.type)
        if key not in self._agrees:
            self._agrees[key] = self._is_same(images[:TRIED])
        if not self._agrees[key]:
            return self._whole(images)
        return self._normalized(self._resized(images))

    def _whole(self, images: torch.Tensor) -> torch.Tensor:
        pixels: torch.Tensor = self.processor(images=list(images), return_tensors="pt")["pixel_values"]
        return pixels

    def _is_same(self, images: torch.Tensor) -> bool:
        try:
            ours = self._normalized(self._resized(images))
        except _METHODS_FAIL:  # of a processor that is built otherwise, such as one of timm
            return False
        return torch.equal(ours, self._whole(images))

    def _resized(self, images: torch.Tensor) -> torch.Tensor:
        """Return resized and cropped images, uint8, contiguous."""
        processor = self.processor
        if processor.do_resize:
            images = processor.resize(image=images, size=processor.size, resample=processor.resample)
        if processor.do_center_crop:
            images = processor.center_crop(images, processor.crop_size)
        # Resizing keeps the order of decoded images, channels last, in which normalising is several times slower.
        return images.contiguous()

    def _normalized(self, images: torch.Tensor) -> torch.Tensor:
        processor = self.processor
        mean, std = (tuple(values) for values in (processor.image_mean, processor.image_std))
        pixels: torch.Tensor = processor.rescale_and_normalize(
            images, processor.do_rescale, processor.rescale_factor, processor.do_normalize, mean, std
        )
        return pixels
