"""A model beside simpler answers: its probe, and always the most frequent class."""

from hf_cifar.evaluation.intervals import wilson_interval
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.utils.formatting import MISSING, interval, percent, signed_interval
from hf_cifar.utils.table import Table


def baseline_table(metrics: StageMetrics) -> Table:
    """Return the accuracy of the model, of its probe where it was measured against one, and of a constant answer."""
    test, against = metrics.test, metrics.against_probe
    count = test.num_examples
    own = [percent(test.accuracy, count), interval(test.accuracy_ci95, count), MISSING]
    rows = [["this model", *own]]
    if against is not None:
        bounds = wilson_interval(round(against.probe_accuracy * count), count)
        low, high = signed_interval(against.difference_ci95)
        difference = f"{100 * against.difference:+.2f} ({low} to {high})"
        rows.append(["its probe", percent(against.probe_accuracy, count), interval(bounds, count), difference])
    name, largest = max(test.per_class.items(), key=lambda item: item[1].num_examples)
    share = largest.num_examples / count if count else 0.0
    rows.append([f'always answering "{name}"', percent(share, count), MISSING, f"{100 * (test.accuracy - share):+.2f}"])
    columns = ["", "accuracy", "95% interval", "lead of this model (points)"]
    return Table(columns, rows, title="Beside simpler answers")
