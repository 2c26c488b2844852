"""metrics.json: written, read again, and read from older versions."""

import json

import pytest

from hf_cifar.errors import InputError
from hf_cifar.run.origins import SplitKind, SplitOrigin, StartKind, StartOrigin, WeightsKind, WeightsOrigin
from hf_cifar.run.split_metrics import ClassMetrics, ConfusedPair, ReliabilityBin, SplitMetrics
from hf_cifar.run.stage_metrics import SCHEMA_VERSION, DatasetInfo, Hardware, Robustness, StageMetrics
from hf_cifar.run.train_summary import Augmentation, Chosen, FinetuneSummary, ProbeSummary

SPLIT = SplitMetrics(
    num_examples=4,
    accuracy=0.75,
    accuracy_ci95=(0.3, 0.95),
    f1_macro=0.73,
    f1_macro_present=0.74,
    top5_accuracy=1.0,
    temperature=1.5,
    nll=0.5,
    ece=0.1,
    nll_calibrated=0.4,
    ece_calibrated=0.05,
    reliability=[ReliabilityBin(0.0, 0.5, 0, None, None), ReliabilityBin(0.5, 1.0, 4, 0.8, 0.75)],
    reliability_calibrated=None,
    per_class={"ant": ClassMetrics(1.0, 0.5, 0.66, 2), "bee": ClassMetrics(0.66, 1.0, 0.8, 2)},
    confusion_matrix=[[1, 1], [0, 2]],
    confused_pairs=[ConfusedPair("ant", "bee", 1, 0.5)],
)
COMMON = {
    "epochs": 3.0,
    "seconds": 9.5,
    "images_per_second": 100.0,
    "trainable_parameters": 10,
    "total_parameters": 100,
    "processes": 1,
    "peak_memory_mb": 500.0,
}
PROBE = ProbeSummary(
    augmentation=Augmentation(),
    chosen=Chosen(learning_rate=0.1),
    solver="trainer",
    features="cached",
    feature_seconds=1.0,
    head_seconds=2.0,
    images_through_backbone={"train": 8},
    **COMMON,
)
FINETUNE = FinetuneSummary(
    augmentation=Augmentation("trivial", 0.1, 0.2, 0.0),
    chosen=Chosen(epoch=2.0, step=20, metric="accuracy", value=0.8, interpolation=0.7),
    start=StartOrigin(StartKind.CHECKPOINT, "runs/a", new_head=True),
    unfreeze="all",
    bn="eval",
    optimizer="sgd",
    learning_rate=0.1,
    scheduler="cosine",
    training_seconds=8.0,
    **COMMON,
)
DATA = DatasetInfo(
    id="me/flowers",
    kind="hub",
    fingerprint="abc",
    num_test=4,
    num_train=30,
    num_validation=4,
    train_per_class={"ant": 15, "bee": 15},
    num_corrupt={"train": 1},
    splits={
        "train": SplitOrigin(SplitKind.REST, "train", limit=30, limit_seed=1),
        "validation": SplitOrigin(SplitKind.HELD_OUT, "train", 0.1, 1),
        "test": SplitOrigin(SplitKind.PUBLISHED, "validation", substitute=True),
    },
)


def metrics(stage="finetune", **changes) -> StageMetrics:
    values = {
        "stage": stage,
        "model": "torchvision resnet18, IMAGENET1K_V1",
        "weights": WeightsOrigin(WeightsKind.TORCHVISION, "torchvision resnet18", "IMAGENET1K_V1"),
        "base_model": "timm/resnet18.tv_in1k",
        "seed": 1,
        "dataset": DATA,
        "test": SPLIT,
        "validation": SPLIT,
        "train": FINETUNE if stage == "finetune" else PROBE,
        "robustness": Robustness(4, 1, 0.75, 0.5, {"fog": [0.5, 0.5]}),
        "hardware": Hardware("cpu", "a processor", 2),
        "versions": {"torch": "2"},
    }
    return StageMetrics(**{**values, **changes})


@pytest.mark.parametrize(
    "written",
    [
        metrics(),
        metrics("probe"),
        metrics("probe", base_model=None, robustness=None, hardware=None),
        StageMetrics(
            stage="evaluate",
            model="runs/a",
            model_dir="runs/a/finetune/model",
            split="all",
            seed=0,
            dataset=DatasetInfo("x", "folder", "f", 4, {"test": SplitOrigin(SplitKind.UNSEEN, "all")}, num_left_out=3),
            test=SPLIT,
            seconds=3.0,
        ),
    ],
    ids=["finetune", "probe", "sparse", "evaluate"],
)
def test_what_is_written_is_read_again(tmp_path, written):
    file = tmp_path / "metrics.json"
    written.write(file)
    assert StageMetrics.read(file) == written
    content = json.loads(file.read_text())
    assert content["schema_version"] == SCHEMA_VERSION and "base_model" in content


