"""The table of the optimizer's parameter groups, printed before training and saved with the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from hf_cifar.training.optimizer import ParameterGroup
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_csv
from hf_cifar.utils.progress import say


def report_groups(path: Path, groups: Sequence[ParameterGroup], first_epochs: Mapping[str, int]) -> None:
    """Print the parameter groups, and write them to a CSV file.

    Args:
        path: of the CSV file.
        groups: what the optimizer holds.
        first_epochs: for layer groups unfrozen later, the epoch from which they train, counted from 0.
    """
    rows = [
        {
            "group": group.name,
            "layers": " ".join(group.layers),
            "parameters": group.num_parameters,
            "learning_rate": group.learning_rate,
            "weight_decay": group.weight_decay,
            "trains_from_epoch": first_epochs.get(group.name, 0),
        }
        for group in groups
    ]
    if processes.is_main():
        write_csv(path, rows, list(rows[0]))
    width = max(len(group.name) for group in groups)
    say(f"{'group':<{width}}  {'parameters':>12}  learning rate  weight decay  trains from epoch")
    for row in rows:
        say(
            f"{row['group']:<{width}}  {row['parameters']:>12,}  {row['learning_rate']:>13.3g}  "
            f"{row['weight_decay']:>12g}  {row['trains_from_epoch']:>17}"
        )
