"""`--stage predict`: classify images with a trained model, and show the predictions or write them to a file."""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.config.options.prediction import PredictionConfig
from hf_cifar.errors import InputError
from hf_cifar.inference.answer_files import (
    STANDARD_OUTPUT,
    WriteRow,
    answers_to_standard_output,
    check_output,
    check_page,
    open_answers,
    readable,
)
from hf_cifar.inference.image_paths import some_images
from hf_cifar.inference.predictor import Predictor
from hf_cifar.inference.screen import answers_to_screen
from hf_cifar.run.ood_scores import KEPT
from hf_cifar.run.request import Request
from hf_cifar.utils import processes
from hf_cifar.utils.files import written_aside
from hf_cifar.utils.formatting import counted
from hf_cifar.utils.labelled_lines import say_labelled
from hf_cifar.utils.packages import require
from hf_cifar.utils.progress import progress, say

SKIPPED_NAMED = 10  # skipped images that the summary names at most


@dataclass(frozen=True)
class PredictionResult:
    """The outcome of `--stage predict`.

    Attributes:
        output: the file; - for standard output as JSON Lines; None for none.
        html: the contact sheet; None for none.
        num_images: classified images.
        num_skipped: images that are missing or unreadable.
        skipped: the first of these: image and reason.
        model: folder or Hub id.
        seconds: of the pass over the images, without loading the model.
        ood_threshold: above it an image is called out of distribution; None where no score was asked for.
    """

    output: str | None
    html: str | None
    num_images: int
    num_skipped: int
    skipped: list[dict[str, str]]
    model: str
    seconds: float
    ood_threshold: float | None = None

    @property
    def status(self) -> int:
        """Return the exit status of the command line: 0, or 1 where an image was skipped."""
        return int(self.num_skipped > 0)

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output, as plain values."""
        return {
            "stage": "predict",
            "output": self.output,
            **({"html": self.html} if self.html is not None else {}),
            "num_images": self.num_images,
            "num_skipped": self.num_skipped,
            "skipped": self.skipped,
            "model": self.model,
            **({"ood_threshold": self.ood_threshold} if self.ood_threshold is not None else {}),
            "seconds": self.seconds,
            "images_per_second": self.num_images / self.seconds if self.seconds else 0.0,
        }


def run_prediction(request: Request) -> PredictionResult:
    """Answer the images that `--images` names, on the screen, in the file of `--output`, or on the page of `--html`.

    An image that is not there or cannot be read is named on standard error and has no row.

    Raises:
        InputError: nothing to predict, no model, or no file to write to; then nothing is written.
    """
    config = request.config
    asked = config.prediction
    if processes.count() > 1:
        raise InputError("--stage predict runs in one process: start it without torchrun, once for each part")
    on_screen = asked.output is None and sys.stdout.isatty()
    page = check_page(asked.html, config.overwrite) if asked.html is not None else None
    output = None if asked.output is None and (on_screen or page) else check_output(asked.output, config.overwrite)
    images, total = some_images(asked.images)
    if output is not None and Path(output).suffix.lower() == ".parquet":
        require("pyarrow", "train")
    predictor = Predictor(
        request.checkpoint.full_name,
        batch_size=asked.batch_size,
        use_cpu=config.use_cpu,
        backend=asked.backend,
        coverage=asked.coverage,
        ood_score=config.evaluation.ood_score,
    )
    threshold = predictor.ood.threshold if predictor.ood is not None else None
    if predictor.ood is not None:
        say(
            f"{config.evaluation.ood_score} scores above {predictor.ood.threshold:.4g} are called out of distribution: "
            f"{KEPT:.0%} of {predictor.ood.num_examples:,} validation images are below"
        )
    top_k = min(asked.top_k, predictor.num_labels)
    started = time.perf_counter()
    skipped: list[dict[str, str]] = []
    answered = faults = 0

    with ExitStack() as stack:
        writers = _open_writers(stack, asked, output, page, predictor, on_screen=on_screen)
        with progress(None, "predict", "image", total=total) as bar:
            for answer in predictor.answers(images, top_k):
                path = str(answer.image)
                if answer.fault:
                    say(f"skipped {path}: {answer.fault}")
                    skipped.extend([{"image": readable(path), "reason": answer.fault}][: SKIPPED_NAMED - len(skipped)])
                    faults += 1
                else:
                    for write in writers:
                        write(path, answer.predictions, answer.prediction_set, answer.ood)
                    answered += 1
                bar.update()
    seconds = time.perf_counter() - started
    _say_files(output, page, answered)
    html = None if page is None else str(page)
    return PredictionResult(output, html, answered, faults, skipped, predictor.name, seconds, threshold)


def _say_files(output: str | None, page: Path | None, num_images: int) -> None:
    """Say where the answers are now, apart from those that went to the screen."""
    rows = []
    if output not in (None, STANDARD_OUTPUT):
        rows.append(("answers", f"{counted(num_images, 'image')} in {output}"))
    if page is not None:
        rows.append(("page", f"open {page}"))
    say_labelled(rows, "bold green")


def _open_writers(
    stack: ExitStack,
    asked: PredictionConfig,
    output: str | None,
    page: Path | None,
    predictor: Predictor,
    *,
    on_screen: bool,
) -> list[WriteRow]:
    """Open everything that gets the answers; files appear when the stack is closed without an error.

    Args:
        stack: closes them.
        asked: options of the prediction.
        output: the file, or - for standard output; None for neither.
        page: of the contact sheet, or None.
        predictor: that answers.
        on_screen: whether they are printed for a person.
    """
    writers: list[WriteRow] = []
    if on_screen:
        writers.append(stack.enter_context(answers_to_screen()))
    if output == STANDARD_OUTPUT:
        writers.append(stack.enter_context(answers_to_standard_output()))
    elif output is not None:
        aside = stack.enter_context(written_aside(Path(output)))
        top_k = min(asked.top_k, predictor.num_labels)
        columns = {"sets": asked.coverage is not None, "ood": predictor.ood is not None}
        writers.append(stack.enter_context(open_answers(aside, Path(output).suffix, top_k, **columns)))
    if page is not None:
        from hf_cifar.inference.contact_sheet import open_contact_sheet

        aside = stack.enter_context(written_aside(page))
        writers.append(stack.enter_context(open_contact_sheet(aside, predictor.name)))
    return writers
