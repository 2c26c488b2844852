"""Which measured images leak: those with a twin among the images that a model was trained or chosen on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_cifar.audit.audit import AUDIT_FILE, Audit
from hf_cifar.audit.twin_list import Key, TwinList
from hf_cifar.data.images import LabeledImages
from hf_cifar.errors import InputError
from hf_cifar.evaluation.intervals import wilson_interval
from hf_cifar.run.stage_folder import AUDIT_FOLDER
from hf_cifar.run.stage_metrics import WithoutLeaks

Rows = tuple[str, Sequence[int]]  # of a split of the source


@dataclass(frozen=True)
class LeakFilter:
    """The twins that an audit has listed, for images of the same data.

    Attributes:
        audit: what it counted.
        twins: what it listed.
    """

    audit: Audit
    twins: TwinList

    @classmethod
    def read(cls, place: str) -> "LeakFilter":
        """Read the audit that `--exclude-leaks` names: a run, the folder of its audit, or the file.

        Raises:
            InputError: there is none, or it does not list every pair.
        """
        given = Path(place).expanduser()
        folders = [given.parent] if given.name == AUDIT_FILE else [given, given / AUDIT_FOLDER]
        folder = next((folder for folder in folders if (folder / AUDIT_FILE).is_file()), None)
        if folder is None:
            raise InputError(f"--exclude-leaks {place} holds no audit: make one with --stage audit, of the same data")
        audit = Audit.read(folder / AUDIT_FILE)
        if not audit.complete:
            raise InputError(
                f"--exclude-leaks {place}: the audit found too many near-duplicates to list them all; audit the data "
                "again with a higher --near-cosine or a lower --near-hash"
            )
        return cls(audit, TwinList.read(folder))

    def refuse_other_data(self, splits: Iterable[LabeledImages]) -> None:
        """Refuse images that the audit did not examine.

        Raises:
            InputError: they are of other data, or the audit was of a subset.
        """
        for images in splits:
            facts = self.audit.splits.get(images.name)
            if facts is None or facts.fingerprint != images.fingerprint:
                raise InputError(
                    f"--exclude-leaks: the audit is of other data: its {images.name} split is not the one that is "
                    "used here; audit this dataset"
                )
            if facts.num_images + facts.num_unreadable < facts.num_rows:
                raise InputError(
                    f"--exclude-leaks: the audit examined {facts.num_images:,} of {facts.num_rows:,} images of "
                    f"{images.name}: audit all of them"
                )

    def measure(self, images: LabeledImages, logits: np.ndarray, seen: Iterable[Rows]) -> WithoutLeaks:
        """Return the accuracy on the images without a twin among those that were seen.

        Args:
            images: that were measured, with labels of the model.
            logits: float [n, labels].
            seen: images that the model was trained or chosen on.

        Raises:
            InputError: no image is without.
        """
        keys: list[Key] = [(images.name, int(row)) for row in images.index]
        known = {(split, int(row)) for split, rows in seen for row in rows}
        leaks = self.twins.leaks(set(keys), known)
        kept = np.array([key not in leaks.rows for key in keys])
        total = int(kept.sum())
        if not total:
            raise InputError("--exclude-leaks: every measured image has a twin among the training images")
        right = int((logits.argmax(axis=1) == images.targets)[kept].sum())
        return WithoutLeaks(
            num_examples=total,
            num_exact=len(leaks.exact),
            num_near=len(leaks.near),
            accuracy=right / total,
            accuracy_ci95=wilson_interval(right, total),
            near_cosine=self.audit.near_cosine,
            near_hash=self.audit.near_hash,
            audited_with=self.audit.model,
        )
