"""What is said when a stage is done: how it went, what to be careful about, and what to do next."""

import shlex
from collections.abc import Collection

from hf_cifar.run.result import StageResult
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.run.verdicts import Verdict, describe_difference, findings
from hf_cifar.utils.formatting import percent
from hf_cifar.utils.labelled_lines import say_labelled
from hf_cifar.utils.progress import say

# Of the data, and the same for every stage of a run.
OF_THE_DATA = (Verdict.SMALL_TEST, Verdict.SMALL_VALIDATION)


def say_stage(result: StageResult, said: Collection[Verdict] = ()) -> list[Verdict]:
    """Say how good a stage is, and what a reader of that must know.

    Args:
        result: of the stage.
        said: what was said of the stages before it.

    Returns:
        What holds of the data, for the stages after it.
    """
    say(result.headline())
    found = findings(result.metrics)
    # Copies are said when the data are read, before anybody waits for a training on them; why the report suspects no
    # label errors is for its reader.
    left_out = {Verdict.COPIES, Verdict.WEAK_DOUBTS, *said}
    rows = [("warning:", finding.text) for finding in found if finding.verdict not in left_out]
    say_labelled(rows, "bold yellow")
    return [finding.verdict for finding in found if finding.verdict in OF_THE_DATA]


def say_closing(result: StageResult, pushed: bool = False) -> None:
    """Say in five lines what a finished run means and what to do next.

    Args:
        result: of its last training stage.
        pushed: whether the model is on the Hub already.
    """
    run = shlex.quote(str(result.output_dir))
    rows = [
        ("result", _meaning(result.metrics)),
        ("report", f"open {result.report}; the model is in {result.model_dir}"),
        ("try it", f"hf-cifar predict {run} IMAGE"),
        ("compare", f"hf-cifar compare {run} OTHER_RUN"),
    ]
    if not pushed:
        rows.append(("publish", f"hf-cifar push {run} --hub-model-id USER/NAME"))
    say_labelled(rows, "bold green")


def _meaning(metrics: StageMetrics) -> str:
    """Return an accuracy as images, beside the answer that needs no model and the probe."""
    test = metrics.test
    name, largest = max(test.per_class.items(), key=lambda item: item[1].num_examples)
    share = percent(largest.num_examples / test.num_examples, test.num_examples)
    right = f"{round(test.accuracy * test.num_examples):,} of {test.num_examples:,} {metrics.split} images"
    words = f'{right} are right, where always answering "{name}" is right for {share}'
    if metrics.against_probe is None:
        return words
    if metrics.train is not None and metrics.train.chosen.is_start:
        return f"{words}; the weights are those of its probe, as no epoch was as good on validation"
    against = metrics.against_probe
    known = "" if against.is_above or against.is_below else ", no difference that these images can show"
    return f"{words}; {describe_difference(against)} against its probe{known}"
