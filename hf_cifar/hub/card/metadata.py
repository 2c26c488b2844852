"""The YAML header of a model card, which the Hub reads."""

import math
import re
from dataclasses import asdict
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from hf_cifar.hub.card.data import BUNDLED, CardData
from hf_cifar.run.train_summary import ProbeSummary
from hf_cifar.run.wording import describe_split

TASK = "image-classification"
# As their own cards say; anything uncertain is left out.
LICENSES = {
    "apache-2.0": (
        *("google/vit-base-patch16-224", "google/vit-base-patch16-224-in21k", "google/vit-large-patch16-224-in21k"),
        *("facebook/deit-tiny-patch16-224", "facebook/deit-small-patch16-224", "facebook/deit-base-patch16-224"),
        *("facebook/dinov2-small", "facebook/dinov2-base"),
        *("microsoft/resnet-18", "microsoft/resnet-34", "microsoft/resnet-50"),
        BUNDLED,
    ),
    "bsd-3-clause": (
        *("timm/resnet18.tv_in1k", "timm/resnet34.tv_in1k", "timm/resnet50.tv_in1k", "timm/resnet50.tv2_in1k"),
    ),
}


def license_of(data: CardData) -> str | None:
    """Return the license that was given, else the base model's where it is known."""
    return data.license or known_license(data.metrics.base_model or (BUNDLED if data.has_bundled_base else None))


def known_license(base_model: str | None) -> str | None:
    """Return the license of a well-known base model."""
    return next((license for license, models in LICENSES.items() if base_model in models), None)


class _OneLine(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes lists of words, and what is in a `_OneLine`, on one line."""


_Dumper.add_representer(
    _OneLine, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)
)
_Dumper.add_representer(
    list,
    lambda dumper, value: dumper.represent_sequence(
        "tag:yaml.org,2002:seq", value, flow_style=all(isinstance(item, str) for item in value)
    ),
)


def header(data: CardData) -> str:
    """Return the YAML header: one line for each example image and each metric, so that the card begins in sight."""
    values = metadata(data).to_dict()
    if "widget" in values:
        values["widget"] = [_OneLine(item) for item in values["widget"]]
    for index in values["model-index"]:
        for result in index["results"]:
            result["metrics"] = [_OneLine(item) for item in result["metrics"]]
            result |= {key: _OneLine(result[key]) for key in ("task", "dataset")}
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


def metadata(data: CardData) -> ModelCardData:
    """Return the YAML header as an object of `huggingface_hub`."""
    results, base_model = eval_results(data), data.metrics.base_model
    return ModelCardData(
        license=license_of(data),
        library_name="transformers",
        pipeline_tag=TASK,
        tags=tags(data),
        base_model=base_model,
        datasets=[data.dataset.id] if data.dataset.kind == "hub" else None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        model_name=model_name(data),
        eval_results=results,
        base_model_relation="finetune" if base_model else None,
        widget=widgets(data) or None,
    )


def tags(data: CardData) -> list[str]:
    """Return the tags that the model is found by."""
    solvers = [stage.train.solver if isinstance(stage.train, ProbeSummary) else "trainer" for stage in data.stages]
    by_trainer = ["generated_from_trainer"] if "trainer" in solvers else []
    kind = ("lp-ft" if data.is_lpft else "fine-tuned") if data.stage.name == "finetune" else "linear-probe"
    return [TASK, "vision", *by_trainer, "hf_cifar", kind]


def model_name(data: CardData) -> str:
    """Return the repository's name, or one made of network, dataset and stage."""
    if data.hub_model_id:
        return data.hub_model_id.rpartition("/")[2]
    words = f"{data.architecture} {data.dataset.id.rpartition('/')[2]} {data.stage.name}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def widgets(data: CardData) -> list[dict[str, Any]]:
    """Return the example images for the Hub's widget, with the predictions that it shows."""
    return [
        {
            "src": f"examples/{example.file}",
            "example_title": example.label,
            "output": [asdict(score) for score in example.output],
        }
        for example in data.examples
    ]


def eval_results(data: CardData) -> list[EvalResult]:
    """Return every metric of the test split, and of its corrupted copies where they were measured."""
    test, dataset, origin = data.test, data.dataset, data.dataset.splits["test"]
    values: list[tuple[str, str, float | None, dict[str, Any] | None]] = [
        ("accuracy", "Accuracy", test.accuracy, None),
        ("f1", "Macro F1", test.f1_macro, {"average": "macro"}),
    ]
    if len(test.label_names) > 5:
        values.append(("top_k_accuracy", "Top-5 accuracy", test.top5_accuracy, {"k": 5}))
    scaled = {"temperature": test.temperature}
    if data.metrics.head_divided_by is None:
        values += [
            ("nll", "Negative log-likelihood (nats)", test.nll, None),
            ("ece", "Expected calibration error", test.ece, {"bins": 15}),
            ("nll", "Negative log-likelihood (nats), temperature-scaled", test.nll_calibrated, scaled),
            ("ece", "Expected calibration error, temperature-scaled", test.ece_calibrated, {"bins": 15, **scaled}),
        ]
    else:  # the temperature is in the weights: these are what the model answers
        values += [
            ("nll", "Negative log-likelihood (nats)", test.nll_calibrated, None),
            ("ece", "Expected calibration error", test.ece_calibrated, {"bins": 15}),
        ]
    if (robustness := data.metrics.robustness) is not None:
        how = {"corruptions": len(robustness.corruptions), "severities": 5, "seed": robustness.seed}
        values.append(("accuracy", "Mean accuracy on corrupted images", robustness.mean_corruption_accuracy, how))
    return [
        EvalResult(
            task_type=TASK,
            task_name="Image classification",
            dataset_type={"hub": dataset.id, "bundled": "digits"}.get(dataset.kind, "local"),
            dataset_name=data.dataset_name,
            dataset_config=data.config.data.dataset_config,
            dataset_split=origin.source,
            dataset_revision=dataset.revision,
            dataset_args=None if origin.is_whole_published_split else {"rows": describe_split(origin)},
            metric_type=kind,
            metric_name=name,
            metric_value=value,
            metric_args=arguments,
        )
        for kind, name, value, arguments in values
        if value is not None
    ]
