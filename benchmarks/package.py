"""The package's side of every figure: the only module here that knows the package's insides."""

import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset
from transformers import PreTrainedModel, TrainerCallback, ViTConfig, ViTForImageClassification, ViTImageProcessor

from benchmarks.measuring import Timed
from benchmarks.setting import BATCH, Setting
from hf_cifar.config.locate import locate_model, locate_weights
from hf_cifar.config.options.data import DataConfig
from hf_cifar.data.augmentation.augmentation import Augmentation
from hf_cifar.data.augmentation.draws import Draws
from hf_cifar.data.image_cache import decoded_once
from hf_cifar.data.images import LabeledImages
from hf_cifar.data.loader import ImageDataset, default_workers, image_loader, in_order
from hf_cifar.data.sources import load_source
from hf_cifar.data.splits import Splits
from hf_cifar.data.transforms import Transform
from hf_cifar.evaluation.validation_metrics import validation_metrics
from hf_cifar.experiment import run_stage
from hf_cifar.inference.predictor import Predictor
from hf_cifar.models.anatomy import head, layer_groups
from hf_cifar.models.build import build_model
from hf_cifar.models.native import save
from hf_cifar.models.processors import fit_processor
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.callbacks import EpochCallback
from hf_cifar.training.finetune.arguments import finetune_arguments
from hf_cifar.training.finetune.finetune import Finetune
from hf_cifar.training.finetune.starting_point import find_start
from hf_cifar.training.finetune.trainer import FinetuneTrainer
from hf_cifar.training.freezing import freeze_statistics
from hf_cifar.training.optimizer import parameter_groups
from hf_cifar.training.probe.features import FeatureCache, batch_size
from hf_cifar.training.probe.probe import Probe
from hf_cifar.utils.device import on_device

HELD_OUT = 500  # images at most, that no side trains on


