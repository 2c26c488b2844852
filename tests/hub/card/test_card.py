"""The card of a run: what it says, and what it never says."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard
from support.card_checks import check, rows_of
from support.made_run import RESNET18, make_run, write_rows

from hf_cifar.hub.card import render_card, write_card
from hf_cifar.hub.card.data import architecture

TOKEN = "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"
ODD = ["a|b", "<!-- hf_cifar:end -->", "<b>x</b>", "no", "1e3", "yes: [", "`tick`", "two\nlines", "null", "© ünï"]


@pytest.fixture(scope="module")
def lpft(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "lpft", robustness=True)


def test_the_header_says_what_the_hub_reads(lpft):
    values = check(render_card(lpft / "finetune", hub_model_id="me/cifar"))
    assert values["license"] == "bsd-3-clause"
    assert values["library_name"] == "transformers"
    assert values["pipeline_tag"] == "image-classification"
    assert values["tags"] == ["image-classification", "vision", "generated_from_trainer", "hf_cifar", "lp-ft"]
    assert values["base_model"] == "timm/resnet18.tv_in1k"
    assert values["base_model_relation"] == "finetune"
    assert values["datasets"] == ["uoft-cs/cifar10"]
    assert "accuracy" in values["metrics"]
    [index] = values["model-index"]
    [result] = index["results"]
    assert index["name"] == "cifar"
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {
        "name": "CIFAR-10",
        "type": "uoft-cs/cifar10",
        "split": "test",
        "revision": "0b2714987fa478483af9968de7c934580d0bb9a2",
    }
    found = [(metric["type"], metric["value"]) for metric in result["metrics"]]
    expected = [("accuracy", 0.70575), ("f1", 0.70241), ("top_k_accuracy", 0.98041), ("nll", 0.82542), ("ece", 0.04464)]
    assert found == [*expected, ("nll", 0.81828), ("ece", 0.01617), ("accuracy", 0.51239)]
    assert result["metrics"][1]["args"] == {"average": "macro"}
    assert values["widget"][0] == {
        "src": "examples/0-image.png",
        "example_title": "airplane",
        "output": [{"label": "airplane", "score": 0.9012345}, {"label": "automobile", "score": 0.0543}],
    }


def test_the_text_shows_this_runs_figures(lpft):
    card = render_card(lpft / "finetune", hub_model_id="me/cifar")
    for words in (
        "# ResNet-18 fine-tuned on CIFAR-10",
        "**70.57 %** of 10,000 test images (95 % interval 69.66 to 71.45 %)",
        "|  | linear probe, test | **fine-tuned, test** | fine-tuned, validation |",
        "| Accuracy | 58.57 % | **70.57 %** | 70.57 % |",
        "| airplane | 80.00 % | 70.00 % | 75.00 % | 1,000 |",
        "| truck | airplane | 279 | 27.90 % |",
        "| 4532 | airplane | truck | 96.81 % | 0.04 % |",
        "The score of its answer is 75.00 % on average, and 70.57 % of the answers are right: the model is too sure",
        "the temperature 1.1384",
        "**51.23 %** is the mean accuracy over 1 corruptions of 5 severities each",
        "must not be compared with those published for CIFAR-10-C",
        "[uoft-cs/cifar10](https://huggingface.co/datasets/uoft-cs/cifar10) at revision `0b2714987fa478483af9968de7c9",
        "| validation | 10% of train, held out by seed 0 | everything was chosen on it | 5,000 |",
        "are resized to 64x64 pixels (bilinear)",
        "![Confusion matrix of the test split",
        "![Training images as they are",
        "What was tried, the kept one in bold:",
        "| Features | computed once and kept; augmentation: none |",
        "| **0.3** | **53.00 %** |",
        "| **2** | **20** | **0.5000** | **0.005 to 0.05** | **62.00 %** | **60.00 %** | **0.9000** |",
        "5,130 of 11,181,642 trained; 11,176,512 frozen",
        "54 of 10,000 (0.54 %)",
        "The labels of 7 of the 10,000 test images (0.07 %) are in doubt",
        "(32x32 pixels in the examples of this repository) and are enlarged to 64x64",
        "truck (74.10 %, recall 70.00 %, most often taken for airplane)",
        "https://arxiv.org/abs/2202.10054",
        "He, Kaiming",
        "Krizhevsky, Alex",
        'hf_hub_download("me/cifar", "examples/0-image.png")',
        "{'label': 'airplane', 'score': 0.9012345}\n{'label': 'automobile', 'score': 0.0543}\n",
    ):
        assert words in card, words
    assert "No license" not in card
    assert "**License.**" not in card


def test_images_that_only_one_stage_answers_correctly(lpft):
    before, after = (pq.read_table(lpft / name / "predictions.parquet").to_pylist() for name in ("probe", "finetune"))
    gained = lost = 0
    for one, other in zip(before, after, strict=True):
        was, now = one["prediction"] == one["label"], other["prediction"] == other["label"]
        gained, lost = gained + (now and not was), lost + (was and not now)
    assert gained
    assert lost
    assert f"{gained} are answered correctly only after fine-tuning, and {lost} only before it" in render_card(
        lpft / "finetune"
    )


def test_answers_above_a_score(lpft):
    rows = pq.read_table(lpft / "finetune" / "predictions.parquet").to_pylist()
    taken = [row for row in rows if max(row["probabilities"]) >= 0.7]
    right = sum(row["prediction"] == row["label"] for row in taken)
    share, accuracy = len(taken) / len(rows), int(10_000 * right / len(taken)) / 100
    assert f"| 0.7 | {100 * share:.2f} % | {len(taken)} | {accuracy:.2f} % |" in render_card(lpft / "finetune")


def test_a_probe_of_lpft_shows_the_fine_tuning_beside_it(lpft):
    card = render_card(lpft / "probe")
    values = check(card)
    assert values["base_model"] == "timm/resnet18.tv_in1k"
    assert values["tags"][-1] == "linear-probe"
    assert "|  | **linear probe, test** | fine-tuned, test | linear probe, validation |" in card
    assert "### Fine-tuning" not in card
    assert "Both repeat the whole run, fine-tuning included." in card
    assert "kumar2022finetuning" not in card


@pytest.mark.parametrize("stage", ["probe", "finetune"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_one_stage_alone(tmp_path, stage, calibrated):
    card = render_card(make_run(tmp_path / "run", stages=(stage,), calibrated=calibrated, examples=0) / stage)
    values = check(card)
    assert "widget" not in values
    assert "LP-FT" not in card
    assert ("calibration_temperature" in card) == calibrated
    assert ("**Scores.** They are not calibrated" in card) != calibrated
    assert "PATH/TO/image.png" in card


def test_lbfgs_shows_its_strengths_and_was_no_trainer(tmp_path):
    card = render_card(make_run(tmp_path / "run", stages=("probe",), solver="lbfgs") / "probe")
    assert "generated_from_trainer" not in check(card)["tags"]
    assert "| **0.001** | **12** | **0.3000** | **58.00 %** | **1.2000** |" in card


def test_no_path_and_no_token(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    secret = tmp_path / "secret" / "place"
    run = make_run(
        tmp_path / "run",
        dataset_id="my-images",
        revision=None,
        origin="resnet18 weights from tiny-imagenet.pth",
        base_model=None,
    )
    values = yaml.safe_load((run / "run.yaml").read_text())
    values["data"]["dataset"] = str(secret / "my-images")
    values["model"]["weights"] = str(secret / "tiny-imagenet.pth")
    values["probe"]["feature_cache"] = str(secret)
    values["finetune"]["from_"] = None
    values["finetune"]["training"] |= {"hub_token": TOKEN, "run_name": f"x {TOKEN}", "logging_dir": str(secret)}
    values["finetune"]["training"] |= {"optim_args": f"key={TOKEN}", "lr_scheduler_kwargs": {"api_key": "abcdefgh"}}
    values["finetune"]["training"] |= {"deepspeed": str(secret / "ds.json"), "adam_beta1": 0.8}
    (run / "run.yaml").write_text(yaml.safe_dump(values))
    card = render_card(run / "finetune")
    header = check(card)
    assert not {"base_model", "base_model_relation", "datasets", "license"} & set(header)
    assert header["model-index"][0]["results"][0]["dataset"]["type"] == "local"
    for word in (str(tmp_path), "secret", TOKEN, "hub_token", "abcdefgh", str(Path.home()) + "/"):
        assert word not in card, word
    assert "--dataset PATH/TO/my-images" in card
    assert "--weights PATH/TO/tiny-imagenet.pth" in card
    assert "--deepspeed PATH/TO/ds.json" in card
    assert "--adam-beta1 0.8" in card
    assert "**License.** No license was given" in card
    assert "By their name the starting weights were pretrained on Tiny-ImageNet" in card


@pytest.mark.parametrize("stage", ["probe", "finetune"])
def test_names_of_classes_are_text(tmp_path, stage):
    run = make_run(tmp_path / "run", names=ODD, dataset_id="a|b<i>", revision=None, examples=len(ODD))
    card = render_card(run / stage)
    values = check(card)
    assert [item["example_title"] for item in values["widget"]] == ODD
    assert [item["output"][0]["label"] for item in values["widget"]] == ODD
    text = "\n".join(line for line in card.split("---\n", 2)[2].splitlines() if not line.startswith("{'label'"))
    assert "the local folder `a|b<i>`" in text  # a code span shows what is in it
    assert not re.search("<[bi]>", re.sub("`[^`\n]*`", "", text))
    assert text.count("<!-- hf_cifar:end -->") == 1
    shown = {row[1].strip() for row in rows_of(text)}
    assert {r"a\|b", "&lt;b&gt;x&lt;/b&gt;", r"\`tick\`", "two lines", r"yes: \[", "1e3", "no"} <= shown
    (tmp_path / "model").mkdir()
    other = render_card(run / ("probe" if stage == "finetune" else "finetune"))
    (tmp_path / "model" / "README.md").write_text(other + "\nMine.\n")
    write_card(run / stage, tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == card + "\nMine.\n"


def test_two_classes_and_two_hundred(tmp_path):
    two = render_card(make_run(tmp_path / "two", names=["cat", "dog"], dataset_id="pets") / "finetune")
    check(two)
    assert "op-5" not in two
    assert "| dog |" in two
    names = [f"class {number}" for number in range(200)]
    many = render_card(make_run(tmp_path / "many", names=names, dataset_id="me/many") / "finetune")
    check(many)
    assert "the 200 classes of me/many," in many
    assert "30 classes of the lowest F1 on the test split, worst first; 170 more are not shown" in many
    assert many.index("| class 199 | 80.00 %") < many.index("| class 170 | 80.00 %")
    assert "| class 169 | 80.00 %" not in many
    assert "| 199 | class 199 |" in many


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"origin": "torchvision resnet18, random weights", "base_model": None}, "nothing in it was pretrained"),
        ({"origin": "resnet18-mini", "base_model": None}, "26.47 % top-1"),
        ({"origin": "resnet18 weights from x.pth", "base_model": None}, "what they were trained on is not known"),
        ({"splits": {"test": "20% of train, held out by seed 0; the source has no test split"}}, "no test split"),
        ({"dataset_id": "digits (scikit-learn)", "revision": None}, "10.24432/C50P49"),
        ({"dataset_id": "digits (scikit-learn)", "revision": None}, "scikit-learn's digits"),
    ],
)
def test_what_is_known_of_weights_and_data(tmp_path, given, words):
    card = render_card(make_run(tmp_path / "run", **given) / "finetune")
    values = check(card)
    assert words in card
    assert ("base_model" in values) == ("base_model" not in given)
    if given.get("origin") == "resnet18-mini":
        assert values["license"] == "apache-2.0"


def test_a_license_that_is_given(lpft):
    assert ModelCard(render_card(lpft / "finetune", license="mit")).data.license == "mit"


def test_a_fine_tuning_that_interpolation_undid(tmp_path):
    run = make_run(tmp_path / "run", interpolate="auto")
    metrics = json.loads((run / "finetune" / "metrics.json").read_text())
    metrics["train"]["chosen"]["interpolation"] = 0.0
    (run / "finetune" / "metrics.json").write_text(json.dumps(metrics))
    assert "this model answers as the probe does" in render_card(run / "finetune")


def test_a_fine_tuning_that_did_not_help(tmp_path):
    run = make_run(tmp_path / "run")
    assert "**No gain.**" not in render_card(run / "finetune")
    metrics = json.loads((run / "probe" / "metrics.json").read_text())
    metrics["test"]["accuracy"] = 0.71234
    (run / "probe" / "metrics.json").write_text(json.dumps(metrics))
    assert "has 71.23 % on the same test images, this model 70.57 %" in render_card(run / "finetune")


def test_a_long_log_is_thinned_and_keeps_the_kept_row(tmp_path):
    run = make_run(tmp_path / "run")
    row = {"learning_rate": 0.1, "validation_accuracy": 0.6, "validation_f1_macro": 0.6, "validation_nll": 0.9}
    write_rows(
        run / "finetune" / "history.csv",
        [{"epoch": step / 100, "step": step, "loss": 0.5, **row} for step in range(1, 1101)],
    )
    card = render_card(run / "finetune")
    check(card)
    rows = [cells for cells in rows_of(card) if len(cells) == 7 and cells[2].strip(" *") == "0.5000"]
    assert 100 <= len(rows) <= 102
    assert f"{1100 - len(rows)} more rows are not shown" in card
    assert "| **0.2** | **20** |" in card


def test_networks_by_their_usual_names():
    vit = {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}
    assert architecture(vit) == "ViT-B/16"
    assert architecture({**RESNET18, "hidden_sizes": [16, 32, 64, 128]}) == "narrow ResNet-18"
    assert architecture({"model_type": "swin", "architectures": ["SwinForImageClassification"]}) == "Swin"


def test_a_vit_cites_its_own(tmp_path):
    vit = {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}
    name = "google/vit-base-patch16-224-in21k"
    given = {"origin": name, "base_model": name, "model_config": vit, "recipe": "vit"}
    card = render_card(make_run(tmp_path / "run", **given) / "finetune")
    assert check(card)["license"] == "apache-2.0"
    assert f"trained from [{name}](https://huggingface.co/{name}) in two steps" in card
    assert "Dosovitskiy" in card
    assert "He, Kaiming" not in card
