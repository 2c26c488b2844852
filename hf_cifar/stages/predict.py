"""`--stage predict`: classify images with a trained model, and write the predictions to a file."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_cifar.errors import InputError
from hf_cifar.inference.answer_files import (
    STANDARD_OUTPUT,
    WriteRow,
    answers_to_standard_output,
    check_output,
    open_answers,
    readable,
)
from hf_cifar.inference.image_paths import some_images
from hf_cifar.inference.predictor import Predictor
from hf_cifar.run.resolve import Request
from hf_cifar.utils import processes
from hf_cifar.utils.files import write_aside
from hf_cifar.utils.packages import require
from hf_cifar.utils.progress import progress, say

SKIPPED_NAMED = 10  # skipped images that the summary names at most


@dataclass(frozen=True)
class PredictionResult:
    """The outcome of `--stage predict`.

    Attributes:
        output: the file; - for standard output.
        num_images: classified images.
        num_skipped: images that are missing or unreadable.
        skipped: the first of these: image and reason.
        model: folder or Hub id.
        seconds: of the pass over the images, without loading the model.
    """

    output: str
    num_images: int
    num_skipped: int
    skipped: list[dict[str, str]]
    model: str
    seconds: float

    @property
    def status(self) -> int:
        """Return the exit status of the command line: 0, or 1 where an image was skipped."""
        return int(self.num_skipped > 0)

    def summary(self) -> dict[str, Any]:
        """Return the last line of standard output, as plain values."""
        return {
            "stage": "predict",
            "output": self.output,
            "num_images": self.num_images,
            "num_skipped": self.num_skipped,
            "skipped": self.skipped,
            "model": self.model,
            "seconds": self.seconds,
            "images_per_second": self.num_images / self.seconds if self.seconds else 0.0,
        }


def run_prediction(request: Request) -> PredictionResult:
    """Answer the images that `--images` names, and write the answers to `--output`.

    An image that is not there or cannot be read is named on standard error and has no row.

    Raises:
        InputError: nothing to predict, no model, or no file to write to; then nothing is written.
    """
    config = request.config
    asked = config.prediction
    if processes.count() > 1:
        raise InputError("--stage predict runs in one process: start it without torchrun, once for each part")
    output = check_output(asked.output, config.overwrite)
    images, total = some_images(asked.images)
    if Path(output).suffix.lower() == ".parquet":
        require("pyarrow", "train")
    predictor = Predictor(
        request.checkpoint.full_name,
        batch_size=asked.batch_size,
        use_cpu=config.use_cpu,
        backend=asked.backend,
        coverage=asked.coverage,
    )
    top_k = min(asked.top_k, predictor.num_labels)
    started = time.perf_counter()
    skipped: list[dict[str, str]] = []
    answered = faults = 0

    def write_all(write: WriteRow) -> None:
        nonlocal answered, faults
        with progress(None, "predict", "image", total=total) as bar:
            for answer in predictor.answers(images, top_k):
                path = str(answer.image)
                if answer.fault:
                    say(f"skipped {path}: {answer.fault}")
                    skipped.extend([{"image": readable(path), "reason": answer.fault}][: SKIPPED_NAMED - len(skipped)])
                    faults += 1
                else:
                    write(path, answer.predictions, answer.prediction_set)
                    answered += 1
                bar.update()

    def write_file(aside: Path) -> None:
        with open_answers(aside, Path(output).suffix, top_k, sets=asked.coverage is not None) as write:
            write_all(write)

    if output == STANDARD_OUTPUT:
        with answers_to_standard_output() as write:
            write_all(write)
    else:
        write_aside(Path(output), write_file)
    return PredictionResult(output, answered, faults, skipped, predictor.name, time.perf_counter() - started)
