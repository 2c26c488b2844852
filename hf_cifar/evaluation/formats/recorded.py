"""Compare a model that is run again with the predictions that its stage has recorded."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from hf_cifar.utils.logits import log_probabilities


def difference_from_recorded(
    file: Path, rows: np.ndarray, logits: np.ndarray, temperature: float | None = None
) -> float | None:
    """Return the largest difference of a score from those that a stage has recorded; None where they are not there.

    Args:
        file: `predictions.parquet` of the stage.
        rows: int64 [n], the rows of the split that were predicted again.
        logits: float [n, labels], of these.
        temperature: that the head was divided by since.
    """
    if not file.is_file():
        return None
    table = pq.read_table(file, columns=["index", "probabilities"])
    recorded = table["index"].to_numpy()
    order = np.argsort(recorded)
    found = np.searchsorted(recorded, rows, sorter=order)
    if not len(recorded) or found.max(initial=0) >= len(recorded) or (recorded[order[found]] != rows).any():
        return None
    probabilities = table["probabilities"].combine_chunks().flatten().to_numpy().reshape(len(recorded), -1)
    expected = probabilities[order[found]].astype(np.float64)
    if temperature is not None:
        # Scores of 0 were too small for float32, and stay too small for any temperature that is fitted.
        with np.errstate(divide="ignore"):
            expected = np.exp(log_probabilities(np.maximum(np.log(expected), -1e3) / temperature))
    return float(np.abs(np.exp(log_probabilities(logits)) - expected).max(initial=0.0))
