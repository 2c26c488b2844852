"""Measure what the package claims about speed: python scripts/benchmark.py --output benchmark.json.

Every figure is a ratio against a named baseline. Both run in turn, in this process (processes of their own for
`--help` and for memory), and the medians of at least five rounds are compared. Weights are random: they do not
change the work.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hf_cifar.config.locate import Location

ROUNDS = 5
# A network and random weights, as `build_model` takes them.
RESNET18 = (Location("torchvision", "resnet18"), Location("none", "none"))
EPOCHS = 20
BATCH = 64
MEMORY = """
import json, sys, tempfile
from pathlib import Path
import psutil
from scripts_benchmark import setting
images, model, processor = setting(sys.argv[1], int(sys.argv[2]), 64)
from hf_cifar.training.probe.features import FeatureCache
import threading, time
peak, done = [0], []
def watch():
    while not done:
        peak[0] = max(peak[0], psutil.Process().memory_info().rss)
        time.sleep(0.02)
cache = FeatureCache(model, processor, Path(tempfile.mkdtemp()))
few = images.select(range(64))
cache.features(few)
before = psutil.Process().memory_info().rss
thread = threading.Thread(target=watch); thread.start()
cache.features(images)
done.append(1); thread.join()
print(json.dumps((peak[0] - before) / 2**20))
"""


def setting(dataset: str, count: int, size: int) -> tuple[Any, Any, Any]:
    """Some training images of a dataset, a ResNet-18 with random weights, and a processor of `size` pixels."""
    import numpy as np

    from hf_cifar.config.parts import DataConfig
    from hf_cifar.data.sources import load_source
    from hf_cifar.models.build import build_model
    from hf_cifar.models.processors import fit_processor

    source = load_source(DataConfig(dataset=dataset))
    images = source.splits["train"]
    images = images.select(np.arange(min(count, len(images))))
    built = build_model(*RESNET18, None, source.label_names, seed=0)
    return images, built.model.eval(), fit_processor(built.processor, size, None)


def in_turn(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Seconds of each, round by round, after one round that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for place, run in enumerate((first, second)):
            start = time.perf_counter()
            run()
            if number:
                times[place].append(time.perf_counter() - start)
    return times


def figure(name: str, goal: str, baseline: str, ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """One row of the table: how often our median goes into the baseline's."""
    return {
        "figure": name,
        "goal": goal,
        "baseline": baseline,
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "seconds": ours,
        "baseline_seconds": theirs,
    }


