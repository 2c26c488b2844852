"""The linear probe: frozen features, a head fitted by one of two solvers and installed in the model."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, TrainingArguments

from hf_cifar.config.run_config import RunConfig
from hf_cifar.data.augmentation.augmentation import augmentation_of
from hf_cifar.data.image_cache import decoded_once
from hf_cifar.data.loader import ImageDataset, default_workers
from hf_cifar.data.splits import Splits
from hf_cifar.data.transforms import Transform
from hf_cifar.models.anatomy import head
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.train_summary import Chosen
from hf_cifar.training.callbacks import EpochCallback, HistoryCallback, write_history
from hf_cifar.training.checkpoints import last_checkpoint
from hf_cifar.training.freezing import FreezeCallback, freeze
from hf_cifar.training.imbalance import rebalancing
from hf_cifar.training.probe.features import FeatureCache, Features
from hf_cifar.training.probe.grid import GridTrainer, scores_of
from hf_cifar.training.probe.heads import FeatureDataset, HeadGrid, OnlineProbe
from hf_cifar.training.progress import ProgressCallback
from hf_cifar.training.selection import Score, best_candidate, num_close, score
from hf_cifar.training.trainer import training_arguments
from hf_cifar.utils.device import on_device
from hf_cifar.utils.formatting import error, percent
from hf_cifar.utils.progress import say

EVAL_BATCH_SIZE = 1024


RESERVED = {
    name: "the probe computes in float32, like pipeline"
    for name in ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval")
} | {
    "label_smoothing_factor": "only fine-tuning smooths labels",
    "torch_compile": "only fine-tuning compiles: the probe passes through the backbone once",
    "auto_find_batch_size": "only fine-tuning needs it: a head takes hardly any memory",
}


@dataclass(frozen=True)
class ProbeResult:
    """The outcome of a probe; the head is installed in the model.

    Attributes:
        validation_logits, test_logits: float32 [n, labels], of the model with its new head.
        chosen: learning rate or strength that is best on validation.
        trainable_parameters: of the head.
        epochs: passes over the training features; None for lbfgs.
        head_seconds: spent on the head, without features.
        images_read: for each part, the number of images passed through the backbone to fill the cache.
        feature_seconds: spent on features.
        input_wait_fraction: part of the steps' time that was spent waiting for images; None with cached features.
    """

    validation_logits: np.ndarray
    test_logits: np.ndarray
    chosen: Chosen
    trainable_parameters: int
    epochs: float | None
    head_seconds: float
    images_read: dict[str, int]
    feature_seconds: float
    input_wait_fraction: float | None


class Probe:
    """Linear probe of one model on one dataset.

    Args:
        config: of the run; its part `probe` says how.
        model: classifier; its backbone stays bit-identical, and its head is replaced.
        processor: image processor of the model.
        splits: the head is fitted on train and chosen on validation; test is used once, at the end.
        folder: for checkpoints and history.

    Raises:
        InputError: unknown or unsuitable training arguments.
    """

    def __init__(
        self, config: RunConfig, model: PreTrainedModel, processor: Any, splits: Splits, folder: StageFolder
    ) -> None:
        self.run_config = config
        self.config = config.probe
        self.model = model
        self.processor = processor
        self.splits = splits
        self.folder = folder
        self.arguments = probe_arguments(config, folder)
        self.metric = config.finetune.selection_metric
        self.balance = rebalancing(config.imbalance, splits.train.targets, head(model).out_features)
        freeze(model)
        on_device(model, self.arguments.device)
        self.cache = FeatureCache(
            model,
            processor,
            self.config.feature_cache,
            backend=self.config.feature_backend,
            dtype=self.config.feature_dtype,
        )
        self.images_read: dict[str, int] = {}
        self.feature_seconds = 0.0
        self.input_wait_fraction: float | None = None

    def run(self, resume: bool) -> ProbeResult:
        """Fit the head, install it in the model, and predict validation and test.

        Args:
            resume: continue from the last checkpoint, if there is one.
        """
        solve = self._by_trainer if self.config.solver == "trainer" else self._by_lbfgs
        validation = self._features("validation")
        chosen, epochs, seconds = solve(validation, resume)
        test = self._features("test")
        return ProbeResult(
            self._logits(validation),
            self._logits(test),
            chosen,
            head(self.model).num_parameters,
            epochs,
            seconds,
            self.images_read,
            self.feature_seconds,
            self.input_wait_fraction,
        )

    def _features(self, part: str) -> Features:
        images = self.splits.parts()[part]
        workers = self.config.training.get("dataloader_num_workers")
        features = self.cache.features(images, workers)
        self.images_read[part] = features.images_read
        self.feature_seconds += features.seconds
        cached = len(features) - features.images_read
        ways = []
        if features.images_read:
            ways.append(f"{features.images_read:,} images through the backbone in {features.seconds:.1f} s")
        if cached:
            ways.append(f"{cached:,} images from the cache")
        say(f"features of {part}: {', '.join(ways)}")
        return features

    def _by_trainer(self, validation: Features, resume: bool) -> tuple[Chosen, float, float]:
        given = self.config.training.get("learning_rate")
        rates = self.config.learning_rates if given is None else [float(given)]
        layer = head(self.model)
        heads = HeadGrid(layer.in_features, layer.out_features, len(rates))
        callbacks: list[Any] = [
            HistoryCallback(self.folder.history, len(rates)),
            ProgressCallback("probe", len(self.splits.train)),
        ]
        module: torch.nn.Module
        train: ImageDataset | FeatureDataset
        finish = None
        if self.config.features == "online":
            augmentation = augmentation_of(self.run_config, "probe", layer.out_features)
            train_images = decoded_once(self.splits.train, self.run_config.data.image_cache)
            finished = self.arguments.device.type == "cpu"
            images = ImageDataset(train_images, Transform(self.processor, augmentation), finished=finished)
            finish = None if finished else images.transform.finish
            module, train = OnlineProbe(self.model, heads), images
            callbacks += [FreezeCallback(["model"]), EpochCallback(images)]
        else:
            module, train = heads, FeatureDataset(self._features("train"))
            callbacks.append(EpochCallback())
        start = time.perf_counter()
        trainer = GridTrainer(
            module,
            self.arguments,
            resume=last_checkpoint(self.folder.checkpoints) if resume else None,
            train_dataset=train,
            eval_dataset=FeatureDataset(validation),
            callbacks=callbacks,
            heads=heads,
            learning_rates=rates,
            momentum=self.run_config.momentum,
            metric=self.metric,
            finish=finish,
            balance=self.balance,
        )
        state = trainer.run()
        if self.config.features == "online":
            self.input_wait_fraction = trainer.clock.fraction
        scores = scores_of(trainer.predict(FeatureDataset(validation)).predictions, validation.labels)
        best = best_candidate(scores, self.metric, len(validation))
        heads.install(best, self.model)
        seconds = time.perf_counter() - start
        for index, rate in enumerate(rates):
            kept = "  <- kept" if index == best and len(rates) > 1 else ""
            say(f"learning rate {rate:<8g} validation {self._measured(scores[index], len(validation))}{kept}")
        _say_why(scores, best)
        chosen = replace(self._chosen(scores, best, len(validation)), learning_rate=rates[best])
        return chosen, float(state.epoch or 0), seconds

    def _by_lbfgs(self, validation: Features, resume: bool) -> tuple[Chosen, None, float]:
        from hf_cifar.training.probe.logistic import solve_path  # scikit-learn, for this solver alone

        train = self._features("train")
        layer = head(self.model)
        start = time.perf_counter()
        weights, offsets = (None if some is None else some.numpy() for some in self.balance.of_loss.values())
        solutions = solve_path(
            train[:],
            train.labels,
            layer.out_features,
            self.config.strengths,
            class_weights=weights,
            logit_offsets=offsets,
        )
        held_out = validation[:]
        scores = [score(solution.logits(held_out), validation.labels) for solution in solutions]
        best = best_candidate(scores, self.metric, len(validation))
        rows = [
            {
                "strength": solution.strength,
                "iterations": solution.iterations,
                "converged": int(solution.converged),
                "seconds": round(solution.seconds, 3),
                "loss": solution.train_loss,
                **{f"validation_{name}": value for name, value in asdict(scored).items()},
            }
            for solution, scored in zip(solutions, scores, strict=True)
        ]
        write_history(self.folder.history, rows)
        layer.install(torch.from_numpy(solutions[best].weight), torch.from_numpy(solutions[best].bias))
        seconds = time.perf_counter() - start
        for index, solution in enumerate(solutions):
            kept = "  <- kept" if index == best else ""
            say(
                f"strength {solution.strength:<8g} validation {self._measured(scores[index], len(validation))}, "
                f"{solution.iterations} iterations{kept}"
            )
        _say_why(scores, best)
        chosen = replace(self._chosen(scores, best, len(validation)), strength=solutions[best].strength)
        return chosen, None, seconds

    def _chosen(self, scores: list[Score], best: int, images: int) -> Chosen:
        """Return what the head was chosen from, and by what where that is not accuracy, which is measured anyway."""
        if self.metric != "accuracy":
            return Chosen(metric=self.metric, value=scores[best].by(self.metric), candidates=len(scores))
        return Chosen(candidates=len(scores), close=num_close(scores, images))

    def _measured(self, scored: Score, count: int) -> str:
        """Return the accuracy of a head, and the metric that it is chosen by, as they are printed."""
        words = f"accuracy {percent(scored.accuracy, count)}"
        if self.metric == "accuracy":
            return words
        value = error(scored.nll) if self.metric == "nll" else percent(scored.by(self.metric), count)
        return f"{words}, {self.metric.replace('_', ' ')} {value}"

    @torch.inference_mode()
    def _logits(self, features: Features) -> np.ndarray:
        """Return the logits of the model's own head for these features."""
        layer = head(self.model)
        batches = [
            layer(torch.from_numpy(features[first : first + EVAL_BATCH_SIZE]).to(self.model.device)).cpu().numpy()
            for first in range(0, len(features), EVAL_BATCH_SIZE)
        ]
        return np.concatenate(batches)


def _say_why(scores: list[Score], best: int) -> None:
    """Say why a head is kept that has not the highest accuracy."""
    if scores[best].accuracy < max(scored.accuracy for scored in scores):
        say("kept: the lowest cross-entropy of those within one standard error of the highest accuracy")


def probe_arguments(config: RunConfig, folder: StageFolder) -> TrainingArguments:
    """Return the `TrainingArguments` of a probe.

    Raises:
        InputError: an argument is unknown, reserved or does not fit.
    """
    given = dict(config.probe.training)
    arguments = training_arguments(
        given,
        folder.checkpoints,
        config.seed,
        RESERVED,
        per_device_eval_batch_size=EVAL_BATCH_SIZE,
        # A single rate given by hand asks for the textbook loop; the heads of a grid all profit from a schedule.
        lr_scheduler_type="constant" if "learning_rate" in given else "cosine",
    )
    if config.probe.features == "online" and "dataloader_num_workers" not in given:
        arguments.dataloader_num_workers = default_workers(arguments.device)
    return arguments
