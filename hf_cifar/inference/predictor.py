"""What a trained model says of images: the answers of `pipeline`, many images at a time."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.special
import torch
from PIL import Image

from hf_cifar import processes
from hf_cifar.config import RunConfig
from hf_cifar.errors import InputError
from hf_cifar.files import write_aside
from hf_cifar.inference.answer_files import (
    STANDARD_OUTPUT,
    WriteRow,
    answers_to_standard_output,
    check_output,
    open_answers,
    readable,
)
from hf_cifar.inference.image_paths import Found, some_images
from hf_cifar.inference.image_reading import ImageLike, in_order, read_image, reading_threads, reason
from hf_cifar.models.load import load_checkpoint
from hf_cifar.models.zoo import locate_checkpoint
from hf_cifar.progress import progress, say

BATCH_SIZE = 64
TOP_K = 5
AT_A_TIME = 16  # images that one thread reads before it hands them on
PIXELS_AT_ONCE = 1 << 18  # of images of one size that pass the processor together: what a large photo has, alone
SKIPPED_NAMED = 10  # of what was skipped, how much the summary names

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


@dataclass(frozen=True)
class PredictionResult:
    """What `--stage predict` did.

    Attributes:
        output: the file; - for standard output.
        num_images: images that have an answer.
        num_skipped: those that have none, because they are not there or cannot be read.
        skipped: the first of these: image and reason.
        model: folder or Hub id.
        seconds: of the pass over the images, without loading the model.
    """

    output: str
    num_images: int
    num_skipped: int
    skipped: list[dict[str, str]]
    model: str
    seconds: float

    @property
    def status(self) -> int:
        """The exit status: 0, or 1 where anything was skipped."""
        return int(self.num_skipped > 0)

    def summary(self) -> dict[str, Any]:
        """What the command line prints last."""
        return {
            "stage": "predict",
            "output": self.output,
            "num_images": self.num_images,
            "num_skipped": self.num_skipped,
            "skipped": self.skipped,
            "model": self.model,
            "seconds": self.seconds,
            "images_per_second": self.num_images / self.seconds if self.seconds else 0.0,
        }


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


def run_prediction(config: RunConfig) -> PredictionResult:
    """Answer the images that `--images` names, and write the answers to `--output`.

    An image that is not there or cannot be read is named on standard error and has no row.

    Raises:
        InputError: nothing to predict, no model, or no file to write to; then nothing is written.
    """
    asked = config.prediction
    if processes.count() > 1:
        raise InputError("--stage predict runs in one process: start it without torchrun, once for each part")
    output = check_output(asked.output, config.overwrite)
    images, total = some_images(asked.images)
    use_cpu = bool(config.computing.get("use_cpu", False))
    predictor = Predictor(config.checkpoint or config.folder, batch_size=asked.batch_size, use_cpu=use_cpu)
    top_k = min(asked.top_k, predictor.num_labels)
    started = time.perf_counter()
    skipped: list[dict[str, str]] = []
    answered = faults = 0

    def write_all(write: WriteRow) -> None:
        nonlocal answered, faults
        with progress(None, "predict", "image", total=total) as bar:
            for answer in predictor.answers(images, top_k):
                path = str(answer.image)
                if answer.fault:
                    say(f"skipped {path}: {answer.fault}")
                    skipped.extend([{"image": readable(path), "reason": answer.fault}][: SKIPPED_NAMED - len(skipped)])
                    faults += 1
                else:
                    write(path, answer.predictions)
                    answered += 1
                bar.update()

    def write_file(aside: Path) -> None:
        with open_answers(aside, Path(output).suffix, top_k) as write:
            write_all(write)

    if output == STANDARD_OUTPUT:
        with answers_to_standard_output() as write:
            write_all(write)
    else:
        write_aside(Path(output), write_file)
    return PredictionResult(output, answered, faults, skipped, predictor.name, time.perf_counter() - started)


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
