"""Check an exported folder: file by file, and by opening it in a process without this package."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hf_cifar.errors import HubError
from hf_cifar.formats.variants import OPENVINO_WEIGHTS
from hf_cifar.hub.local_paths import local_paths

REQUIRED = ("config.json", "preprocessor_config.json", "README.md")
# Files that run code when they are opened, or that are weights in another format than safetensors.
REFUSED = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".npy", ".npz", ".joblib", ".py"}
ALLOWED = (OPENVINO_WEIGHTS,)  # arrays, read by OpenVINO
TEXT = {".md", ".json", ".yaml", ".csv", ".txt", ".xml"}
TOKEN = re.compile(r"hf_[A-Za-z0-9]{30,}")
TOLERANCE = 1e-5
# An accelerator may have computed in a shorter format than the CPU does here.
ACCELERATOR_TOLERANCE = 1e-2
TIMEOUT_SECONDS = 600
# Run in another process, in which this package cannot be imported.
_PREDICT = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hf_cifar":
            raise ImportError("hf_cifar is blocked")
sys.meta_path.insert(0, Blocked())
import torch
from transformers import pipeline
from transformers.utils import logging
logging.set_verbosity_error()
logging.disable_progress_bar()
classify = pipeline("image-classification", model=sys.argv[1], device="cpu", dtype=torch.float32)
labels = classify.model.config.id2label
result = {
    "model": type(classify.model).__module__ + "." + type(classify.model).__name__,
    "scores": [
        {item["label"]: item["score"] for item in classify(image, top_k=len(labels), function_to_apply="softmax")}
        for image in sys.argv[3:]
    ],
}
with open(sys.argv[2], "w") as file:
    json.dump(result, file)
"""


def check_files(folder: Path, run: Path | None) -> None:
    """Check every file of an exported folder: required and refused files, labels, card, local paths and tokens.

    Args:
        folder: with the model, its processor and its card.
        run: the folder of the run that it comes from, whose path must not be in any file.

    Raises:
        HubError: the first problem.
    """
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise HubError(f"{name} is missing")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if not any(name.endswith(".safetensors") for name in names):
        raise HubError("model.safetensors is missing: weights are exported in this format only")
    for name in names:
        if Path(name).suffix.lower() in REFUSED and name not in ALLOWED:
            raise HubError(f"{name} is not allowed: weights must be safetensors, and no file may run code")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise HubError("config.json is not valid JSON") from error
    _check_labels(config)
    _check_card(folder)
    for name in names:
        if Path(name).suffix in TEXT:
            _check_text(name, (folder / name).read_text(encoding="utf-8"), run)


def check_predictions(
    folder: Path,
    examples: dict[Path, dict[str, float]],
    model: Path,
    measured_on_cpu: bool = True,
    temperature: float | None = None,
) -> float:
    """Open an exported folder in a process that cannot import this package, and compare its predictions.

    Args:
        folder: with the model and its processor.
        examples: images, each with the measured score of some labels.
        model: the folder that was exported; without examples, its predictions for noise are compared.
        measured_on_cpu: whether the scores of the examples were computed on a CPU too.
        temperature: that the head of the exported model was divided by.

    Returns:
        The largest difference of a score.

    Raises:
        HubError: the folder does not open, has other labels, or gives other scores.
    """
    with tempfile.TemporaryDirectory() as images:
        tolerance = TOLERANCE if measured_on_cpu or not examples else ACCELERATOR_TOLERANCE
        expected = examples or _predict_noise(model, Path(images), temperature or 1.0)
        result = _predict(folder, list(expected))
    if not str(result["model"]).startswith("transformers."):
        raise HubError(f"the model is {result['model']}, which is not a class of transformers")
    worst = 0.0
    for (image, measured), scores in zip(expected.items(), result["scores"], strict=True):
        for label, score in measured.items():
            if label not in scores:
                raise HubError(f"the exported model lacks the label {label!r}, which was measured for {image.name}")
            worst = max(worst, abs(scores[label] - score))
            if not worst <= tolerance:  # NaN too
                raise HubError(
                    f"the exported folder scores {image.name} {scores[label]:.6f} for {label!r}, but {score:.6f} was "
                    "measured: the model or image processor is not the one that was measured"
                )
    return worst