def test_the_file_has_the_documented_keys(tmp_path):
    values = json.loads(json.dumps(metrics().to_dict()))
    assert values["test"]["accuracy"] == 0.75 and values["test"]["per_class"]["bee"]["recall"] == 1.0
    assert values["train"]["chosen"] == {"epoch": 2.0, "step": 20, "interpolation": 0.7, "validation_accuracy": 0.8}
    assert values["dataset"]["splits"]["validation"]["kind"] == "held_out"
    assert values["train"]["start"] == {"kind": "checkpoint", "name": "runs/a", "new_head": True}


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"stage": "probe"}', '{"schema_version": 2}'])
def test_a_damaged_file_is_named(tmp_path, content):
    file = tmp_path / "metrics.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"metrics\.json is damaged, or not the metrics of a stage"):
        StageMetrics.read(file)


class TestOlderVersions:
    """Files without a schema version held sentences where there is data now."""

    def old(self, **changes) -> dict:
        split = SPLIT.to_dict()
        del split["f1_macro_present"]
        values = metrics().to_dict()
        del values["schema_version"], values["weights"], values["split"]
        values["test"], values["validation"] = dict(split), dict(split)
        values["dataset"] = {key: value for key, value in DATA.to_dict().items() if key != "kind"}
        for key in ("num_trained_on", "num_left_out"):
            del values["dataset"][key]
        values["dataset"]["splits"] = {
            "train": "the rest of train; 3600 of its images, chosen by seed 0",
            "validation": "10% of train, held out by seed 0",
            "test": "20% of train, held out by seed 0; the source has no test split",
        }
        values["train"] = {**values["train"], "start": "this run's probe (runs/a/probe/model)", "processes": 1}
        return {**values, **changes}

    def test_splits_become_data(self):
        splits = StageMetrics.from_dict(self.old()).dataset.splits
        assert splits["train"] == SplitOrigin(SplitKind.REST, "train", limit=3600, limit_seed=0)
        assert splits["validation"] == SplitOrigin(SplitKind.HELD_OUT, "train", 0.1, 0)
        assert splits["test"] == SplitOrigin(SplitKind.HELD_OUT, "train", 0.2, 0, substitute=True)

    @pytest.mark.parametrize(
        ("words", "origin"),
        [
            ("the source's test split", SplitOrigin(SplitKind.PUBLISHED, "test")),
            (
                "the source's test split; 1000 of its images, chosen by seed 3",
                SplitOrigin(SplitKind.PUBLISHED, "test", limit=1000, limit_seed=3),
            ),
            (
                "the source's validation split; it has no test split",
                SplitOrigin(SplitKind.PUBLISHED, "validation", substitute=True),
            ),
            ("every image of the source", SplitOrigin(SplitKind.WHOLE, "all")),
        ],
    )
    def test_the_test_split(self, words, origin):
        old = self.old()
        old["dataset"]["splits"]["test"] = words
        assert StageMetrics.from_dict(old).dataset.splits["test"] == origin

    @pytest.mark.parametrize(
        ("words", "origin"),
        [
            ("torchvision resnet18, random weights", WeightsOrigin(WeightsKind.RANDOM, "torchvision resnet18")),
            (
                "torchvision resnet50, IMAGENET1K_V2",
                WeightsOrigin(WeightsKind.TORCHVISION, "torchvision resnet50", "IMAGENET1K_V2"),
            ),
            ("resnet18 weights from a.pth", WeightsOrigin(WeightsKind.FILE, "resnet18", "a.pth")),
            ("me/vit@v1", WeightsOrigin(WeightsKind.HUB, "me/vit", "me/vit", "v1")),
            ("resnet18-mini", WeightsOrigin(WeightsKind.BUNDLED, "resnet18-mini", "resnet18-mini")),
        ],
    )
    def test_weights(self, words, origin):
        assert StageMetrics.from_dict(self.old(model=words)).weights == origin

    @pytest.mark.parametrize(
        ("words", "origin"),
        [
            ("this run's probe (runs/a/probe/model)", StartOrigin(StartKind.PROBE)),
            ("the pretrained model, with a new head", StartOrigin(StartKind.PRETRAINED, new_head=True)),
            ("runs/b", StartOrigin(StartKind.CHECKPOINT, "runs/b")),
        ],
    )
    def test_the_start(self, words, origin):
        old = self.old()
        old["train"]["start"] = words
        train = StageMetrics.from_dict(old).train
        assert isinstance(train, FinetuneSummary) and train.start == origin

    def test_the_mean_of_the_classes_that_are_present(self):
        assert StageMetrics.from_dict(self.old()).test.f1_macro_present == pytest.approx((0.66 + 0.8) / 2)
