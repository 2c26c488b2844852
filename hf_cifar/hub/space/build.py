"""Write the files of a Space: a static page with the network as ONNX, or a Gradio app with the model itself."""

import json
import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceCardData

from hf_cifar.errors import InputError
from hf_cifar.formats.variants import DESCRIPTION_FILE, FILES
from hf_cifar.hub.card.metadata import known_license
from hf_cifar.hub.card.network import architecture
from hf_cifar.hub.examples import Example, read_examples
from hf_cifar.hub.export import CARD, Trained
from hf_cifar.hub.space.steps import page_steps
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.files import write_json, write_text
from hf_cifar.utils.formatting import interval, listed, percent

STATIC, GRADIO = "static", "gradio"
APP = "app.py"
GRADIO_VERSION = "6.31.0"  # that the app is tested with
REQUIREMENTS = "torch\ntorchvision\ntransformers>=5.16,<6\n"  # beside gradio itself
PAGE_FILES = ("index.html", "page.js", "pixels.js", "style.css")
# Pinned: another version may compute something else than was tested.
LIBRARY = "https://cdn.jsdelivr.net/npm/@huggingface/transformers@4.3.2/dist/transformers.min.js"
# What transformers.js calls them, the first that is there is shown; one that its measurement refused is not there.
NETWORKS = {"q8": FILES["onnx-q8"], "fp32": FILES["onnx"]}
FORMS = {"q8": "onnx-q8", "fp32": "onnx"}  # as `--formats` names them
PROCESSOR_FILE = "preprocessor_config.json"
MODEL = "model"  # the folder of the network
SHORT = 60  # characters that the Hub allows for a short description
CLASSES_NAMED = 12


def write_space(folder: Path, trained: Trained, sdk: str, model_id: str, license: str | None) -> None:
    """Write the Space of an exported model into an empty folder.

    Args:
        folder: of the Space.
        trained: the model; it is exported, for a static page with a network as ONNX.
        sdk: static or gradio.
        model_id: the repository of the model, USER/NAME.
        license: as the Hub names it; default: the base model's, if known.

    Raises:
        InputError: for a static page, there is no network as ONNX, or the page cannot do what the image processor does.
    """
    config = _read(trained.export / "config.json")
    values = _write_static(folder, trained) if sdk == STATIC else _write_app(folder, trained)
    metrics = trained.stage.read_metrics() if trained.stage else None
    examples = read_examples(trained.stage) if trained.stage else []
    for example in examples:
        (folder / "examples").mkdir(exist_ok=True)
        assert trained.stage is not None
        shutil.copyfile(trained.stage.examples / example.file, folder / "examples" / example.file)
    names = [str(name) for _, name in sorted((int(index), name) for index, name in config["id2label"].items())]
    title = _title(config, metrics)
    values |= {
        "title": title,
        "facts": f"{model_id}: {_quality(metrics, _measured_form(trained, sdk))}.",
        "classes": f"{len(names):,} classes: {', '.join(names[:CLASSES_NAMED])}{', …' * (len(names) > CLASSES_NAMED)}",
        "labels": names,
        "examples": list(map(_shown, examples)),
    }
    write_json(folder / "space.json", values)
    license = license or known_license(metrics.base_model if metrics else None)
    write_text(folder / CARD, _card(title, sdk, model_id, license))


def _write_static(folder: Path, trained: Trained) -> dict[str, Any]:
    """Write page and network, and return how the page computes."""
    dtype, steps = network_of(trained), steps_of(trained.export)
    _copy_own(folder, PAGE_FILES)
    _copy_model(folder, trained, ("config.json", PROCESSOR_FILE, NETWORKS[dtype]))
    note = "Everything is computed in your browser, by transformers.js; no image is sent anywhere."
    if dtype == "q8":
        note += " The network is quantized to 8 bits."
    if _read(trained.export / "config.json").get("head_divided_by") is not None:
        note += " Its scores are calibrated on validation images."
    return {"note": note, "steps": steps, "dtype": dtype, "library": LIBRARY}


def _write_app(folder: Path, trained: Trained) -> dict[str, Any]:
    """Write the app and the model that `pipeline` opens."""
    _copy_own(folder, (APP,))
    write_text(folder / "requirements.txt", REQUIREMENTS)
    weights = sorted(file.name for file in trained.export.glob("*.safetensors*"))
    _copy_model(folder, trained, ("config.json", PROCESSOR_FILE, *weights))
    return {}


def _copy_own(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)


def _copy_model(folder: Path, trained: Trained, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / MODEL / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(trained.export / name, folder / MODEL / name)


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


def _measured_form(trained: Trained, sdk: str) -> dict[str, Any] | None:
    """Return what the export measured of the network that the page shows; None for the native one, or if unknown."""
    file = trained.export / DESCRIPTION_FILE
    if sdk != STATIC or not file.is_file():
        return None
    measured: dict[str, Any] | None = _read(file).get(FORMS[network_of(trained)])
    return measured


def _quality(metrics: StageMetrics | None, form: dict[str, Any] | None) -> str:
    """Return in words how many answers are right: those of the form that is shown, where it has been measured."""
    shown = _right(form["accuracy"], form["num_examples"]) if form else ""
    if metrics is None:
        return shown or "no measured accuracy"
    test, count = metrics.test, metrics.test.num_examples
    bounds = f"(95% CI {interval(test.accuracy_ci95, count)})"
    if form is None or form["accuracy"] == test.accuracy:
        return f"{_right(test.accuracy, count)} {bounds}"
    return f"{shown} by the network of this page, {percent(test.accuracy, count)} {bounds} by the original"


def _right(accuracy: float, count: int) -> str:
    return f"{percent(accuracy, count)} of {count:,} test images right"


def _shown(example: Example) -> dict[str, Any]:
    best = example.output[0]
    return {"file": f"./examples/{example.file}", "label": example.label, "answer": best.label, "score": best.score}


def _card(title: str, sdk: str, model_id: str, license: str | None) -> str:
    """Return the README of the Space, whose header the Hub reads."""
    is_static = sdk == STATIC
    header = SpaceCardData(
        title=title,
        sdk=sdk,
        sdk_version=None if is_static else GRADIO_VERSION,
        app_file="index.html" if is_static else APP,
        license=license,
        models=[model_id],
        pinned=False,
        emoji="🖼️",
        colorFrom="yellow",
        colorTo="gray",
        short_description=f"{title}{', in your browser' if is_static else ''}"[:SHORT],
    )
    model = f"[{model_id}](https://huggingface.co/{model_id})"
    text = f"Classifies images with {model}, as `pipeline` of transformers does with the files in `{MODEL}/`."
    if is_static:
        text = (
            f"Classifies images in the visitor's browser with {model}; no server computes anything, and no image "
            f"leaves the browser.\n\n{listed([f'`{name}`' for name in PAGE_FILES])} make the page, `space.json` says "
            f"what is shown, and `{MODEL}/` holds the network as ONNX. The page prepares images as the model's image "
            "processor does, not as transformers.js does by default: its resize differs, and so would the answers.\n\n"
            "Elsewhere: `python -m http.server` in this folder."
        )
    return f"---\n{header.to_yaml(line_break=chr(10))}\n---\n\n# {title}\n\n{text}\n"


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
