"""The images that compared runs were tested on, read again from their dataset."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hf_cifar.errors import InputError
from hf_cifar.evaluation.comparison.compared_run import ComparedRun
from hf_cifar.run.recorded_run import RecordedRun
from hf_cifar.utils.network import go_offline, hub_cached, hub_reachable
from hf_cifar.utils.progress import say

if TYPE_CHECKING:
    from hf_cifar.data.images import LabeledImages


def tested_images(runs: Sequence[ComparedRun]) -> "LabeledImages | None":
    """Return the images in the order of the runs' arrays; None, with the reason said, where the data are gone.

    Nothing is downloaded for it.
    """
    reasons = []
    for run in runs:
        try:
            images = _images(run)
        except (InputError, OSError) as error:
            reasons.append(str(error))
            continue
        if images is not None:
            return images
    why = f": {reasons[0]}" if reasons else ""
    say(f"warning: the page shows no pictures, since the dataset of the runs is not where it was{why}")
    return None


def _images(run: ComparedRun) -> "LabeledImages | None":
    from hf_cifar.config.locate import locate_dataset
    from hf_cifar.data.sources import load_source

    record = RecordedRun.of(str(run.folder.path)) or RecordedRun.of(run.model)
    if record is None:
        return None
    location = locate_dataset(record.config.data.dataset)
    if location.kind == "hub":
        if not hub_cached("dataset", location.name, None):
            return None
        if not hub_reachable():
            go_offline()
    source = load_source(record.config.data, for_training=False)
    for images in source.splits.values():
        if images.fingerprint == run.fingerprint and len(images.labels) > run.index.max(initial=-1):
            return replace(images, index=run.index)
    return None
