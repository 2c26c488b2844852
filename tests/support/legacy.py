"""`metrics.json` as versions before the schema number wrote it."""

from typing import Any

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def legacy_metrics(stage: str) -> dict[str, Any]:
    """The content of the `metrics.json` of a probe, a fine-tuning or an evaluation on digits."""
    values: dict[str, Any] = {
        "stage": stage,
        "model": "resnet18-mini",
        "base_model": None,
        "seed": 0,
        "dataset": {
            "id": "digits (scikit-learn)",
            "revision": None,
            "fingerprint": "328f2d177688ab4a",
            "num_train": 1294,
            "num_validation": 144,
            "num_test": 359,
            "train_per_class": dict.fromkeys(NAMES, 129),
            "num_corrupt": {"train": 0, "validation": 0, "test": 0},
            "splits": {
                "train": "the rest of train",
                "test": "20% of train, held out by seed 0; the source has no test split",
                "validation": "10% of train, held out by seed 0",
            },
        },
        "test": _split(359, 0.9749303621169917, [0.9530485759536954, 0.9867558254185095]),
        "validation": _split(144, 0.9861111111111112, [0.9507774874404714, 0.9961828653371317]),
        "train": {**(PROBE if stage == "probe" else FINETUNE), **TRAINED},
        "hardware": {"device": "cpu", "cpu": "Some CPU", "cores": 2},
        "versions": {"python": "3.11.7", "torch": "2.14.1"},
    }
    if stage == "evaluate":
        del values["validation"], values["train"], values["base_model"]
        data = {name: values["dataset"][name] for name in ("id", "revision", "fingerprint", "num_test")}
        values["dataset"] = {**data, "splits": {"test": "the source's test split"}}
        values |= {"model_dir": "demo/finetune/model", "split": "test", "temperature_origin": None, "seconds": 1.5}
    return values


PROBE = {
    "solver": "trainer",
    "features": "cached",
    "augmentation": "none",
    "chosen": {"learning_rate": 1.0},
    "epochs": 60.0,
    "feature_seconds": 1.8592870479999988,
    "head_seconds": 4.731222722000041,
    "images_through_backbone": {"validation": 144, "train": 1294, "test": 359},
    "images_per_second": 16410.13424267185,
    "trainable_parameters": 1290,
}
FINETUNE = {
    "start": "this run's probe (demo/probe/model)",
    "unfreeze": "all",
    "bn": "eval",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "scheduler": "cosine",
    "augmentation": {"augment": "none", "random_erasing": 0.0, "mixup": 0.0, "cutmix": 0.0},
    "chosen": {"epoch": 8.0, "step": 168, "validation_accuracy": 0.9861111111111112},
    "epochs": 10.0,
    "training_seconds": 29.453354099000023,
    "images_per_second": 439.33875770160006,
    "trainable_parameters": 703386,
}
TRAINED = {"processes": 1, "peak_memory_mb": 1327.46875, "total_parameters": 703386, "seconds": 29.996198386999993}


def _split(count: int, accuracy: float, interval: list[float]) -> dict[str, Any]:
    bins = [
        {"low": 0.8, "high": 0.9, "count": 0, "confidence": None, "accuracy": None},
        {"low": 0.9, "high": 1.0, "count": count, "confidence": 0.9995, "accuracy": accuracy},
    ]
    row = {"precision": 0.975, "recall": 0.975, "f1": 0.97503, "num_examples": count // 10}
    return {
        "num_examples": count,
        "accuracy": accuracy,
        "accuracy_ci95": interval,
        "f1_macro": 0.9750273701042937,
        "top5_accuracy": 1.0,
        "temperature": 1.7289188428748368,
        "nll": 0.27807413562762184,
        "ece": 0.022763561280199858,
        "nll_calibrated": 0.16662451111327486,
        "ece_calibrated": 0.02515196784140219,
        "reliability": bins,
        "reliability_calibrated": bins,
        "per_class": {name: row for name in NAMES},
        "confusion_matrix": [[0] * 10 for _ in NAMES],
        "confused_pairs": [{"label": "zero", "prediction": "four", "count": 1, "share": 0.027777777777777776}],
    }