@dataclass(frozen=True)
class Images:
    """Images of a dataset, in an order drawn by a fixed seed.

    Attributes:
        train: as many as asked for, or fewer where the dataset has not so many.
        validation: a tenth of that.
        held_out: others, at most 500.
        label_names: of the classes.
    """

    train: LabeledImages
    validation: LabeledImages
    held_out: LabeledImages
    label_names: list[str]

    @classmethod
    def load(cls, dataset: str, count: int) -> "Images":
        """Load them from the training split; of a small dataset no more than leaves some to be held out."""
        source = load_source(DataConfig(dataset=dataset))
        images = source.splits["train"]
        order = np.random.default_rng(0).permutation(len(images))
        count = min(count, len(images) * 4 // 5)
        tenth = max(1, count // 10)
        parts = np.split(order[: count + tenth + HELD_OUT], [count, count + tenth])
        train, validation, held_out = (images.select(part) for part in parts)
        return cls(train, validation, held_out, source.label_names)


def all_training_images(dataset: str) -> LabeledImages:
    """Return the whole training split of a dataset."""
    return load_source(DataConfig(dataset=dataset)).splits["train"]


def decoded(images: LabeledImages, folder: Path) -> LabeledImages:
    """Return the same images, decoded into a cache in a folder, as fine-tuning reads them."""
    return decoded_once(images, "auto", folder)


def contents(images: LabeledImages) -> list[bytes]:
    """Return the encoded images, as they are in the dataset's files."""
    cells = (images.rows[int(row)]["image"] for row in images.index)
    return [cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes() for cell in cells]


def resnet18(setting: Setting, label_names: list[str]) -> tuple[PreTrainedModel, Any]:
    """Return the ResNet-18 of `--weights` in eval mode, on the device, and the image processor of its weights."""
    built = build_model(locate_model("resnet18"), locate_weights(setting.weights), None, label_names, seed=0)
    return on_device(built.model.eval(), torch.device(setting.device)), built.processor


def mini_resnet(setting: Setting, label_names: list[str]) -> tuple[PreTrainedModel, Any]:
    """Return the bundled small ResNet, on the device, and its image processor."""
    built = build_model(locate_model("resnet18-mini"), None, None, label_names, seed=0)
    return on_device(built.model.eval(), torch.device(setting.device)), built.processor


def vit(setting: Setting, side: int, label_names: list[str]) -> tuple[PreTrainedModel, Any]:
    """Return a ViT-B/16 with random weights, on the device, and its image processor; a tiny one with `--quick`."""
    sizes: dict[str, Any] = {"image_size": side, "id2label": dict(enumerate(label_names))}
    if setting.quick:
        sizes |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    model = ViTForImageClassification(ViTConfig(**sizes))
    return on_device(model.eval(), torch.device(setting.device)), ViTImageProcessor()


def at_size(processor: Any, side: int) -> Any:
    """Return an image processor for another size of the network's input, in pixels."""
    return fit_processor(processor, side, None)


def batches(images: LabeledImages, processor: Any) -> Iterator[torch.Tensor]:
    """Yield the input of evaluation, float32 [n, 3, side, side], in order, without worker processes."""
    transform = Transform(processor)
    (first,) = in_order(images.select(np.arange(1)), transform, 1, 0)
    yield from in_order(images, transform, batch_size(first, torch.device("cpu")), 0)


def training_batches(images: LabeledImages, processor: Any, augmentation: str, seed: int) -> Iterator[torch.Tensor]:
    """Yield the input of training, in the order of the images, without worker processes."""
    dataset = ImageDataset(images, Transform(processor, Augmentation(augmentation, seed)))
    for batch in image_loader(dataset, batch_size=BATCH, num_workers=0):
        yield batch["pixel_values"]


def augment(name: str, pixels: torch.Tensor, rows: range, seed: int) -> torch.Tensor:
    """Augment a batch, uint8 [n, 3, height, width], of some rows of a split, which select the draws."""
    augmentation = Augmentation(name, seed)
    return augmentation.apply(pixels, augmentation.draw(Draws(seed, 0, np.array(rows)), *pixels.shape[-2:]))


def probe(setting: Setting, images: Images, model: PreTrainedModel, processor: Any, epochs: int) -> dict[str, Any]:
    """Probe a model with an empty cache, and return `weight` and `bias` of its head, and its `learning_rate`."""
    with setting.scratch("probe") as folder:
        options: dict[str, Any] = {"dataset": setting.dataset, "weights": setting.weights, "save_strategy": "no"}
        places = {"output_dir": str(folder / "run"), "feature_cache": str(folder / "cache")}
        request = request_for("probe", {**options, **places, "num_train_epochs": epochs})
        stage = StageFolder(folder / "run" / "probe")
        stage.path.mkdir(parents=True)
        # One image of test: what is compared is the work on train and validation.
        splits = Splits(images.train, images.validation, images.held_out.select(np.arange(1)), {}, {})
        result = Probe(request.config, model, processor, splits, stage).run(resume=False)
        layer = next(module for module in reversed(list(model.modules())) if isinstance(module, torch.nn.Linear))
        return {
            "weight": layer.weight.detach().cpu().clone(),
            "bias": layer.bias.detach().cpu().clone(),
            "learning_rate": result.chosen.learning_rate,
        }


def features(folder: Path, images: LabeledImages, model: PreTrainedModel, processor: Any) -> np.ndarray:
    """Return pooled features, float32 [n, features], through a cache in a folder; memory-mapped until they are read."""
    return FeatureCache(model, processor, folder).features(images)[:]


def fill_cache(folder: Path, images: LabeledImages, model: PreTrainedModel, processor: Any) -> int:
    """Compute the features of some images into a cache, without reading them, and return their number."""
    return len(FeatureCache(model, processor, folder).features(images))


def feature_size(model: PreTrainedModel) -> int:
    """Return the number of features that the head of a model takes."""
    return head(model).in_features


@dataclass(frozen=True)
class Finetuned:
    """The outcome of fine-tuning, by either side: steps, and accuracy on validation."""

    steps: int
    accuracy: float


def start_of(setting: Setting, label_names: list[str], options: dict[str, Any]) -> PreTrainedModel:
    """Return the network that `finetune` starts from."""
    with setting.scratch("start") as folder:
        return find_start(_finetune_request(setting, folder, options), label_names).model


def finetune(setting: Setting, images: Images, side: int, options: dict[str, Any]) -> Timed:
    """Fine-tune as `--stage finetune` does, with its validation and checkpoints; building the model is not timed."""
    with setting.scratch("finetune") as folder:
        request = _finetune_request(setting, folder, options)
        start = find_start(request, images.label_names)
        stage = StageFolder(folder / "finetune")
        stage.path.mkdir(parents=True)
        begun = time.perf_counter()
        result = Finetune(
            request.config,
            start,
            at_size(start.processor, side),
            images.train,
            images.validation,
            images.label_names,
            stage,
            validation_metrics,
        ).run(resume=False)
        seconds = time.perf_counter() - begun
        accuracy = float((result.validation_logits.argmax(axis=1) == images.validation.targets).mean())
        steps = round(result.epochs * -(-len(images.train) // BATCH))
        return Timed(seconds, Finetuned(steps, accuracy))


def _finetune_request(setting: Setting, folder: Path, options: dict[str, Any]) -> Any:
    given = {"model": "resnet18", "weights": setting.weights, "dataset": setting.dataset, "output_dir": str(folder)}
    return request_for("finetune", {**given, **options})


def finetuning_metrics(setting: Setting, options: dict[str, Any], at_once: bool = False) -> dict[str, Any]:
    """Run `--stage finetune` for an epoch, and return what `metrics.json` says of training.

    Args:
        setting: the dataset, the number of images and the weights.
        options: of the stage.
        at_once: training waits until a checkpoint is complete, instead of going on meanwhile.
    """
    with setting.scratch("run") as folder, ExitStack() as stack:
        if at_once:
            stack.enter_context(mock.patch("hf_cifar.training.checkpoints.ThreadPoolExecutor", _AtOnce))
        limits = {
            "max_train_samples": setting.images,
            "max_eval_samples": 2 * BATCH,
            "num_train_epochs": 1,
            "bn": "train",
        }
        run_stage(_finetune_request(setting, folder, {**limits, **options}))
        train: dict[str, Any] = json.loads((folder / "finetune" / "metrics.json").read_text())["train"]
        return train


class _AtOnce:
    """Stands in for an executor of one thread, and runs what it is given before it returns."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run a task."""
        done: Future[Any] = Future()
        done.set_result(task(*arguments))
        return done

    def shutdown(self) -> None:
        """Do nothing: nothing is left to be done."""


def train_steps(
    setting: Setting,
    model: PreTrainedModel,
    data: Dataset,
    batch: int,
    options: dict[str, Any],
    *,
    skip: int = 0,
    frozen_statistics: bool = True,
) -> float:
    """Return the seconds of all steps but the first ones, inside the package's `Trainer`, without what follows them.

    Args:
        setting: the folder and the device.
        model: trained in place.
        data: one epoch of it is trained on; returns whole batches, as `ImageDataset` does.
        batch: images in a step.
        options: of `--stage finetune`.
        skip: steps before the clock starts.
        frozen_statistics: keep those of BatchNorm, from now on.
    """
    if frozen_statistics:
        freeze_statistics(model)
    with setting.scratch("steps") as folder:
        config = _finetune_request(
            setting, folder, {"num_train_epochs": 1, "train_batch_size": batch, "scheduler": "constant", **options}
        ).config
        args = finetune_arguments(config, StageFolder(folder))
        if not isinstance(data, ImageDataset):  # its batches are on the device already
            args.dataloader_pin_memory, args.dataloader_num_workers = False, 0
        groups = parameter_groups(model, layer_groups(model), learning_rate=args.learning_rate, weight_decay=0.0)
        clock = _Clock(skip)
        FinetuneTrainer(
            model,
            args,
            resume=None,
            config=config,
            groups=groups,
            average=None,
            train_dataset=data,
            eval_dataset=Subset(data, [0]),
            callbacks=[EpochCallback(data if isinstance(data, ImageDataset) else None), clock],
            compute_metrics=validation_metrics,
        ).run()
        return clock.seconds


class _Clock(TrainerCallback):
    """The seconds of the steps after the first `skip`."""

    def __init__(self, skip: int) -> None:
        self.skip = skip
        self.begun = self.seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start before the first step that counts."""
        if state.global_step == self.skip:
            self.begun = self._now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop after the last step."""
        if state.global_step == state.max_steps:
            self.seconds = self._now() - self.begun

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def training_images(images: LabeledImages, processor: Any, count: int) -> ImageDataset:
    """Return `count` training images with the standard augmentation; those of a smaller dataset come several times."""
    return ImageDataset(images.select(np.arange(count) % len(images)), Transform(processor, Augmentation("standard")))


def loader_processes(setting: Setting) -> int:
    """Return how many loader processes the package takes by itself."""
    return default_workers(torch.device(setting.device))


def save_model(model: PreTrainedModel, processor: Any, folder: Path) -> None:
    """Save a model as the package does, in a folder that opens anywhere."""
    save(model, processor, folder)


def predictor(folder: Path) -> Callable[[list[str]], list[list[dict[str, Any]]]]:
    """Return what answers files as `--stage predict` does, by a saved model."""
    return Predictor(str(folder), batch_size=BATCH).predict


def save_images(images: LabeledImages, folder: Path) -> list[str]:
    """Write images as PNG files, and return their paths."""
    paths = [str(folder / f"{number}.png") for number in range(len(images))]
    for path, content in zip(paths, contents(images), strict=True):
        Image.open(io.BytesIO(content)).convert("RGB").save(path)
    return paths
