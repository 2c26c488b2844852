"""hf_cifar: from linear probe to fine-tuned image classifier with the Hugging Face `Trainer`, honestly evaluated.

The public names are imported when they are first used, so that the command line starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which complete by it
    from hf_cifar.config.run_config import RunConfig
    from hf_cifar.errors import InputError, Interrupted, TrainingError
    from hf_cifar.experiment import Experiment, Step, run_stage
    from hf_cifar.inference.predictor import Predictor
    from hf_cifar.models.resnet import TorchvisionResNetConfig, TorchvisionResNetForImageClassification
    from hf_cifar.run.request import Request
    from hf_cifar.run.resolve import resolve
    from hf_cifar.run.result import StageResult
    from hf_cifar.training.freezing import FreezeCallback, GradualUnfreezeCallback, freeze, unfreeze

__version__ = "0.1.0"  # the only place: setup.cfg reads it

_HOME = {
    "RunConfig": "hf_cifar.config.run_config",
    "InputError": "hf_cifar.errors",
    "Interrupted": "hf_cifar.errors",
    "TrainingError": "hf_cifar.errors",
    "StageResult": "hf_cifar.run.result",
    "Experiment": "hf_cifar.experiment",
    "Step": "hf_cifar.experiment",
    "Predictor": "hf_cifar.inference.predictor",
    "Request": "hf_cifar.run.request",
    "resolve": "hf_cifar.run.resolve",
    "run_stage": "hf_cifar.experiment",
    "freeze": "hf_cifar.training.freezing",
    "unfreeze": "hf_cifar.training.freezing",
    "FreezeCallback": "hf_cifar.training.freezing",
    "GradualUnfreezeCallback": "hf_cifar.training.freezing",
    "TorchvisionResNetConfig": "hf_cifar.models.resnet",
    "TorchvisionResNetForImageClassification": "hf_cifar.models.resnet",
}
__all__ = [
    "Experiment",
    "FreezeCallback",
    "GradualUnfreezeCallback",
    "InputError",
    "Interrupted",
    "Predictor",
    "Request",
    "RunConfig",
    "StageResult",
    "Step",
    "TorchvisionResNetConfig",
    "TorchvisionResNetForImageClassification",
    "TrainingError",
    "freeze",
    "resolve",
    "run_stage",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == __name__:
            raise
        raise ImportError(f"hf_cifar.{name} needs {error.name}: pip install 'hf_cifar[train]'") from error


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
