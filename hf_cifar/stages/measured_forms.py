"""Make the forms of a model, measure each beside the native one, and keep those that hold."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_cifar.config.locate import Location
from hf_cifar.data.evaluation_split import evaluation_split, is_own_data
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.label_names import match_labels
from hf_cifar.data.loader import in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.transforms import Transform
from hf_cifar.errors import HubError, InputError
from hf_cifar.evaluation.artifacts import label_names
from hf_cifar.evaluation.formats.answers import all_logits, compare_answers
from hf_cifar.evaluation.formats.latency import ROUNDS, time_in_turn
from hf_cifar.evaluation.formats.limits import find_fault
from hf_cifar.evaluation.formats.recorded import difference_from_recorded
from hf_cifar.evaluation.formats.table import describe_measuring, describe_operators, faults, format_table
from hf_cifar.formats.make import FLOAT32, Batches, MadeForm, make_forms
from hf_cifar.formats.native import NativeRuntime
from hf_cifar.formats.runtime import Runtime, first_line, open_runtime
from hf_cifar.formats.variants import FILES, NATIVE
from hf_cifar.hub.additions import Additions
from hf_cifar.hub.check import ACCELERATOR_TOLERANCE
from hf_cifar.hub.export import Trained
from hf_cifar.models.calibrate import divide_head
from hf_cifar.models.load import load_checkpoint
from hf_cifar.models.processors import save_with
from hf_cifar.run.environment import hardware
from hf_cifar.run.format_metrics import FormatMetrics, FormMetrics, Latency
from hf_cifar.run.request import Request
from hf_cifar.utils.progress import say

CALIBRATION_IMAGES = 256  # that fix the ranges of static int8
BATCH = 32
RECORDED_TOLERANCE = 1e-4  # of a score: batches of another size, or another version of a library


def make_additions(
    trained: Trained, request: Request, temperature: float | None, made_from: Mapping[str, Any], work: Path
) -> Additions:
    """Divide the head where asked, and make and measure the forms that a request asks for.

    Args:
        trained: the model.
        request: names forms, images and limits.
        temperature: to divide the head by; None: it stays.
        made_from: what they depend on, to be remembered.
        work: an empty folder for the files.

    Raises:
        InputError: the images cannot be found or read, or the head cannot be divided.
        HubError: the model does not give the predictions that its stage recorded.
    """
    model, processor = load_checkpoint(Location("folder", str(trained.model)), use_cpu=True)
    divided = None
    if temperature is not None:
        divide_head(model, temperature, _noise(processor))
        divided = work / "model"
        divided.mkdir()
        save_with(processor, model, divided)
    if not request.config.export.variants:
        return Additions(divided, temperature, made_from=made_from)
    forms = work / "forms"
    forms.mkdir()
    metrics = _Measuring(trained, request, model, processor, temperature).run(forms)
    _say(metrics)
    return Additions(divided, temperature, forms, metrics, made_from)


class _Measuring:
    """Forms of one model on one split of images; arguments as of `make_additions`, and the model as it is exported."""

    def __init__(
        self, trained: Trained, request: Request, model: PreTrainedModel, processor: Any, temperature: float | None
    ) -> None:
        self.trained, self.request, self.temperature = trained, request, temperature
        self.model, self.processor = model, processor
        config = request.config
        self.source = load_source(config.data, for_training=False)
        classes = match_labels(self.source.label_names, label_names(model))
        self.split = evaluation_split(self.source, config.data, config.split_seed, None, request.trained_by)
        self.labels = classes[self.split.images.targets]

    def run(self, folder: Path) -> FormatMetrics:
        """Make the forms in a folder, measure them, and lay those that hold out as in the exported one."""
        pixels = self._pixels(self.split.images.select(np.arange(min(BATCH, len(self.labels)))))
        asked, first = self.request.config.export.variants, next(pixels)
        made, failed = make_forms(asked, self.model, torch.from_numpy(first), folder, self._calibration())
        runtimes = self._opened(made, first, failed)
        say(f"measuring on {len(self.labels):,} images of {self.source.name}, {self.split.name}")
        logits = all_logits(runtimes, self.split.images, self.processor)
        self._refuse_other_answers(logits[NATIVE])
        for form in made:
            if form.title in logits and not np.isfinite(logits[form.title]).all():
                failed[form.name] = "it computes logits that are not finite"
                del runtimes[form.title]
        times = time_in_turn(runtimes, first)
        native = MadeForm(NATIVE, "PyTorch", self.trained.model)
        measured = [(form, self._measured(form, logits, times)) for form in (native, *made) if form.title in times]
        forms = choose([metrics for _, metrics in measured])
        for (form, _), metrics in zip(measured, forms, strict=True):
            if metrics.name != NATIVE and metrics.fault is None and form.file != folder / FILES[form.name]:
                form.file.rename(folder / FILES[form.name])
        return FormatMetrics(
            dataset=self.source.name,
            split=self.split.name,
            num_examples=len(self.labels),
            cpu=hardware(self.model.device).cpu,
            threads=torch.get_num_threads(),
            rounds=ROUNDS,
            forms=forms,
            refused={name: reason for name in asked if (reason := _refusal(name, forms, failed)) is not None},
        )

    def _pixels(self, images: LabeledImages) -> Iterator[np.ndarray]:
        for batch in in_order(images, Transform(self.processor), BATCH, workers=0):
            yield batch.numpy()

    def _calibration(self) -> Batches | None:
        """Return what makes batches of validation images; None where the data have none."""
        config = self.request.config
        try:
            images = evaluation_split(
                self.source, config.data, config.split_seed, "validation", self.request.trained_by
            ).images
        except InputError:
            return None
        images.refuse_test("the ranges of int8")
        chosen = np.random.default_rng(config.seed).permutation(len(images))[:CALIBRATION_IMAGES]
        return lambda: self._pixels(images.select(np.sort(chosen)))

    def _opened(self, made: list[MadeForm], pixels: np.ndarray, failed: dict[str, str]) -> dict[str, Runtime]:
        """Open the forms, the native one first; those that do not run go to `failed`."""
        runtimes: dict[str, Runtime] = {NATIVE: NativeRuntime(self.model)}
        for form in made:
            try:
                runtime = open_runtime(form.file, torch.get_num_threads())
                runtime.logits(pixels[:1])
                runtimes[form.title] = runtime
            except Exception as error:  # what a runtime says to an operator that it does not have
                failed[form.name] = str(error) if isinstance(error, InputError) else first_line(error)
        return runtimes

    def _refuse_other_answers(self, logits: np.ndarray) -> None:
        """Refuse to go on where the model does not give the predictions of the test split that its stage recorded."""
        stage, run = self.trained.stage, self.request.trained_by
        if stage is None or run is None or not is_own_data(self.source, run):
            return
        metrics = stage.read_metrics()
        on_cpu = metrics is None or metrics.hardware is None or metrics.hardware.device == "cpu"
        tolerance = RECORDED_TOLERANCE if on_cpu else ACCELERATOR_TOLERANCE
        rows = self.split.images.index
        difference = difference_from_recorded(stage.predictions, rows, logits, self.temperature)
        if difference is not None and not difference <= tolerance:
            raise HubError(
                f"{self.trained.model} does not give the predictions in {stage.predictions}: scores differ by up to "
                f"{difference:.1g}; evaluate it again, or train it again by its command with --resume"
            )

    def _measured(
        self, form: MadeForm, logits: Mapping[str, np.ndarray], times: Mapping[str, list[Latency]]
    ) -> FormMetrics:
        native = logits[NATIVE]
        found, reference = (compare_answers(other, native, self.labels) for other in (logits[form.title], native))
        exact = float(np.abs(native).max()) if form.method == FLOAT32 else None
        limit = self.request.config.export.max_accuracy_drop
        return FormMetrics(
            name=form.name,
            method=form.method,
            file=FILES.get(form.name, "model.safetensors"),
            bytes=form.bytes,
            accuracy=found.accuracy,
            ece=found.ece,
            largest_logit_difference=found.largest_logit_difference,
            largest_score_difference=found.largest_score_difference,
            changed_answers=found.changed_answers,
            p_value=found.p_value,
            latency=times[form.title],
            operators=form.operators,
            fault=find_fault(found, reference, len(self.labels), limit, exact),
        )


def choose(forms: list[FormMetrics]) -> list[FormMetrics]:
    """Return forms of which no two with one name are without a fault: of those that hold, the fastest stays."""
    chosen = []
    for form in forms:
        holding = [other for other in forms if other.name == form.name and other.fault is None]
        fastest = min(holding, key=_time, default=form)
        slower = form.fault is None and form is not fastest
        chosen.append(replace(form, fault=f"{fastest.method} is faster") if slower else form)
    return chosen


def _time(form: FormMetrics) -> float:
    """Return the product of the times of an image: batches of one and of several count alike."""
    return prod(item.milliseconds for item in form.latency)


def _refusal(name: str, forms: list[FormMetrics], failed: Mapping[str, str]) -> str | None:
    """Return why nothing of a name is exported, or None where something is."""
    own = [form for form in forms if form.name == name]
    if any(form.fault is None for form in own):
        return None
    reasons = [f"{form.method}: {form.fault}" if len(own) > 1 else str(form.fault) for form in own]
    return "; ".join([*reasons, *([failed[name]] if name in failed else [])])


def _noise(processor: Any) -> torch.Tensor:
    """Return what a processor makes of two images of noise."""
    images = list(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    pixels: torch.Tensor = processor(images=images, return_tensors="pt")["pixel_values"]
    return pixels


def _say(metrics: FormatMetrics) -> None:
    say(format_table(metrics).markdown(padded=True))
    for line in (describe_measuring(metrics), *describe_operators(metrics)):
        say(line)
    for line in faults(metrics):
        say(f"not exported: {line}")
