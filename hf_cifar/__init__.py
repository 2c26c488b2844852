"""hf_cifar: from linear probe to fine-tuned image classifier with the Hugging Face `Trainer`, honestly evaluated.

The public names are imported when they are first used, so that the command line starts at once.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "RunConfig": "hf_cifar.config.run_config",
    "InputError": "hf_cifar.errors",
    "Interrupted": "hf_cifar.errors",
    "TrainingError": "hf_cifar.errors",
    "StageResult": "hf_cifar.run.result",
    "Experiment": "hf_cifar.experiment",
    "Predictor": "hf_cifar.inference.predictor",
    "Request": "hf_cifar.run.resolve",
    "resolve": "hf_cifar.run.resolve",
    "run_stage": "hf_cifar.experiment",
    "freeze": "hf_cifar.training.freezing",
    "unfreeze": "hf_cifar.training.freezing",
    "FreezeCallback": "hf_cifar.training.freezing",
    "GradualUnfreezeCallback": "hf_cifar.training.freezing",
    "TorchvisionResNetConfig": "hf_cifar.models.resnet",
    "TorchvisionResNetForImageClassification": "hf_cifar.models.resnet",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == __name__:
            raise
        raise ImportError(f"hf_cifar.{name} needs {error.name}: pip install 'hf_cifar[train]'") from error
