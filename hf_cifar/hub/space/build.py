"""Write the files of a static Space: the page, the network as ONNX, example images, and a card."""

import json
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCardData

from hf_cifar.errors import InputError
from hf_cifar.hub.card.metadata import known_license
from hf_cifar.hub.card.network import architecture
from hf_cifar.hub.examples import Example, read_examples
from hf_cifar.hub.export import CARD, Trained
from hf_cifar.hub.space.steps import page_steps
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.files import write_json, write_text
from hf_cifar.utils.formatting import interval, listed, percent

PAGE_FILES = ("index.html", "page.js", "pixels.js", "style.css")
# Pinned: another version may compute something else than was tested.
LIBRARY = "https://cdn.jsdelivr.net/npm/@huggingface/transformers@4.3.2/dist/transformers.min.js"
# What transformers.js calls them, the first that is there is shown; one that its measurement refused is not there.
NETWORKS = {"q8": "onnx/model_quantized.onnx", "fp32": "onnx/model.onnx"}
PROCESSOR_FILE = "preprocessor_config.json"
MODEL = "model"  # the folder of the network
SHORT = 60  # characters that the Hub allows for a short description
CLASSES_NAMED = 12


def write_space(folder: Path, trained: Trained, model_id: str, license: str | None) -> None:
    """Write the Space of an exported model into an empty folder.

    Args:
        folder: of the Space.
        trained: the model; it is exported, with a network as ONNX.
        model_id: the repository of the model, USER/NAME.
        license: as the Hub names it; default: the base model's, if known.

    Raises:
        InputError: there is no network as ONNX, or the page cannot do what the image processor does.
    """
    dtype = network_of(trained)
    config = _read(trained.export / "config.json")
    steps = steps_of(trained.export)
    metrics = trained.stage.read_metrics() if trained.stage else None
    examples = read_examples(trained.stage) if trained.stage else []
    for name in PAGE_FILES:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    for name in ("config.json", PROCESSOR_FILE, NETWORKS[dtype]):
        (folder / MODEL / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained.export / name, folder / MODEL / name)
    for example in examples:
        (folder / "examples").mkdir(exist_ok=True)
        assert trained.stage is not None
        shutil.copyfile(trained.stage.examples / example.file, folder / "examples" / example.file)
    names = [str(name) for _, name in sorted((int(index), name) for index, name in config["id2label"].items())]
    title = _title(config, metrics)
    values = {
        "title": title,
        "facts": f"{model_id}: {_quality(metrics)}.",
        "classes": f"{len(names):,} classes: {', '.join(names[:CLASSES_NAMED])}{', …' * (len(names) > CLASSES_NAMED)}",
        "note": "Everything is computed in your browser, by transformers.js; no image is sent anywhere. "
        + ("The network is quantized to 8 bits; the accuracy is that of the original." if dtype == "q8" else ""),
        "labels": names,
        "steps": steps,
        "dtype": dtype,
        "library": LIBRARY,
        "examples": list(map(_shown, examples)),
    }
    write_json(folder / "space.json", values)
    write_text(folder / CARD, _card(title, model_id, license or known_license(metrics.base_model if metrics else None)))


def network_of(trained: Trained) -> str:
    """Return the network that the page takes from an export, as transformers.js calls it: q8, or else fp32.

    Raises:
        InputError: there is none; names the command that makes it.
    """
    dtype = next((name for name, file in NETWORKS.items() if (trained.export / file).is_file()), None)
    if dtype is None:
        source = trained.stage.path if trained.stage else trained.model
        raise InputError(
            f"--space needs the model as ONNX, which {trained.export} does not have: first run hf-cifar --stage export "
            f"--checkpoint {source} --formats native,onnx,onnx-q8"
        )
    return dtype


def steps_of(model: Path) -> dict[str, Any]:
    """Return how the page makes the pixels of the model in a folder.

    Raises:
        InputError: the page cannot do what its image processor does.
    """
    file = model / PROCESSOR_FILE
    return page_steps(_read(file) if file.is_file() else {})


def _title(config: dict[str, Any], metrics: StageMetrics | None) -> str:
    name = architecture(config)
    return f"{name} on {metrics.dataset.id.rpartition('/')[2]}" if metrics else name


def _quality(metrics: StageMetrics | None) -> str:
    if metrics is None:
        return "no measured accuracy"
    test, count = metrics.test, metrics.test.num_examples
    bounds = interval(test.accuracy_ci95, count)
    return f"{percent(test.accuracy, count)} of {count:,} test images right (95% CI {bounds})"


def _shown(example: Example) -> dict[str, Any]:
    best = example.output[0]
    return {"file": f"./examples/{example.file}", "label": example.label, "answer": best.label, "score": best.score}


def _card(title: str, model_id: str, license: str | None) -> str:
    """Return the README of the Space, whose header the Hub reads."""
    header = SpaceCardData(
        title=title,
        sdk="static",
        app_file="index.html",
        license=license,
        models=[model_id],
        pinned=False,
        emoji="🖼️",
        colorFrom="yellow",
        colorTo="gray",
        short_description=f"{title}, in your browser"[:SHORT],
    )
    files = listed([f"`{name}`" for name in PAGE_FILES])
    return (
        f"---\n{header.to_yaml(line_break=chr(10))}\n---\n\n# {title}\n\nClassifies images in the visitor's browser "
        f"with [{model_id}](https://huggingface.co/{model_id}); no server computes anything, and no image leaves the "
        f"browser.\n\n{files} make the page, `space.json` says what is shown, and `{MODEL}/` holds the network as "
        "ONNX. The page prepares images as the model's image processor does, not as transformers.js does by default: "
        "its resize differs, and so would the answers.\n\nElsewhere: `python -m http.server` in this folder.\n"
    )


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
