"""What a trained model says of images: the answers of `pipeline`, many images at a time."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import scipy.special
import torch
from PIL import Image

from hf_cifar.config.locate import locate_checkpoint
from hf_cifar.errors import InputError
from hf_cifar.inference.image_paths import Found
from hf_cifar.inference.image_reading import ImageLike, in_order, read_image, reading_threads, reason
from hf_cifar.models.load import load_checkpoint

BATCH_SIZE = 64
TOP_K = 5
AT_A_TIME = 16  # images that one thread reads before it hands them on
PIXELS_AT_ONCE = 1 << 18  # of images of one size that pass the processor together: what a large photo has, alone

A = TypeVar("A")


@dataclass(frozen=True)
class Answer:
    """What the model says of one image.

    Attributes:
        image: as it was given; the path of what `find_images` found.
        predictions: {"label": …, "score": …}, the highest score first; empty where there is a fault.
        fault: why there is no answer, in a few words; empty where there is one.
    """

    image: ImageLike
    predictions: list[dict[str, Any]] = field(default_factory=list)
    fault: str = ""


class Predictor:
    """A trained classifier that answers as `pipeline("image-classification")` with the same folder does, in float32.

    Each image is loaded as `pipeline` loads it (first frame, upright, RGB) and processed by the saved image processor
    at its own size; only the network sees several at a time. Threads read images while the network computes. How
    many images are in memory does not depend on how many there are.

    Args:
        checkpoint: a run, a stage of a run, a saved model, or a Hub id.
        batch_size: images in one pass through the network.
        use_cpu: compute on the CPU even where there is an accelerator.

    Raises:
        InputError: it is no image classifier, or cannot be loaded.
    """

    def __init__(
        self, checkpoint: str | os.PathLike[str], *, batch_size: int = BATCH_SIZE, use_cpu: bool = False
    ) -> None:
        location = locate_checkpoint(os.fspath(checkpoint))
        self.name = location.full_name
        self.model, self.processor = load_checkpoint(location, use_cpu=use_cpu)
        self.batch_size = batch_size
        self.num_labels = int(self.model.config.num_labels or 0)

    def predict(self, images: ImageLike | Iterable[ImageLike], top_k: int = TOP_K) -> list[list[dict[str, Any]]]:
        """The most likely labels of some images.

        Args:
            images: paths, http(s) addresses or PIL images; a single one counts as a list of one.
            top_k: how many labels an image gets, at most all.

        Returns:
            for each image, in order, a list of {"label": …, "score": …}, the highest score first.

        Raises:
            InputError: an image that cannot be read; `answers` goes on without it.
        """
        given = [images] if isinstance(images, (str, os.PathLike, Image.Image)) else images
        found = []
        for answer in self.answers(given, top_k):
            if answer.fault:
                raise InputError(f"{answer.image}: {answer.fault}")
            found.append(answer.predictions)
        return found

    def answers(self, images: Iterable[ImageLike | Found], top_k: int = TOP_K) -> Iterator[Answer]:
        """The same one by one, for any number of images; one that cannot be read gets an answer with a fault.

        Args:
            images: read as answers are asked for, a few batches ahead; those of `find_images` too.
            top_k: how many labels an image gets, at most all.
        """
        together = max(1, min(AT_A_TIME, self.batch_size))
        ahead = max(2 * reading_threads(), 2 * -(-self.batch_size // together))
        waiting: list[_Prepared] = []
        for some in in_order(self._prepare, _in_chunks(images, together), reading_threads(), ahead):
            waiting.extend(some)
            while len(waiting) >= self.batch_size:
                yield from self._answer(waiting[: self.batch_size], top_k)
                del waiting[: self.batch_size]
        yield from self._answer(waiting, top_k)

    def _prepare(self, images: list[ImageLike | Found]) -> list["_Prepared"]:
        """Images as the network takes them; those of one size pass the processor together."""
        prepared = [_Prepared(image.path if isinstance(image, Found) else image) for image in images]
        group: list[tuple[_Prepared, Image.Image]] = []
        for image, item in zip(images, prepared, strict=True):
            try:
                picture = read_image(image)
            except Exception as error:
                item.fault = reason(error)
                continue
            if group and picture.size != group[0][1].size:
                self._process(group)
                group = []
            group.append((item, picture))
            if len(group) * picture.width * picture.height >= PIXELS_AT_ONCE:
                self._process(group)
                group = []
        if group:
            self._process(group)
        return prepared

    def _process(self, group: list[tuple["_Prepared", Image.Image]]) -> None:
        """Run the processor on images of one size; each gets its part of every tensor."""
        try:
            made = self.processor(images=[picture for _, picture in group], return_tensors="pt").to(self.model.dtype)
            for place, (item, _) in enumerate(group):
                item.inputs = {name: tensor[place] for name, tensor in made.items()}
        except Exception as error:
            for item, _ in group:
                item.fault = f"the image processor does not take it ({reason(error)})"

    def _answer(self, batch: list["_Prepared"], top_k: int) -> Iterator[Answer]:
        """The answers to a batch, those with a fault in their places."""
        logits = self._logits([item.inputs for item in batch if not item.fault])
        rows = iter(zip(logits, self._scores(logits), strict=True))
        names: Any = self.model.config.id2label
        for item in batch:
            if not item.fault:
                row, scores = next(rows)
                if np.isfinite(row).all():
                    best = np.argsort(-scores, kind="stable")[:top_k]
                    yield Answer(item.image, [{"label": names[int(n)], "score": scores[n].item()} for n in best])
                    continue
                item.fault = "the model's answer is not a number"
            yield Answer(item.image, fault=item.fault)

    @torch.inference_mode()
    def _logits(self, batch: list[dict[str, torch.Tensor]]) -> np.ndarray:
        """float32 [n, labels] of n images, whatever the sizes that the processor leaves them."""
        logits = np.empty((len(batch), self.num_labels), dtype=np.float32)
        groups: dict[Any, list[int]] = {}
        for place, inputs in enumerate(batch):
            groups.setdefault(tuple((name, tensor.shape) for name, tensor in inputs.items()), []).append(place)
        for places in groups.values():
            inputs = {name: torch.stack([batch[place][name] for place in places]) for name in batch[places[0]]}
            on_device = {name: tensor.to(self.model.device) for name, tensor in inputs.items()}
            logits[places] = self.model(**on_device).logits.float().cpu().numpy()
        return logits

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        """Logits to scores by the rule of `pipeline`, which goes by the problem that the model was trained for."""
        problem = self.model.config.problem_type
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or self.num_labels == 1:
            return np.asarray(scipy.special.expit(logits))
        return np.asarray(scipy.special.softmax(logits, axis=-1))


@dataclass
class _Prepared:
    """An image on its way to the network."""

    image: ImageLike
    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    fault: str = ""


def _in_chunks(items: Iterable[A], size: int) -> Iterator[list[A]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
