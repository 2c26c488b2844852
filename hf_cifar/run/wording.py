"""Put origins into words, the same ones on screen, in the report and in the card."""

from hf_cifar.run.ood_metrics import OodMetrics
from hf_cifar.run.origins import SplitKind, SplitOrigin, StartKind, StartOrigin, WeightsKind, WeightsOrigin
from hf_cifar.run.stage_metrics import WithoutLeaks
from hf_cifar.utils.formatting import counted, interval, listed, percent


def describe_weights(origin: WeightsOrigin) -> str:
    """Return what `metrics.json` calls the model: `torchvision resnet18, IMAGENET1K_V1`, `USER/NAME@REVISION`, …"""
    if origin.kind is WeightsKind.RANDOM:
        return f"{origin.architecture}, random weights"
    if origin.kind is WeightsKind.TORCHVISION:
        return f"{origin.architecture}, {origin.name}"
    name = str(origin.name)
    if origin.kind is WeightsKind.HUB and origin.revision:
        name = f"{name}@{origin.revision}"
    return name if origin.architecture == origin.name else f"{origin.architecture}, weights from {name}"


def describe_start(origin: StartOrigin) -> str:
    """Return what fine-tuning started from, as the end of a sentence."""
    name = {
        StartKind.PROBE: "this run's probe",
        StartKind.CHECKPOINT: str(origin.name),
        StartKind.PRETRAINED: "the pretrained model",
    }[origin.kind]
    return f"{name}, with a new head" if origin.new_head else name


def describe_split(origin: SplitOrigin) -> str:
    """Return where the images of a split come from, in a few words."""
    if origin.kind is SplitKind.HELD_OUT:
        words = f"{origin.fraction:.0%} of {origin.source}, held out with seed {origin.seed}"
    else:
        words = {
            SplitKind.PUBLISHED: f"the dataset's {origin.source} split",
            SplitKind.REST: f"the rest of {origin.source}",
            SplitKind.WHOLE: "every image of the dataset",
            SplitKind.UNSEEN: "every image of the dataset that the model was not trained on",
        }[origin.kind]
    if origin.substitute:
        words += "; the dataset has no test split"
    if origin.limit is not None:
        words += f"; {origin.limit:,} of its images, stratified, seed {origin.limit_seed}"
    return words


def describe_ood(part: OodMetrics) -> str:
    """Return how well a score tells other images apart: `energy against fog 0.812, digits 0.934 (AUROC)`."""
    return f"{part.score} against {listed([f'{item.title} {item.shown_auroc}' for item in part.compared])} (AUROC)"


def describe_without_leaks(part: WithoutLeaks) -> str:
    """Return the accuracy without images that have a twin in training: `61.90% without 99 images …`."""
    images = counted(part.num_left_out, "image")
    return (
        f"{percent(part.accuracy, part.num_examples)} (95% CI {interval(part.accuracy_ci95, part.num_examples)}) "
        f"without {images} that training has twins of ({part.num_exact:,} identical, {part.num_near:,} near-duplicates)"
    )
