"""The figures by their names for `--only`; each yields its rows."""

from collections.abc import Callable, Iterator
from importlib import import_module

from benchmarks.row import Row
from benchmarks.setting import Setting

Figure = Callable[[Setting], Iterator[Row]]
# In the order of the table. Imported when they are measured: `--help` needs no torch.
NAMES = (
    "start-up",
    "input",
    "augmentation",
    "probe",
    "finetune",
    "steps",
    "wait",
    "predict",
    "memory",
    "gpu",
)


def figure(name: str) -> Figure:
    """Return the figure of a name."""
    module = import_module(f"benchmarks.figures.{name.replace('-', '_')}")
    measure: Figure = module.measure
    return measure