def calibrated_scores(
    model: Path, examples: dict[Path, dict[str, float]], temperature: float, measured_on_cpu: bool = True
) -> dict[Path, dict[str, float]]:
    """Return the scores of the examples' labels once the model's logits are divided by a temperature.

    Args:
        model: the folder of the model as it was trained.
        examples: images, each with the measured score of some labels.
        temperature: the divisor.
        measured_on_cpu: whether these scores were computed on a CPU too.

    Raises:
        HubError: undivided, the model does not give the measured scores.
    """
    tolerance = TOLERANCE if measured_on_cpu else ACCELERATOR_TOLERANCE
    plain, divided = (_scores(model, list(examples), divisor) for divisor in (1.0, temperature))
    for image, measured in examples.items():
        worst = max(abs(plain[image].get(label, 0.0) - score) for label, score in measured.items())
        if not worst <= tolerance:  # NaN too
            raise HubError(f"the model scores {image.name} otherwise than was measured, by {worst:.1g}")
    return {image: {label: divided[image][label] for label in measured} for image, measured in examples.items()}


def _predict_noise(model: Path, folder: Path, temperature: float) -> dict[Path, dict[str, float]]:
    """Return the scores of a model for two images of noise that are written to `folder`."""
    import numpy as np
    from PIL import Image

    images = [folder / f"noise-{index}.png" for index in range(2)]
    for index, image in enumerate(images):
        pixels = np.random.default_rng(index).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(image)
    return _scores(model, images, temperature)


def _scores(model: Path, images: list[Path], temperature: float) -> dict[Path, dict[str, float]]:
    """Return the softmax of a model's logits over a temperature, by `pipeline` in this process."""
    import torch
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    classify = pipeline("image-classification", model=str(model), device="cpu", dtype=torch.float32)
    num_labels, results = len(classify.model.config.id2label or {}), {}
    for image in images:
        answers = classify(str(image), top_k=num_labels, function_to_apply="none")
        logits = torch.tensor([item["score"] for item in answers], dtype=torch.float64)
        scores = (logits / temperature).softmax(dim=0).tolist()
        results[image] = {str(item["label"]): score for item, score in zip(answers, scores, strict=True)}
    return results


def _predict(folder: Path, images: list[Path]) -> dict[str, Any]:
    """Return class and scores of a model, opened by a process without this package, the Hub and its token."""
    with tempfile.TemporaryDirectory() as empty:
        hidden = ("PYTHONPATH", "HF_TOKEN", "RANK", "WORLD_SIZE", "LOCAL_RANK")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        environment |= {"HF_HOME": empty, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        result = Path(empty, "result.json")
        command = [sys.executable, "-c", _PREDICT, str(folder.resolve()), str(result)]
        try:
            done = subprocess.run(
                [*command, *(str(image.resolve()) for image in images)],
                cwd=empty,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise HubError(f"the exported folder did not open within {TIMEOUT_SECONDS} s") from error
        if done.returncode != 0 or not result.is_file():
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise HubError(f"the exported folder does not open without hf_cifar: {last[:300]}")
        values: dict[str, Any] = json.loads(result.read_text())
    return values


def _check_labels(config: dict[str, Any]) -> None:
    names, indices = config.get("id2label") or {}, config.get("label2id") or {}
    if not names or any(re.fullmatch(r"LABEL_\d+", str(name)) for name in names.values()):
        raise HubError('config.json has no label names (such as "LABEL_0")')
    if {str(index): name for name, index in indices.items()} != {str(key): name for key, name in names.items()}:
        raise HubError("config.json: id2label and label2id disagree")
    if "auto_map" in config:
        raise HubError("config.json has an auto_map: the model would need trust_remote_code")


def _check_card(folder: Path) -> None:
    """Check that the card has valid metadata, and that the pictures it shows exist."""
    from huggingface_hub import ModelCard

    try:
        card = ModelCard.load(folder / "README.md")
        values = card.data.to_dict()
    except Exception as error:
        raise HubError(f"README.md is not a valid card: {' '.join(str(error).split())[:300]}") from error
    for name in ("library_name", "pipeline_tag"):
        if not values.get(name):
            raise HubError(f"README.md has no {name} in its metadata")
    for link in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", card.text):
        if "://" not in link and not (folder / link).is_file():
            raise HubError(f"README.md shows {link}, which is missing")


def _check_text(name: str, text: str, run: Path | None) -> None:
    if TOKEN.search(text):
        raise HubError(f"{name} holds what looks like a Hub token: remove it")
    paths = local_paths(text, run)
    if paths:
        raise HubError(f"{name} contains a local path ({paths[0]})")
