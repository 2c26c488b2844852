"""A model of the demo: what it is called, how good it was measured to be, and its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from hf_cifar.config.locate import Location
from hf_cifar.demo.heat_map import HeatMap
from hf_cifar.hub.card.network import architecture
from hf_cifar.hub.examples import Example, read_examples
from hf_cifar.inference.image_paths import ImagePath
from hf_cifar.inference.predictor import Answer, Predictor
from hf_cifar.models.calibrate import DIVIDED_BY
from hf_cifar.run.stage_folder import METRICS_FILE, StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.formatting import interval, percent

CLASSES_NAMED = 12


@dataclass(frozen=True)
class Facts:
    """What the files beside a model tell of it.

    Attributes:
        stage: of the run that made it, or None.
        metrics: of that stage, or those in an exported folder.
        examples: test images with their measured answers.
        report: the page of the stage.
    """

    stage: StageFolder | None = None
    metrics: StageMetrics | None = None
    examples: Sequence[Example] = ()
    report: Path | None = None

    @classmethod
    def of(cls, location: Location) -> "Facts":
        """Read what is known of a model; nothing of one on the Hub.

        Raises:
            InputError: a file is damaged.
        """
        if location.kind != "folder":
            return cls()
        folder = Path(location.name).resolve()
        stage = StageFolder(folder.parent)
        if folder.name == stage.model.name and stage.metrics.is_file():
            report = stage.report if stage.report.is_file() else None
            return cls(stage, stage.read_metrics(), read_examples(stage), report)
        exported = folder / METRICS_FILE
        return cls(metrics=StageMetrics.read(exported)) if exported.is_file() else cls()


class ShownModel:
    """A model that answers as `pipeline` does, and shows where it looked.

    Args:
        location: of the saved model.
        use_cpu: compute on the CPU even where there is an accelerator.

    Raises:
        InputError: it is not an image classifier, or cannot be loaded.
    """

    def __init__(self, location: Location, *, use_cpu: bool = False) -> None:
        self.name, self.facts = short_name(location), Facts.of(location)
        self._predictor = Predictor(location.full_name, use_cpu=use_cpu)
        self._heat_map = HeatMap(self._predictor.model, self._predictor.processor)
        # Grad-CAM listens to the network's layers: nothing else may pass through it meanwhile.
        self._lock = Lock()

    @property
    def labels(self) -> list[str]:
        """Return the class names in the order of the logits."""
        names: dict[Any, str] = dict(self._predictor.model.config.id2label or {})
        return [str(names[index]) for index in sorted(names)]

    @property
    def network(self) -> str:
        """Return the usual name of the network."""
        return architecture(self._predictor.model.config.to_dict())

    @property
    def quality(self) -> str:
        """Return how good it was measured to be, as a sentence without a full stop."""
        metrics = self.facts.metrics
        if metrics is None:
            return "no measured accuracy beside the model"
        test, count = metrics.test, metrics.test.num_examples
        bounds = interval(test.accuracy_ci95, count)
        return f"{percent(test.accuracy, count)} of {count:,} test images right (95% CI {bounds})"

    @property
    def scores(self) -> str:
        """Return whether its scores are calibrated, as a sentence without a full stop."""
        divided_by = getattr(self._predictor.model.config, DIVIDED_BY, None)
        if divided_by is None:
            return "scores are not calibrated"
        return f"scores are calibrated (temperature {divided_by:.4g})"

    @property
    def method(self) -> str:
        """Return what its heat map is."""
        return self._heat_map.method

    def answer(self, image: Image.Image, top_k: int) -> Answer:
        """Answer one image."""
        return next(self.answers([image], top_k))

    def answers(self, images: Sequence[Image.Image | ImagePath], top_k: int) -> Iterator[Answer]:
        """Yield the answers for images in order, a batch at a time, so that others get their turn."""
        size = self._predictor.batch_size
        for start in range(0, len(images), size):
            with self._lock:
                some = list(self._predictor.answers(images[start : start + size], top_k))
            yield from some

    def heat_map(self, image: Image.Image, label: str) -> Image.Image | None:
        """Return where it looked for a label, or None where its network keeps no places."""
        with self._lock:
            return self._heat_map.draw(image, self.labels.index(label))


def short_name(location: Location) -> str:
    """Return what a model is called on the page: RUN/STAGE, the name of its folder, or its Hub id."""
    if location.kind != "folder":
        return location.full_name
    folder = Path(location.name).resolve()
    stage = StageFolder(folder.parent)
    if folder.name != stage.model.name or not stage.metrics.is_file():
        return folder.name
    return f"{folder.parent.parent.name}/{folder.parent.name}"


def title(models: Sequence[ShownModel]) -> str:
    """Return the heading of the page: `ResNet-18 on cifar10`, `2 classifiers`."""
    if len(models) > 1:
        return f"{len(models)} image classifiers side by side"
    metrics = models[0].facts.metrics
    return f"{models[0].network} on {metrics.dataset.id.rpartition('/')[2]}" if metrics else models[0].network


def classes(models: Sequence[ShownModel]) -> str:
    """Return the classes in words: `10 classes: airplane, automobile, …`."""
    names = list(dict.fromkeys(name for model in models for name in model.labels))
    shown = ", ".join(names[:CLASSES_NAMED]) + (", …" if len(names) > CLASSES_NAMED else "")
    return f"{len(names):,} classes: {shown}"
