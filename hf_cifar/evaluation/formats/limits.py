"""What a form of a model must hold to be exported."""

from hf_cifar.evaluation.formats.answers import Answers
from hf_cifar.utils.formatting import probability

SIGNIFICANT = 0.05
# Of the largest logit: what rounding in another order makes of it, also in families that amplify it.
FLOAT32_TOLERANCE = 1e-3


def find_fault(
    found: Answers, native: Answers, num_examples: int, max_accuracy_drop: float, largest_logit: float | None = None
) -> str | None:
    """Return why a form is not exported, or None where it may be.

    Args:
        found, native: of the form and of the native model.
        num_examples: images.
        max_accuracy_drop: points of accuracy that it may lose.
        largest_logit: absolute, of the native model, for a form that computes in float32 too; None for others.
    """
    difference = found.largest_logit_difference
    if difference == float("inf"):
        return "it computes logits that are not finite"
    if largest_logit is not None and difference > FLOAT32_TOLERANCE * largest_logit:
        return f"its logits differ by {difference:.2g}, where the largest is {largest_logit:.2g}, and not by rounding"
    if found.p_value < SIGNIFICANT:
        return (
            f"its answers differ significantly: {found.changed_answers:,} of {num_examples:,} changed, accuracy "
            f"{_points(found.accuracy - native.accuracy)} points, McNemar p {_p(found.p_value)}"
        )
    # Of whole images: a drop of exactly the limit is inside, whatever its binary fraction is.
    if 100 * (native.accuracy - found.accuracy) > max_accuracy_drop + 1e-9:
        return (
            f"it loses {100 * (native.accuracy - found.accuracy):.2f} points of accuracy, more than the "
            f"{max_accuracy_drop:g} of --max-accuracy-drop"
        )
    return None


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"


def _p(p_value: float) -> str:
    text = probability(p_value)
    return text if text.startswith("<") else f"= {text}"
