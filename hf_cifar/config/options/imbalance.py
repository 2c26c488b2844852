"""What is done about classes of unequal size."""

from dataclasses import dataclass

from hf_cifar.config.fields import Range, at_least, option
from hf_cifar.errors import InputError


@dataclass
class ImbalanceConfig:
    """What is done where some classes have many more training images than others. At most one of the three."""

    class_weights: str = option(
        "none",
        "weight of each class in the training loss, with a mean of 1 over the training images: balanced, n / (k n_c), "
        "as scikit-learn's; effective, by the effective number of images (Cui et al., 2019)",
        choices=("none", "balanced", "effective"),
    )
    effective_beta: float | None = option(
        None,
        "beta of --class-weights effective (default: 0.999): n_c images count as (1 - beta^n_c) / (1 - beta); 0 gives "
        "equal weights, and close to 1 those of balanced",
        range=Range(0, 1, open_high=True, hint="such as 0.999"),
    )
    logit_adjustment: float = option(
        0.0,
        "tau: the training loss sees logits + tau log(class frequency), and the saved model its own logits (Menon et "
        "al., 2021); 1 aims at balanced accuracy; 0: off",
        range=at_least(0),
    )
    balanced_sampling: bool = option(
        False, "show every class equally often: in an epoch rare images come repeatedly, and some frequent ones not"
    )

    def __post_init__(self) -> None:
        if len(self.requested) > 1:
            raise InputError(
                f"{self.requested[0]} and {self.requested[1]} exclude each other: each makes up for the whole "
                "imbalance; give one of them"
            )
        if self.effective_beta is not None and self.class_weights != "effective":
            raise InputError("--effective-beta does nothing without --class-weights effective: give both, or neither")

    @property
    def requested(self) -> list[str]:
        """Return the flags that were given and switch something on."""
        given = {
            f"--class-weights {self.class_weights}": self.class_weights != "none",
            f"--logit-adjustment {self.logit_adjustment:g}": self.logit_adjustment > 0,
            "--balanced-sampling": self.balanced_sampling,
        }
        return [name for name, on in given.items() if on]
