"""Predict the labels of images as `pipeline` does, many images at a time."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from hf_cifar.config.locate import Location, locate_checkpoint
from hf_cifar.config.options.evaluation import KNN, OOD_SCORES
from hf_cifar.errors import InputError, unknown_name
from hf_cifar.formats.exported import file_of
from hf_cifar.formats.variants import FILES
from hf_cifar.inference.image_paths import ImagePath
from hf_cifar.inference.image_reading import ImageLike, in_order, read_image, reason
from hf_cifar.inference.network import TORCH, FeatureNetwork, Inputs, open_network
from hf_cifar.run.ood_neighbours import KNN_FILE, FeatureBank
from hf_cifar.run.ood_scores import ENERGY_FILE, EnergyThreshold, OodAnswer, energy
from hf_cifar.run.prediction_sets import SETS_FILE, PredictionSets
from hf_cifar.utils.logits import probabilities, sigmoid
from hf_cifar.utils.processes import reading_threads

BATCH_SIZE = 64
TOP_K = 5
AT_A_TIME = 16  # images that one thread reads and preprocesses as a unit
PIXELS_AT_ONCE = 1 << 18  # of images of one size that pass the processor together; a large photo passes alone

A = TypeVar("A")


@dataclass(frozen=True)
class Answer:
    """The predictions for one image.

    Attributes:
        image: as it was given; for one of `find_images`, its path.
        predictions: {"label": …, "score": …}, the highest score first; empty if there is a fault.
        fault: why there are no predictions, in a few words; empty otherwise.
        prediction_set: the labels that hold the right one as often as `coverage` asks, the most likely first; None
            where no coverage was asked for.
        ood: how unlike the images of training it is; None where no score was asked for.
    """

    image: ImageLike
    predictions: list[dict[str, Any]] = field(default_factory=list)
    fault: str = ""
    prediction_set: list[str] | None = None
    ood: OodAnswer | None = None


class Predictor:
    """A trained classifier that predicts as `pipeline("image-classification")` does with the same folder.

    Each image is loaded as `pipeline` loads it (first frame, upright, RGB) and processed by the saved image processor
    at its own size; only the network gets several at a time. Threads read images while the network computes. Memory
    does not grow with the number of images.

    Args:
        checkpoint: a run, a stage of a run, a saved model, or a Hub id.
        batch_size: images in one pass through the network.
        use_cpu: compute on the CPU even where there is an accelerator.
        backend: torch, in float32; or a form that the model was exported in, whose difference was measured then: onnx,
            onnx-q8, onnx-fp16 or openvino, which need neither torch nor transformers.
        coverage: of prediction sets, such as 0.9; None: no sets.
        ood_score: energy, or knn with torch alone, to say of each image how unlike those of training it is; None: no
            score.

    Raises:
        InputError: it is not an image classifier, or cannot be loaded, or is not there in the form of the backend.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike[str],
        *,
        batch_size: int = BATCH_SIZE,
        use_cpu: bool = False,
        backend: str = TORCH,
        coverage: float | None = None,
        ood_score: str | None = None,
    ) -> None:
        if backend not in (TORCH, *FILES):
            raise unknown_name("backend", backend, (TORCH, *FILES))
        if coverage is not None and not 0 < coverage < 1:
            raise InputError(f"coverage is {coverage}: it must be between 0 and 1, such as 0.9")
        if ood_score is not None and ood_score not in OOD_SCORES:
            raise unknown_name("out-of-distribution score", ood_score, OOD_SCORES)
        location = locate_checkpoint(os.fspath(checkpoint))
        self.coverage = coverage
        self._sets = _prediction_sets(location) if coverage is not None else None
        self.ood = _ood_threshold(location, ood_score, backend) if ood_score is not None else None
        self.name = location.full_name
        self.backend = backend
        self.network = open_network(location, backend, use_cpu)
        self.batch_size = batch_size
        self.num_labels = len(self.network.labels)

    @property
    def labels(self) -> dict[int, str]:
        """Return the label names by number."""
        return self.network.labels

    @property
    def model(self) -> Any:
        """Return the model of transformers, where the backend is torch.

        Raises:
            InputError: the backend is another.
        """
        model = getattr(self.network, "model", None)
        if model is None:
            raise InputError(f"--backend {self.backend} has no model of torch: use --backend torch")
        return model

    @property
    def processor(self) -> Any:
        """Return what makes the network's input of images."""
        return self.network.processor

    def predict(self, images: ImageLike | Iterable[ImageLike], top_k: int = TOP_K) -> list[list[dict[str, Any]]]:
        """Predict the most likely labels of images.

        Args:
            images: paths, http(s) URLs or PIL images; a single one counts as a list of one.
            top_k: number of labels for each image, at most all.

        Returns:
            For each image, in order, a list of {"label": …, "score": …}, the highest score first.

        Raises:
            InputError: an image cannot be read; `answers` goes on without it.
        """
        given = [images] if isinstance(images, (str, os.PathLike, Image.Image)) else images
        predictions = []
        for answer in self.answers(given, top_k):
            if answer.fault:
                raise InputError(f"{answer.image}: {answer.fault}")
            predictions.append(answer.predictions)
        return predictions

    def answers(self, images: Iterable[ImageLike | ImagePath], top_k: int = TOP_K) -> Iterator[Answer]:
        """Yield the answers for any number of images, in order; one that cannot be read gets an answer with a fault.

        Args:
            images: as of `predict`, or of `find_images`; read a few batches ahead.
            top_k: number of labels for each image, at most all.
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

    def _prepare(self, images: list[ImageLike | ImagePath]) -> list["_Prepared"]:
        """Read and preprocess images; neighbours of one size pass the processor together."""
        prepared = [_Prepared(image.path if isinstance(image, ImagePath) else image) for image in images]
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
        """Run the processor on images of one size, and give each its slice of every tensor."""
        try:
            every = self.network.inputs([picture for _, picture in group])
            for (item, _), inputs in zip(group, every, strict=True):
                item.inputs = inputs
        except Exception as error:
            for item, _ in group:
                item.fault = f"the image processor fails on it ({reason(error)})"

    def _answer(self, batch: list["_Prepared"], top_k: int) -> Iterator[Answer]:
        """Yield the answers for a batch in order, those with a fault included."""
        inputs, features = [item.inputs for item in batch if not item.fault], None
        if isinstance(self.ood, FeatureBank) and isinstance(self.network, FeatureNetwork):
            features, logits = self.network.features_and_logits(inputs)
        else:
            logits = self._logits(inputs)
        answers = self._scores(logits), self._prediction_sets(logits), self._ood_answers(logits, features)
        rows = iter(zip(logits, *answers, strict=True))
        names = self.labels
        for item in batch:
            if not item.fault:
                row, scores, labels, ood = next(rows)
                if np.isfinite(row).all():
                    best = np.argsort(-scores, kind="stable")[:top_k]
                    predictions = [{"label": names[int(n)], "score": scores[n].item()} for n in best]
                    yield Answer(item.image, predictions, prediction_set=labels, ood=ood)
                    continue
                item.fault = "the model's logits are not finite"
            yield Answer(item.image, fault=item.fault)

    def _logits(self, batch: list[Inputs]) -> np.ndarray:
        """Compute the logits of n images of any processed sizes, float32 [n, labels]."""
        return self.network.logits(batch)

    def _prediction_sets(self, logits: np.ndarray) -> list[list[str] | None]:
        if self._sets is None or self.coverage is None or not len(logits):
            return [None] * len(logits)
        sets = self._sets.of(logits, self.coverage, self.network.temperature)
        return [[self.labels[int(number)] for number in row] for row in sets]

    def _ood_answers(self, logits: np.ndarray, features: np.ndarray | None) -> list[OodAnswer | None]:
        if self.ood is None or not len(logits):
            return [None] * len(logits)
        if isinstance(self.ood, FeatureBank) and features is not None:
            scores = self.ood.distances(features)
        else:
            scores = energy(logits, self.network.head_divided_by)
        return [OodAnswer(float(score), bool(score > self.ood.threshold)) for score in scores]

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        """Convert logits to scores as `pipeline` does, by the problem type that the model was trained for."""
        problem = self.network.problem
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or self.num_labels == 1:
            return sigmoid(logits)
        return probabilities(logits)


def _prediction_sets(location: Location) -> PredictionSets:
    file = file_of(location, SETS_FILE)
    if file is None:
        raise InputError(
            f"--coverage: {location.full_name} has no {SETS_FILE}, which training writes beside a model: train it again"
        )
    return PredictionSets.read(file)


def _ood_threshold(location: Location, score: str, backend: str) -> EnergyThreshold | FeatureBank:
    if score == KNN:
        if backend != TORCH:
            raise InputError(f"--ood-score knn with --backend {backend}, which gives no features: use --backend torch")
        bank = file_of(location, KNN_FILE)
        if bank is None:
            raise InputError(
                f"--ood-score knn: {location.full_name} has no {KNN_FILE}, which --stage evaluate --ood-score knn "
                "writes beside the model of a run"
            )
        return FeatureBank.read(bank)
    file = file_of(location, ENERGY_FILE)
    if file is None:
        raise InputError(
            f"--ood-score energy: {location.full_name} has no {ENERGY_FILE}, which training writes beside a model, and "
            "--stage evaluate --ood-score energy beside one that was trained before"
        )
    return EnergyThreshold.read(file)


@dataclass
class _Prepared:
    """An image that is read and preprocessed, or the fault that prevented it."""

    image: ImageLike
    inputs: Inputs = field(default_factory=dict)
    fault: str = ""


def _in_chunks(items: Iterable[A], size: int) -> Iterator[list[A]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
