"""What a training is going to take, from one measured batch: nothing is trained and nothing is written."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_cifar.models.anatomy import head
from hf_cifar.training.checkpoints import KEEP
from hf_cifar.training.finetune.finetune import Finetune
from hf_cifar.training.loss import summed_cross_entropy
from hf_cifar.training.optimizer import optimizer_name
from hf_cifar.training.probe.probe import Probe

FLOAT = 4  # bytes
KEPT = KEEP + 1  # checkpoints on the disk at a time: the last ones and the best
MEASURED_STEPS = 3  # after one that is not counted


@dataclass(frozen=True)
class StageForecast:
    """What one stage is expected to take.

    Attributes:
        stage: probe or finetune.
        seconds: of training, without predictions on test.
        seconds_per_epoch: of fine-tuning, validation included; of a probe, of its pass through the backbone.
        epochs: passes over the training images; None where the features are computed once.
        images: that go through the backbone in a pass.
        images_per_second: measured.
        checkpoint_bytes: of one checkpoint; at most `KEPT` are on the disk at a time.
    """

    stage: str
    seconds: float
    seconds_per_epoch: float
    epochs: float | None
    images: int
    images_per_second: float
    checkpoint_bytes: int


def forecast_probe(probe: Probe) -> StageForecast:
    """Return what a probe takes: its passes through the backbone; heads on features are trained in a moment."""
    online = probe.config.features == "online"
    epochs = float(probe.arguments.num_train_epochs) if online else None
    per_image, once = 0.0, 0
    for part, images in probe.splits.parts().items():
        every_epoch = online and part == "train"
        lacking, seconds = probe.cache.forecast(images, again=every_epoch)
        per_image, once = max(per_image, seconds), once + (0 if every_epoch else lacking)
    passed = len(probe.splits.train) if online else once
    layer = head(probe.model)
    return StageForecast(
        stage="probe",
        seconds=(passed * epochs + once if epochs is not None else once) * per_image,
        seconds_per_epoch=passed * per_image,
        epochs=epochs,
        images=passed,
        images_per_second=1 / per_image if per_image else 0.0,
        checkpoint_bytes=2 * FLOAT * layer.num_parameters * len(probe.config.learning_rates),
    )


def forecast_finetune(tuned: Finetune) -> StageForecast:
    """Return what fine-tuning takes, from a few steps on one batch and a validation batch."""
    arguments, model = tuned.arguments, tuned.laid_out()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    step, size = _step(tuned, model)
    seconds = _timed(step, arguments.device)
    pixels, _ = _batch(tuned, size)
    with torch.inference_mode():
        checking = _timed(lambda: model.eval()(pixels), arguments.device)
    batches = math.ceil(len(tuned.train) / size)
    loading = _loading(tuned, size)
    workers = arguments.dataloader_num_workers
    per_batch = max(seconds, loading / workers) if workers else seconds + loading
    validation = (checking / size + loading / size / max(1, workers)) * len(tuned.validation)
    epochs = arguments.num_train_epochs
    if arguments.max_steps > 0:
        epochs = arguments.max_steps * arguments.gradient_accumulation_steps / batches
    # Beside the weights: one number a weight of momentum, two of Adam, and one of an average.
    copies = (2 if "adam" in optimizer_name(arguments) else 1) + bool(tuned.options.ema)
    weights = sum(value.numel() for value in model.state_dict().values())
    return StageForecast(
        stage="finetune",
        seconds=epochs * (batches * per_batch + validation),
        seconds_per_epoch=batches * per_batch + validation,
        epochs=float(epochs),
        images=len(tuned.train),
        images_per_second=size / per_batch,
        checkpoint_bytes=FLOAT * (weights + copies * sum(parameter.numel() for parameter in trained)),
    )


def _batch(tuned: Finetune, size: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the network's input for a training batch, and the rest of the batch, on the device."""
    images, device = tuned.training_images, tuned.arguments.device
    batch = images.__getitems__(list(range(-1 if images.mixes else 0, size)))
    batch = {name: value.to(device) for name, value in batch.items() if isinstance(value, torch.Tensor)}
    finished = batch if images.finished else images.transform.finish(batch)
    return finished.pop("pixel_values"), finished


def _loading(tuned: Finetune, size: int) -> float:
    begun = time.perf_counter()
    _batch(tuned, size)
    return time.perf_counter() - begun


def _step(tuned: Finetune, model: PreTrainedModel) -> tuple[Callable[[], None], int]:
    """Return a training step without its optimizer, and the number of its images."""
    arguments = tuned.arguments
    size = min(arguments.train_batch_size, len(tuned.train))
    pixels, rest = _batch(tuned, size)
    dtype = torch.bfloat16 if arguments.bf16 else torch.float16

    def step() -> None:
        model.train()
        with torch.autocast(arguments.device.type, dtype, enabled=arguments.bf16 or arguments.fp16):
            outputs = model(pixel_values=pixels)
            loss = summed_cross_entropy(outputs, rest["labels"], targets=rest.get("targets")) / size
        loss.backward()
        model.zero_grad()

    return step, size


def _timed(step: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds that a step takes, at best of a few, after one that is not counted."""
    times = []
    for _ in range(1 + MEASURED_STEPS):
        begun = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begun)
    return min(times[1:])
