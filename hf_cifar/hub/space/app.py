"""The app of a Gradio Space: answers of `pipeline`, by the model in `model/`; what it shows is in `space.json`."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
from transformers import pipeline

HERE = Path(__file__).parent
SHOWN = 5


def build() -> gr.Interface:
    """Return the page; the model is loaded once."""
    about = json.loads((HERE / "space.json").read_text(encoding="utf-8"))
    classify: Any = pipeline("image-classification", model=str(HERE / "model"))

    def predict(image: Any) -> dict[str, float] | None:
        if image is None:
            return None
        return {item["label"]: item["score"] for item in classify(image, top_k=SHOWN)}

    return gr.Interface(
        predict,
        gr.Image(type="pil", label="Image", sources=["upload", "webcam", "clipboard"]),
        gr.Label(num_top_classes=SHOWN, label="Answer"),
        title=about["title"],
        description=f"{about['facts']}\n\n{about['classes']}",
        examples=[str(HERE / example["file"]) for example in about["examples"]] or None,
        cache_examples=False,
        flagging_mode="never",
        analytics_enabled=False,
        api_name="predict",
    )


if __name__ == "__main__":
    build().launch()
