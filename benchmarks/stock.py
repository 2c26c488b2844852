"""The baselines: plain PyTorch, PIL and torchvision an image, and the stock `transformers` example's way.

Nothing of the package is used here. Encoded images lie in memory, so that no baseline waits for a disk.
"""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from transformers import Trainer, TrainingArguments

MOMENTUM = 0.9
FILTERS = {
    transforms.InterpolationMode.NEAREST: Image.Resampling.NEAREST,
    transforms.InterpolationMode.BILINEAR: Image.Resampling.BILINEAR,
    transforms.InterpolationMode.BICUBIC: Image.Resampling.BICUBIC,
    transforms.InterpolationMode.LANCZOS: Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Preprocessing:
    """What an image processor does: the square that it resizes to, how, and its normalisation.

    Attributes:
        side: in pixels.
        mean, std: of each channel, in [0, 1].
        resample: PIL's number of the filter.
    """

    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int

    @classmethod
    def of(cls, processor: Any) -> "Preprocessing":
        """Return that of an image processor of ViT's kind."""
        return cls(
            int(processor.size["height"]),
            tuple(processor.image_mean),
            tuple(processor.image_std),
            int(processor.resample),
        )

    def evaluation(self) -> Any:
        """Return resize, tensor and normalisation, as torchvision's examples have them."""
        how = next(mode for mode, number in FILTERS.items() if number == self.resample)
        return transforms.Compose(
            [
                transforms.Resize((self.side, self.side), how),
                transforms.ToTensor(),
                transforms.Normalize(self.mean, self.std),
            ]
        )

    def training(self, size: tuple[int, int]) -> Any:
        """Return the same behind a random crop with padding and a flip, for images of a width and height."""
        width, height = size
        padding = (round(width / 8), round(height / 8))
        return transforms.Compose(
            [
                transforms.RandomCrop((height, width), padding=padding, pad_if_needed=True),
                transforms.RandomHorizontalFlip(),
                self.evaluation(),
            ]
        )


class Pictures(Dataset):
    """Encoded images with labels, each decoded and transformed by itself.

    Args:
        contents: encoded images.
        labels: int64 [n].
        transform: a PIL image to a tensor.
    """

    def __init__(self, contents: list[bytes], labels: np.ndarray, transform: Callable[[Image.Image], Any]) -> None:
        self.contents = contents
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return self.transform(opened(self.contents[number])), self.labels[number]


def opened(content: bytes) -> Image.Image:
    """Return a decoded RGB image."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def loader(pictures: Pictures, batch: int, workers: int = 0, shuffle: bool = False) -> DataLoader:
    """Return a plain loader, whose processes live as long as it does."""
    return DataLoader(
        pictures,
        batch,
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def backbone(state: dict[str, torch.Tensor], device: str) -> torch.nn.Module:
    """Return torchvision's ResNet-18 without its head, in eval mode, with the weights of another one."""
    state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    network = torchvision.models.resnet18(weights=None)
    network.fc = torch.nn.Identity()
    network.load_state_dict(state)
    return network.eval().to(device)


@torch.inference_mode()
def features(network: torch.nn.Module, batches: Iterator[Any] | DataLoader, device: str) -> torch.Tensor:
    """Return the features of all images, float32 [n, features], on the CPU."""
    return torch.cat([network(pixels.to(device)).cpu() for pixels, _ in batches])


def probe(
    network: torch.nn.Module,
    train: DataLoader,
    validation: DataLoader,
    classes: int,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> dict[str, Any]:
    """Train a head on a frozen backbone, every epoch through the backbone, with validation after each.

    Returns:
        `weight` and `bias` of the head, and its last `validation` accuracy.
    """
    torch.manual_seed(seed)
    device = next(network.parameters()).device
    head = torch.nn.Linear(512, classes).to(device)
    optimizer = torch.optim.SGD(head.parameters(), lr=learning_rate, momentum=MOMENTUM)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train))
    accuracy = 0.0
    for _ in range(epochs):
        for pixels, labels in train:
            with torch.no_grad():
                values = network(pixels.to(device))
            loss = torch.nn.functional.cross_entropy(head(values), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        hits = 0
        with torch.no_grad():
            for pixels, labels in validation:
                hits += int((head(network(pixels.to(device))).argmax(1) == labels.to(device)).sum())
        accuracy = hits / len(validation.dataset)  # type: ignore[arg-type]
    return {"weight": head.weight.detach().cpu(), "bias": head.bias.detach().cpu(), "validation": accuracy}


def bare_steps(
    model: torch.nn.Module,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    steps: int,
    optimizer: torch.optim.Optimizer,
    bf16: bool,
    skip: int = 0,
) -> float:
    """Return the seconds of training steps on one batch that is on the device already, but for the first ones.

    Args:
        model: returns `logits`; trained in place.
        pixels, labels: the batch.
        steps: how many, those that are skipped included.
        optimizer: over the model's parameters.
        bf16: autocast to bfloat16.
        skip: steps before the clock starts.
    """
    model.train()
    begun = 0.0
    for step in range(steps):
        if step == skip:
            synchronize()
            begun = time.perf_counter()
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bf16):
            loss = torch.nn.functional.cross_entropy(model(pixels).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    synchronize()
    return time.perf_counter() - begun


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def example_dataset(contents: list[bytes], labels: np.ndarray, transform: Callable[[Image.Image], Any]) -> Any:
    """Return a `datasets.Dataset` that transforms each image when it is read, as the example makes it."""
    cells = [{"bytes": content, "path": None} for content in contents]
    columns = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"image": cells, "label": labels.tolist()}, features=columns)

    def transformed(examples: dict[str, list[Any]]) -> dict[str, list[Any]]:
        examples["pixel_values"] = [transform(image.convert("RGB")) for image in examples["image"]]
        return examples

    table.set_transform(transformed)
    return table


def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Stack a batch, as the example does."""
    return {
        "pixel_values": torch.stack([example["pixel_values"] for example in examples]),
        "labels": torch.tensor([example["label"] for example in examples]),
    }


def example_training(
    model: Any, train: Any, validation: Any, folder: Path, learning_rate: float, warmup: float, **options: Any
) -> tuple[int, float]:
    """Train, validate and save after every epoch, load the best and evaluate it, as the example's README runs it.

    Args:
        model: trained in place, by SGD with momentum.
        train, validation: as of `example_dataset`.
        folder: for checkpoints and the model.
        learning_rate, warmup: the peak of the schedule, and the share of the steps before it.
        options: of `TrainingArguments`.

    Returns:
        The number of steps, and the accuracy on validation.
    """
    arguments = TrainingArguments(
        output_dir=str(folder),
        remove_unused_columns=False,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=3,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        lr_scheduler_type="cosine",
        learning_rate=learning_rate,
        warmup_steps=warmup,
        report_to="none",
        disable_tqdm=True,
        **options,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=train,
        eval_dataset=validation,
        compute_metrics=lambda answer: {"accuracy": float((answer[0].argmax(axis=1) == answer[1]).mean())},
        optimizers=(torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=MOMENTUM), None),
    )
    trainer.train()
    trainer.save_model()
    return trainer.state.global_step, float(trainer.evaluate()["eval_accuracy"])
