"""The page: one image with the answers of every model side by side, and many files to CSV."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr
from PIL import Image

from hf_cifar.data.decoding import MAX_PIXELS
from hf_cifar.demo.shown_model import ShownModel, classes, title
from hf_cifar.demo.uploads import MAX_FILE_BYTES, MAX_FILES, files_upload, image_upload, opened
from hf_cifar.hub.examples import Example
from hf_cifar.inference.answer_files import open_answers
from hf_cifar.inference.image_paths import ImagePath
from hf_cifar.utils.formatting import percent

TOP_K = 5
AT_ONCE = 4  # requests that are worked on; the others wait their turn
WAITING = 500  # requests that wait; one more is told so
KEPT_SECONDS = 3600  # of an upload; then it is deleted
CSS = Path(__file__).with_name("page.css")
NAMED_FAULTS = 20


def build_page(models: Sequence[ShownModel], top_k: int = TOP_K) -> gr.Blocks:
    """Return the page; its files go where `GRADIO_TEMP_DIR` says.

    Args:
        models: that answer, side by side.
        top_k: labels that are shown.
    """
    heading = title(models)
    with gr.Blocks(title=heading, analytics_enabled=False, delete_cache=(600, KEPT_SECONDS)) as page:
        gr.HTML(f"<h1>{escape(heading)}</h1><p>{escape(classes(models))}</p>", elem_id="heading", padding=False)
        with gr.Tab("One image"):
            _one_image(models, top_k)
        with gr.Tab("Many images"):
            _many_images(models, top_k)
        gr.HTML(
            "<p>The answers are those of <code>pipeline</code>. Images stay on the computer that serves this page, and "
            f"are deleted after an hour. An image may have {MAX_FILE_BYTES // 10**6} MB and {MAX_PIXELS // 10**6} "
            "million pixels.</p>",
            elem_id="small-print",
            padding=False,
        )
    page.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    return page


@dataclass(frozen=True)
class _Card:
    """Where one model answers: its bars and its heat map."""

    label: gr.Label
    heat_map: gr.Image


def _one_image(models: Sequence[ShownModel], top_k: int) -> None:
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            image = image_upload(
                label="Image",
                sources=["upload", "webcam", "clipboard"],
                format="png",
                height=300,
                buttons=[],
                elem_id="image",
            )
            wants_map = gr.Checkbox(value=True, label="Show where the network looked", elem_id="wants-map")
        cards = [_card(number, model, top_k) for number, model in enumerate(models)]
    _examples(models, image)

    def predict(path: str | None, wants_map: bool) -> list[Any]:
        if path is None:
            return [None] * (2 * len(cards))
        picture = opened(path)
        shown: list[Any] = []
        for model in models:
            answer = model.answer(picture, top_k)
            if answer.fault:
                raise gr.Error(f"{model.name}: {answer.fault}", print_exception=False)
            shown.append({item["label"]: item["score"] for item in answer.predictions})
            best = answer.predictions[0]["label"]
            heat_map = model.heat_map(picture, best) if wants_map else None
            shown.append(gr.Image(heat_map, visible=heat_map is not None))
        return shown

    outputs = [part for card in cards for part in (card.label, card.heat_map)]
    gr.on(
        [image.change, wants_map.change],
        predict,
        [image, wants_map],
        outputs,
        api_name="predict",
        show_progress="minimal",
        trigger_mode="always_last",
    )


def _card(number: int, model: ShownModel, top_k: int) -> _Card:
    report = f' · <a href="report/{number}" target="_blank">report</a>' if model.facts.report else ""
    with gr.Column(scale=3, min_width=280, elem_classes="model"):
        gr.HTML(
            f"<h2>{escape(model.name)}</h2><p>{escape(model.network)} · {escape(model.quality)} · "
            f"{escape(model.scores)}{report}</p>",
            padding=False,
        )
        label = gr.Label(num_top_classes=top_k, label="Answer", elem_id=f"answer-{number}")
        heat_map = gr.Image(
            label=f"Where it looked: {model.method}",
            format="png",
            type="pil",
            interactive=False,
            visible=False,
            height=300,
            buttons=[],
            elem_id=f"heat-map-{number}",
        )
    return _Card(label, heat_map)


def _examples(models: Sequence[ShownModel], image: gr.Image) -> None:
    """Show the test images of the first model that has some, with what it answered when it was measured."""
    model = next((model for model in models if model.facts.stage and model.facts.examples), None)
    if model is None or model.facts.stage is None:
        return
    files = [model.facts.stage.examples / example.file for example in model.facts.examples]
    pictures = []
    for file in files:
        picture = opened(str(file))
        # Small pictures are shown as the pixels they are.
        factor = max(1, 128 // max(picture.size))
        pictures.append(picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST))
    heading = f"Test images to choose from, with the answers of {model.name} when it was measured"
    gr.HTML(f"<h2>{escape(heading)}</h2>", elem_classes="model", padding=False)
    gallery = gr.Gallery(
        list(zip(pictures, map(_caption, model.facts.examples), strict=True)),
        label=heading,
        show_label=False,
        columns=4,
        height="auto",
        object_fit="contain",
        allow_preview=False,
        buttons=[],
        interactive=False,
        elem_id="examples",
    )
    gallery.select(_choose(files), None, image, api_visibility="private", show_progress="hidden")


def _choose(files: Sequence[Path]) -> Callable[[gr.SelectData], Image.Image]:
    def choose(event: gr.SelectData) -> Image.Image:
        return opened(str(files[int(event.index)]))

    return choose


def _caption(example: Example) -> str:
    best = example.output[0]
    says = "right" if example.is_correct else f"not {example.label}"
    return f"{best.label} {percent(best.score, decimals=0)}, {says}"


def _many_images(models: Sequence[ShownModel], top_k: int) -> None:
    files = files_upload(label=f"Up to {MAX_FILES:,} images", height=200, elem_id="files")
    button = gr.Button("Classify", variant="primary", elem_id="classify")
    tables = gr.File(label="Answers, one CSV file for each model", file_count="multiple", elem_id="tables")
    note = gr.Markdown(elem_id="note")

    def classify(uploads: list[tuple[str, str]]) -> tuple[list[str] | None, str]:
        if not uploads:
            raise gr.Error("choose some images first", print_exception=False)
        folder, names = Path(mkdtemp(dir=files.GRADIO_CACHE)), dict(uploads)
        written: list[str] = []
        faults: list[str] = []
        for model in models:
            file = folder / f"predictions-{model.name.replace('/', '-')}.csv"
            images = [ImagePath(path) for path, _ in uploads]
            faults = []
            with open_answers(file, file.suffix, min(top_k, len(model.labels))) as write:
                for answer in model.answers(images, top_k):
                    name = names[str(answer.image)]
                    if answer.fault:
                        faults.append(f"- {name}: {answer.fault}")
                    else:
                        write(name, answer.predictions)
            written.append(str(file))
        return written, _summary(len(uploads), faults)

    button.click(classify, files, [tables, note], api_name="classify")


def _summary(number: int, faults: list[str]) -> str:
    words = f"{number - len(faults):,} of {number:,} images classified."
    more = f"\n- and {len(faults) - NAMED_FAULTS:,} more" if len(faults) > NAMED_FAULTS else ""
    return words + (" Left out:\n\n" + "\n".join(faults[:NAMED_FAULTS]) + more if faults else "")
