"""Which runs are compared."""

from dataclasses import dataclass

from hf_cifar.config.fields import Usual, option


@dataclass
class ComparisonConfig:
    """Which runs are compared."""

    runs: list[str] = option(
        [],
        "runs, or stages of runs, such as runs/a runs/b/probe; in the demo also saved models and Hub ids, side by side",
        metavar="DIR",
        stages=("compare", "demo"),
        usual=Usual(
            "model",
            "as RUN: runs, or stages of runs, such as runs/a runs/b/probe",
            in_stages={"demo": "several models side by side: runs, saved models or Hub ids"},
        ),
    )