def stock_loader(images: Any, size: int, workers: int = 0) -> Any:
    """PIL and torchvision an image, as the stock example does it in its `set_transform`."""
    import torch
    from torchvision import transforms

    change = transforms.Compose(
        [
            transforms.Resize((size, size)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    class Stock(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            return change(images.decode([number])[0]), int(images.targets[number])

    return torch.utils.data.DataLoader(Stock(), BATCH, num_workers=workers)


def probe(dataset: str, count: int) -> list[dict[str, Any]]:
    """The cached probe against a plain loop of as many epochs, and against one bare pass."""
    import torch

    from hf_cifar.data.splits import Splits
    from hf_cifar.models.anatomy import head, pooled_features
    from hf_cifar.training.freezing import freeze

    images, model, processor = setting(dataset, count, 64)
    freeze(model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)

    def bare() -> None:
        with torch.inference_mode():
            for pixels, _ in stock_loader(images, 64):
                pooled_features(model, pixels.to(device))

    def loop() -> None:
        layer = torch.nn.Linear(head(model).in_features, head(model).out_features).to(device)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.01, momentum=0.9)
        for _ in range(EPOCHS):
            for pixels, labels in stock_loader(images, 64):
                with torch.no_grad():
                    features = pooled_features(model, pixels.to(device))
                loss = torch.nn.functional.cross_entropy(layer(features), labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def cached() -> None:
        from hf_cifar.run.resolve import request_for
        from hf_cifar.run.run_folder import RunFolder
        from hf_cifar.training.probe.probe import Probe

        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            options = {"output_dir": folder, "feature_cache": f"{folder}/cache", "dataset": "digits"}
            request = request_for("probe", {**options, "num_train_epochs": EPOCHS, "save_strategy": "no"})
            config, run = request.config, RunFolder(request, stack)
            run.claim()
            # Validation and test are of one image: what is compared is the work on train.
            one = images.select([0])
            splits = Splits(images, one, one, {}, {})
            Probe(config, model, processor, splits, run.stage("probe")).run(resume=False)

    ours, theirs = in_turn(cached, loop)
    again, once = in_turn(cached, bare)
    return [
        figure(f"probe of {EPOCHS} epochs", ">= 15", "plain loop through the frozen backbone", ours, theirs),
        {
            **figure("probe", "<= 1.15", "one bare forward pass", again, once),
            "ratio": statistics.median(again) / statistics.median(once),
        },
    ]


def input_pipeline(dataset: str, count: int) -> list[dict[str, Any]]:
    """Images a second at 224 pixels, against the stock example's way."""
    from hf_cifar.data.loader import in_order
    from hf_cifar.data.transforms import Transform

    images, _, processor = setting(dataset, count, 224)

    def ours() -> None:
        for _ in in_order(images, Transform(processor), BATCH, 0):
            pass

    def theirs() -> None:
        for _ in stock_loader(images, 224):
            pass

    return [
        figure("input pipeline at 224 px", ">= 3 on 2 cores", "PIL and torchvision an image", *in_turn(ours, theirs))
    ]


def fine_tuning(count: int) -> list[dict[str, Any]]:
    """Fine-tuning steps inside `Trainer`, against a bare loop, on synthetic batches; without evaluation and saving."""
    import torch
    from transformers import TrainerCallback

    from hf_cifar.data.loader import take
    from hf_cifar.evaluation.validation_metrics import validation_metrics
    from hf_cifar.models.anatomy import layer_groups
    from hf_cifar.models.build import build_model
    from hf_cifar.run.resolve import request_for
    from hf_cifar.run.stage_folder import StageFolder
    from hf_cifar.training.callbacks import EpochCallback
    from hf_cifar.training.finetune.finetune import finetune_arguments
    from hf_cifar.training.finetune.trainer import FinetuneTrainer
    from hf_cifar.training.freezing import freeze_statistics
    from hf_cifar.training.optimizer import parameter_groups
    from hf_cifar.utils.device import on_device

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pixels = torch.randn(BATCH, 3, 64, 64, device=device)
    labels = torch.arange(count) % 10
    built = build_model(*RESNET18, None, [str(number) for number in range(10)], seed=0)
    model = on_device(built.model, device)
    freeze_statistics(model)
    ours: list[float] = []

    class Ready(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return count

        def __getitem__(self, number: int) -> dict[str, Any]:
            return {"pixel_values": pixels[0], "labels": labels[number]}

        def __getitems__(self, numbers: list[int]) -> dict[str, Any]:
            return {"pixel_values": pixels[: len(numbers)], "labels": take(numbers, labels)[1].to(device)}

    class Clock(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0:
                self.start = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == state.max_steps:
                if device.type == "cuda":
                    torch.cuda.synchronize()
                ours.append(time.perf_counter() - self.start)

    def trainer() -> None:
        with tempfile.TemporaryDirectory() as folder:
            asked = {"output_dir": folder, "num_train_epochs": 1, "dataset": "digits"}
            request = request_for("finetune", {**asked, "train_batch_size": BATCH, "dataloader_num_workers": 0})
            config = request.config
            args = finetune_arguments(config, StageFolder(Path(folder)))
            args.dataloader_pin_memory = False
            groups = parameter_groups(model, layer_groups(model), learning_rate=0.01, weight_decay=0.0)
            one = torch.utils.data.Subset(Ready(), [0])
            options: dict[str, Any] = {
                "train_dataset": Ready(),
                "eval_dataset": one,
                "callbacks": [EpochCallback(), Clock()],
            }
            options["compute_metrics"] = validation_metrics
            FinetuneTrainer(model, args, resume=None, config=config, groups=groups, average=None, **options).run()

    def loop() -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        model.train()
        for first in range(0, count, BATCH):
            batch = labels[first : first + BATCH].to(device)
            loss = torch.nn.functional.cross_entropy(model(pixels[: len(batch)]).logits, batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    _, theirs = in_turn(trainer, loop)
    return [figure("fine-tuning steps, images/s", ">= 0.95", "bare loop with the same clipping", ours[1:], theirs)]


def prediction(dataset: str, count: int) -> list[dict[str, Any]]:
    """`count` images as PNG files of 64 pixels answered by the package, against `pipeline` with the same batches."""
    from transformers import pipeline

    from hf_cifar.inference.predictor import Predictor
    from hf_cifar.models.native import save

    images, model, processor = setting(dataset, count, 64)
    with tempfile.TemporaryDirectory() as folder:
        model.config.id2label = {number: str(number) for number in range(int(model.config.num_labels))}
        save(model, processor, Path(folder, "model"))
        files = []
        for number in range(len(images)):
            files.append(str(Path(folder, f"{number}.png")))
            images.decode([number])[0].save(files[-1])
        predictor = Predictor(str(Path(folder, "model")), batch_size=BATCH)
        device = predictor.model.device
        answer = pipeline("image-classification", model=str(Path(folder, "model")), device=device)
        theirs, ours = in_turn(lambda: answer(files, batch_size=BATCH), lambda: predictor.predict(files))
    return [figure(f"predict {len(files)} files", ">= 1", "pipeline(files, batch_size=64)", ours, theirs)]


def start_up() -> list[dict[str, Any]]:
    """Seconds of `--help`."""
    command = [sys.executable, str(Path(__file__).parent / "run.py"), "--help"]
    seconds, _ = in_turn(lambda: subprocess.run(command, check=True, capture_output=True), lambda: None)
    return [{"figure": "--help", "goal": "< 1.5 s", "ratio": statistics.median(seconds), "seconds": seconds}]


def memory(dataset: str, count: int) -> list[dict[str, Any]]:
    """How much more memory a pass over `count` images takes than over half of them, in MB."""
    grown = {}
    for images in (count // 2, count):
        code = MEMORY.replace("scripts_benchmark", Path(__file__).stem)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", code, dataset, str(images)]
        grown[images] = [
            float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
            for _ in range(ROUNDS)
        ]
    few, many = grown.values()
    return [
        {
            "figure": f"memory of features, {count} images against {count // 2}, MB",
            "goal": "constant",
            "ratio": statistics.median(many) - statistics.median(few),
            "megabytes": grown,
        }
    ]


def main() -> None:
    """Measure, print a table, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="as of run.py (default: digits)")
    parser.add_argument("--images", type=int, default=500, help="how many training images (default: 500)")
    parser.add_argument("--output", type=Path, help="JSON file for every measured second")
    measures: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "start-up": start_up,
        "input": lambda: input_pipeline(options.dataset, options.images),
        "probe": lambda: probe(options.dataset, options.images),
        "finetune": lambda: fine_tuning(options.images),
        "predict": lambda: prediction(options.dataset, options.images),
        "memory": lambda: memory(options.dataset, 2 * options.images),
    }
    parser.add_argument("--only", nargs="+", choices=measures, default=list(measures), help="leave out the others")
    options = parser.parse_args()
    rows = [row for name in options.only for row in measures[name]()]
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    print(f"{where}, torch {torch.__version__}, {options.images} images of {options.dataset}, {ROUNDS} rounds")
    for row in rows:
        spread = sorted(row.get("seconds", []))
        seconds = f"  ours {spread[0]:.2f} to {spread[-1]:.2f} s" if spread else ""
        print(f"{row['figure']:<52} {row['ratio']:>8.2f}  goal {row['goal']:<16}{seconds}")
    if options.output:
        options.output.write_text(
            json.dumps({"hardware": where, "python": platform.python_version(), "rows": rows}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
