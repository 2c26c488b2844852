"""Whether an exported folder is what it should be: looked at file by file, and opened where this package is not."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hf_cifar.errors import HubError
from hf_cifar.hub.local_paths import local_paths

NEEDED = ("config.json", "preprocessor_config.json", "README.md")
# Files that run code when they are opened, or that are weights in another format than safetensors.
REFUSED = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".npy", ".npz", ".joblib", ".py"}
TEXT = {".md", ".json", ".yaml", ".csv", ".txt"}
TOKEN = re.compile(r"hf_[A-Za-z0-9]{30,}")
TOLERANCE = 1e-5
# An accelerator computes in a shorter format than the CPU does here.
OTHER_HARDWARE = 1e-2
PROCESS_SECONDS = 600
# Run by another Python, in which this package cannot be imported.
_ANSWER = """
import json, sys
class NoSuchPackage:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hf_cifar":
            raise ImportError("hf_cifar is not here")
sys.meta_path.insert(0, NoSuchPackage())
import torch
from transformers import pipeline
from transformers.utils import logging
logging.set_verbosity_error()
logging.disable_progress_bar()
answer = pipeline("image-classification", model=sys.argv[1], device="cpu", dtype=torch.float32)
labels = answer.model.config.id2label
found = {
    "model": type(answer.model).__module__ + "." + type(answer.model).__name__,
    "labels": [labels[number] for number in sorted(labels)],
    "scores": [
        {item["label"]: item["score"] for item in answer(image, top_k=len(labels), function_to_apply="softmax")}
        for image in sys.argv[3:]
    ],
}
with open(sys.argv[2], "w") as file:
    json.dump(found, file)
"""


def check_files(folder: Path, run: Path | None) -> None:
    """Look at every file of an exported folder: what must be there, what must not, labels, card, paths and tokens.

    Args:
        folder: with the model, its processor and its card.
        run: the folder of the run that it comes from, whose name on this machine must not be told.

    Raises:
        HubError: the first thing that is wrong.
    """
    for name in NEEDED:
        if not (folder / name).is_file():
            raise HubError(f"{name} is missing")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if not any(name.endswith(".safetensors") for name in names):
        raise HubError("model.safetensors is missing: only weights in that format are exported")
    for name in names:
        if Path(name).suffix.lower() in REFUSED:
            raise HubError(f"{name} does not belong there: weights are safetensors, and no file may run code")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise HubError("config.json is no JSON") from error
    _check_labels(config)
    _check_card(folder)
    for name in names:
        if Path(name).suffix in TEXT:
            _check_text(name, (folder / name).read_text(encoding="utf-8"), run)


def check_answers(
    folder: Path, examples: dict[Path, dict[str, float]], model: Path, measured_here: bool = True
) -> float:
    """Open an exported folder in another process, which cannot import this package, and compare its answers.

    Args:
        folder: with the model and its processor.
        examples: real images, each with the score of some labels, as they were measured.
        model: the folder that was exported; where there are no examples, it is asked for images of noise.
        measured_here: whether the scores of the examples were computed on a CPU too.

    Returns:
        The largest difference of a score.

    Raises:
        HubError: the folder does not open, has other labels, or gives other scores.
    """
    with tempfile.TemporaryDirectory() as place:
        tolerance = TOLERANCE if measured_here or not examples else OTHER_HARDWARE
        expected = examples or _answers_here(model, Path(place))
        found = _answers(folder, list(expected))
    if not str(found["model"]).startswith("transformers."):
        raise HubError(f"the model is {found['model']}, which is not one of transformers' own")
    worst = 0.0
    for (image, wanted), scores in zip(expected.items(), found["scores"], strict=True):
        for label, score in wanted.items():
            if label not in scores:
                raise HubError(f"{image.name} should be given the label {label!r}, which the exported model lacks")
            worst = max(worst, abs(scores[label] - score))
            if not worst <= tolerance:  # NaN too
                raise HubError(
                    f"the exported folder gives {image.name} the score {scores[label]:.6f} for {label!r}, where "
                    f"{score:.6f} was measured: model or image processor is not the one that was measured"
                )
    return worst


def _answers_here(model: Path, place: Path) -> dict[Path, dict[str, float]]:
    """The scores of a model in this process, on two images of noise that are drawn and saved in `place`."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    answer = pipeline("image-classification", model=str(model), device="cpu", dtype=torch.float32)
    count, found = len(answer.model.config.id2label or {}), {}
    for number in range(2):
        image = place / f"noise-{number}.png"
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(image)
        scores = answer(str(image), top_k=count, function_to_apply="softmax")
        found[image] = {str(item["label"]): float(item["score"]) for item in scores}
    return found


def _answers(folder: Path, images: list[Path]) -> dict[str, Any]:
    """What a process that knows nothing of this package, of the Hub or of its token gets out of a folder."""
    with tempfile.TemporaryDirectory() as empty:
        hidden = ("PYTHONPATH", "HF_TOKEN", "RANK", "WORLD_SIZE", "LOCAL_RANK")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {"HF_HOME": empty, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        answer = Path(empty, "answer.json")
        command = [sys.executable, "-c", _ANSWER, str(folder.resolve()), str(answer)]
        try:
            done = subprocess.run(
                [*command, *(str(image.resolve()) for image in images)],
                cwd=empty,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PROCESS_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise HubError(f"the exported folder did not open within {PROCESS_SECONDS} s") from error
        if done.returncode != 0 or not answer.is_file():
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise HubError(f"the exported folder does not open without hf_cifar: {last[:300]}")
        found: dict[str, Any] = json.loads(answer.read_text())
    return found


def _check_labels(config: dict[str, Any]) -> None:
    names, numbers = config.get("id2label") or {}, config.get("label2id") or {}
    if not names or any(re.fullmatch(r"LABEL_\d+", str(name)) for name in names.values()):
        raise HubError('config.json has no label names (such as "LABEL_0")')
    if {str(number): name for name, number in numbers.items()} != {str(key): name for key, name in names.items()}:
        raise HubError("config.json: id2label and label2id do not say the same")
    if "auto_map" in config:
        raise HubError("config.json has an auto_map: the model would need trust_remote_code")


def _check_card(folder: Path) -> None:
    """The card has valid metadata, and the pictures that it shows are there."""
    from huggingface_hub import ModelCard

    try:
        card = ModelCard.load(folder / "README.md")
        values = card.data.to_dict()
    except Exception as error:
        raise HubError(f"README.md is no valid card: {' '.join(str(error).split())[:300]}") from error
    for name in ("library_name", "pipeline_tag"):
        if not values.get(name):
            raise HubError(f"README.md has no {name} in its metadata")
    for link in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", card.text):
        if "://" not in link and not (folder / link).is_file():
            raise HubError(f"README.md shows {link}, which is not there")


def _check_text(name: str, text: str, run: Path | None) -> None:
    if TOKEN.search(text):
        raise HubError(f"{name} holds what looks like a token of the Hub: take it out")
    paths = local_paths(text, run)
    if paths:
        raise HubError(f"{name} tells a path of this machine ({paths[0]})")
