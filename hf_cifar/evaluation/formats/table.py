"""The table of a model's forms, the same on screen, in the report and in the card."""

from hf_cifar.run.format_metrics import FormatMetrics, FormMetrics, Latency
from hf_cifar.utils.formatting import error, file_size, number, percent, probability
from hf_cifar.utils.table import Table

COLUMNS = (
    "Format",
    "How",
    "Size",
    "Accuracy",
    "ECE",
    "Changed answers",
    "Largest logit difference",
    "p",
)


def format_table(metrics: FormatMetrics, *, exported_only: bool = False) -> Table:
    """Return a row for each form, the native one first.

    Args:
        metrics: of all forms.
        exported_only: leave out what is not in the exported folder.
    """
    batches = [f"ms an image, batch {item.batch}" for item in metrics.native.latency]
    forms = [metrics.native, *metrics.exported] if exported_only else metrics.forms
    rows = [_row(form, metrics, is_native=form is metrics.native) for form in forms]
    columns = [*COLUMNS, *batches] if exported_only else [*COLUMNS, *batches, "Exported"]
    if not exported_only:
        rows = [[*row, "no" if form.fault else "yes"] for row, form in zip(rows, forms, strict=True)]
    return Table(columns, rows, 2, "Forms of the model")


def describe_measuring(metrics: FormatMetrics) -> str:
    """Return what the table was measured on, and how."""
    cpu = f" of {metrics.cpu}" if metrics.cpu else ""
    return (
        f"Measured on {metrics.num_examples:,} images of {metrics.split}, the same pixels for every form; p is of "
        f"McNemar's test against the native model. Times: {metrics.threads} "
        f"{'thread' if metrics.threads == 1 else 'threads'}{cpu}, the median of {metrics.rounds} rounds in which the "
        "forms take turns (fastest to slowest round)."
    )


def describe_operators(metrics: FormatMetrics, *, exported_only: bool = False) -> list[str]:
    """Return for each form that is quantised what is quantised in it."""
    return [
        f"{form.name} ({form.method}): int8 in {_listed(form)}; everything else computes in float32."
        for form in (metrics.exported if exported_only else metrics.forms)
        if form.operators
    ]


def faults(metrics: FormatMetrics) -> list[str]:
    """Return why forms are not exported: those that were measured, and those that could not be made."""
    said = [f"{form.name} ({form.method}): {form.fault}" for form in metrics.forms if form.fault]
    measured = {form.name for form in metrics.forms}
    return said + [f"{name}: {reason}" for name, reason in metrics.refused.items() if name not in measured]


def _row(form: FormMetrics, metrics: FormatMetrics, *, is_native: bool) -> list[str]:
    count = metrics.num_examples
    compared = ["", "", ""]
    if not is_native:
        compared = [number(form.changed_answers), f"{form.largest_logit_difference:.1e}", probability(form.p_value)]
    times = [_time(item) for item in form.latency]
    values = [file_size(form.bytes), percent(form.accuracy, count), error(form.ece)]
    return [form.name, form.method, *values, *compared, *times]


def _time(item: Latency) -> str:
    decimals = 1 if item.milliseconds >= 100 else 2
    return f"{item.milliseconds:.{decimals}f} ({item.low:.{decimals}f} to {item.high:.{decimals}f})"


def _listed(form: FormMetrics) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in form.operators.items())
