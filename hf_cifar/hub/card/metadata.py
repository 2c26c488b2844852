"""The header of a model card: what the Hub reads of it."""

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from hf_cifar.hub.card.data import BUNDLED, DIGITS, CardData

TASK = "image-classification"
# What the cards of these models say; anything that is not sure is left out.
LICENSES = {
    "google/vit-base-patch16-224": "apache-2.0",
    "google/vit-base-patch16-224-in21k": "apache-2.0",
    "google/vit-large-patch16-224-in21k": "apache-2.0",
    "facebook/deit-tiny-patch16-224": "apache-2.0",
    "facebook/deit-small-patch16-224": "apache-2.0",
    "facebook/deit-base-patch16-224": "apache-2.0",
    "facebook/dinov2-small": "apache-2.0",
    "facebook/dinov2-base": "apache-2.0",
    "microsoft/resnet-18": "apache-2.0",
    "microsoft/resnet-34": "apache-2.0",
    "microsoft/resnet-50": "apache-2.0",
    "timm/resnet18.tv_in1k": "bsd-3-clause",
    "timm/resnet34.tv_in1k": "bsd-3-clause",
    "timm/resnet50.tv_in1k": "bsd-3-clause",
    "timm/resnet50.tv2_in1k": "bsd-3-clause",
    BUNDLED: "apache-2.0",
}


def license_of(data: CardData) -> str | None:
    """The license that was given, else the base model's, where it is known."""
    return data.license or known_license(data.base_model or (BUNDLED if data.bundled_base else None))


def known_license(base_model: str | None) -> str | None:
    """The license of a well-known base model."""
    return LICENSES.get(base_model or "")


def metadata(data: CardData) -> ModelCardData:
    """The YAML header, as an object of `huggingface_hub`."""
    results = eval_results(data)
    return ModelCardData(
        license=license_of(data),
        library_name="transformers",
        pipeline_tag=TASK,
        tags=tags(data),
        base_model=data.base_model,
        datasets=[data.dataset_id] if data.dataset_id else None,
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        model_name=model_name(data),
        eval_results=results,
        base_model_relation="finetune" if data.base_model else None,
        widget=widgets(data) or None,
    )


def tags(data: CardData) -> list[str]:
    """What the model can be found by."""
    by_trainer = any(stage.metrics["train"].get("solver") != "lbfgs" for stage in data.stages)
    kind = ("lp-ft" if data.lpft else "fine-tuned") if data.stage.name == "finetune" else "linear-probe"
    return [TASK, "vision", *(["generated_from_trainer"] if by_trainer else []), "hf_cifar", kind]


def model_name(data: CardData) -> str:
    """What leaderboards call the model: the repository's name, or one made of network, dataset and stage."""
    if data.hub_model_id:
        return data.hub_model_id.rpartition("/")[2]
    words = f"{data.architecture} {data.stage.metrics['dataset']['id'].rpartition('/')[2]} {data.stage.name}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def widgets(data: CardData) -> list[dict[str, Any]]:
    """Images of the repository to try the model on, with what it did answer."""
    return [
        {
            "src": f"examples/{example['file']}",
            "example_title": str(example["label"]),
            "output": [
                {"label": str(answer["label"]), "score": float(answer["score"])} for answer in example["output"]
            ],
        }
        for example in data.examples
    ]


def eval_results(data: CardData) -> list[EvalResult]:
    """Every metric of the test split, and of its corrupted copies where they were measured."""
    test, dataset = data.test, data.stage.metrics["dataset"]
    origin = str(dataset["splits"]["test"])
    whole = origin.startswith("the source's") and ";" not in origin
    values: list[tuple[str, str, Any, dict[str, Any] | None]] = [
        ("accuracy", "Accuracy", test["accuracy"], None),
        ("f1", "Macro F1", test["f1_macro"], {"average": "macro"}),
    ]
    if len(data.label_names) > 5:
        values.append(("top_k_accuracy", "Top-5 accuracy", test["top5_accuracy"], {"k": 5}))
    values += [
        ("nll", "Negative log-likelihood (nats)", test["nll"], None),
        ("ece", "Expected calibration error", test["ece"], {"bins": 15}),
    ]
    temperature = test.get("temperature")
    if temperature is not None:
        scaled = {"temperature": temperature}
        values += [
            ("nll", "Negative log-likelihood (nats), with the temperature", test["nll_calibrated"], scaled),
            ("ece", "Expected calibration error, with the temperature", test["ece_calibrated"], {"bins": 15, **scaled}),
        ]
    robustness = data.stage.metrics.get("robustness")
    if robustness:
        how = {"corruptions": len(robustness["corruptions"]), "severities": 5, "seed": robustness["seed"]}
        mean = robustness["mean_corruption_accuracy"]
        values.append(("accuracy", "Mean accuracy on corrupted test images", mean, how))
    return [
        EvalResult(
            task_type=TASK,
            task_name="Image classification",
            dataset_type=data.dataset_id or ("digits" if dataset["id"] == DIGITS else "local"),
            dataset_name=data.dataset_name,
            dataset_config=data.config.data.dataset_config,
            dataset_split=data.splits.get("test", {}).get("split", "test"),
            dataset_revision=dataset["revision"],
            dataset_args=None if whole else {"rows": origin},
            metric_type=kind,
            metric_name=name,
            metric_value=value,
            metric_args=arguments,
        )
        for kind, name, value, arguments in values
        if value is not None
    ]
