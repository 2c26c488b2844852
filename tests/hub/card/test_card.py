"""The text of a card, and what must never be in it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from support.card_checks import check, rows_of
from support.made_run import DIGITS, HELD_OUT, MINI, RANDOM, edit_metrics, from_file, from_hub, make_run

from hf_cifar.hub.card.card import render_card, write_card

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
        "**Test accuracy: 70.57%** (95% interval 69.66% to 71.46%), evaluated on a held-out test set of 10,000 images",
        "(11,181,642 parameters, 64x64 input)",
        "|  | linear probe, test | **fine-tuned, test** | fine-tuned, validation |",
        "| Accuracy | 58.57% | **70.57%** | 70.57% |",
        "| airplane | 80.00% | 70.00% | 75.00% | 1,000 |",
        "Most frequent confusions: truck as airplane (279 images, 27.90% of the class).",
        "**License:** bsd-3-clause, that of the pretrained weights.",
        "| Prediction | airplane (90.12%) | automobile (90.12%) | bird (90.12%) |",
        "![airplane](figures/example_0-image.png)",
        "**Not measured.** Accuracy on images from other sources, how well images of none",
        "Mean confidence is 75.00% at an accuracy of 70.57%: on average the model is overconfident",
        "(T = 1.1384, fitted on validation) changes the expected calibration error on test from 0.0447 to 0.0162",
        "Mean accuracy over 1 corruptions at 5 severities is **51.23%**, against 70.00% on the same 2,000 clean images",
        "do not compare the numbers with those published for CIFAR-10-C",
        "[uoft-cs/cifar10](https://huggingface.co/datasets/uoft-cs/cifar10) at revision `0b2714987fa478483af9968de7c9",
        "| validation | 10% of train, held out with seed 0 | selection and calibration | 5,000 |",
        "resized to 64x64 pixels (bilinear)",
        "![Confusion matrix",
        "![Training images, unaugmented and as the network sees them",
        "| `learning_rate` | `0.3`, best on validation of 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3 | `0.03` |",
        "| Trained parameters | 5,130 of 11,181,642 | 11,181,642 of 11,181,642 |",
        "54 (0.54%)",
        "7 of the 10,000 test labels (0.07%) look doubtful",
        "(32x32 pixels) and are upscaled to 64x64",
        "truck (F1 74.10%, most often predicted as airplane)",
        "https://arxiv.org/abs/2202.10054",
        "He, Kaiming",
        "Krizhevsky, Alex",
        'hf_hub_download("me/cifar", "examples/0-image.png")',
        "{'label': 'airplane', 'score': 0.9012345}\n{'label': 'automobile', 'score': 0.0543}\n",
    ):
        assert words in card, words
    assert "No license" not in card
    assert "**License.**" not in card


def test_a_probe_of_lpft_shows_the_fine_tuning_beside_it(lpft):
    card = render_card(lpft / "probe")
    values = check(card)
    assert values["base_model"] == "timm/resnet18.tv_in1k"
    assert values["tags"][-1] == "linear-probe"
    assert "|  | **linear probe, test** | fine-tuned, test | linear probe, validation |" in card
    assert "| Linear probe |\n" in card
    assert "kumar2022finetuning" not in card


@pytest.mark.parametrize("stage", ["probe", "finetune"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_one_stage_alone(tmp_path, stage, calibrated):
    card = render_card(make_run(tmp_path / "run", stages=(stage,), calibrated=calibrated, examples=0) / stage)
    values = check(card)
    assert "widget" not in values
    assert "LP-FT" not in card
    assert ("calibration_temperature" in card) == calibrated
    assert ("**Uncalibrated scores.**" in card) != calibrated
    assert "PATH/TO/image.png" in card


def test_lbfgs_shows_its_strengths_and_was_no_trainer(tmp_path):
    card = render_card(make_run(tmp_path / "run", stages=("probe",), solver="lbfgs") / "probe")
    assert "generated_from_trainer" not in check(card)["tags"]
    assert "| `strength` | `0.001`, best on validation of 1, 0.3," in card


def test_no_path_and_no_token(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    secret = tmp_path / "secret" / "place"
    run = make_run(
        tmp_path / "run",
        dataset_id="my-images",
        revision=None,
        weights_origin=from_file("tiny-imagenet.pth"),
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
    assert re.search(r"\| `deepspeed` \|.* `PATH/TO/ds.json` \|\n", card)
    assert re.search(r"\| `adam_beta1` \|.* `0.8` \|\n", card)
    assert "**License.** No license was given" in card
    assert "They were a local file (`tiny-imagenet.pth`) of unknown training data" in card


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
    shown = {row[0].strip() for row in rows_of(text)}
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
    assert "the 200 classes of me/many." in many
    assert "The 8 classes with the lowest F1, worst first; 192 more are not shown" in many
    assert many.index("| class 199 | 80.00%") < many.index("| class 192 | 80.00%")
    assert "| class 191 | 80.00%" not in many
    assert "198: class 198, 199: class 199\n" in many


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weights_origin": RANDOM, "base_model": None}, "starting from random weights (nothing was pretrained)"),
        ({"weights_origin": MINI, "base_model": None}, "26.47% top-1"),
        ({"weights_origin": from_file("x.pth"), "base_model": None}, "of unknown training data"),
        ({"test_origin": HELD_OUT}, "The dataset has no test split"),
        ({"dataset_id": DIGITS, "revision": None}, "10.24432/C50P49"),
        ({"dataset_id": DIGITS, "revision": None}, "scikit-learn's digits"),
    ],
)
def test_what_is_known_of_weights_and_data(tmp_path, given, words):
    card = render_card(make_run(tmp_path / "run", **given) / "finetune")
    values = check(card)
    assert words in card
    assert ("base_model" in values) == ("base_model" not in given)
    if given.get("weights_origin") == MINI:
        assert values["license"] == "apache-2.0"


def test_a_license_that_is_given(lpft):
    assert ModelCard(render_card(lpft / "finetune", license="mit")).data.license == "mit"


def test_a_fine_tuning_that_interpolation_undid(tmp_path):
    run = make_run(tmp_path / "run", interpolate="auto")
    edit_metrics(run / "finetune", "train", "chosen", "interpolation", value=0.0)
    assert "this model predicts exactly as its linear probe does" in render_card(run / "finetune")


def test_a_fine_tuning_that_did_not_help(tmp_path):
    run = make_run(tmp_path / "run")
    assert "**No gain from fine-tuning.**" not in render_card(run / "finetune")
    edit_metrics(run / "probe", "test", "accuracy", value=0.71234)
    assert "reaches 71.23% on the same test images, this model 70.57%" in render_card(run / "finetune")


@pytest.mark.parametrize(("confidence", "verdict"), [(0.75, "over"), (0.65, "under"), (0.7, "well calibrated")])
def test_confidence_is_judged_by_the_interval_of_the_accuracy(tmp_path, confidence, verdict):
    run = make_run(tmp_path / "run")  # 69.669% to 71.455%
    bins = [{"low": 0.0, "high": 1.0, "count": 10_000, "confidence": confidence, "accuracy": 0.70575}]
    edit_metrics(run / "finetune", "test", "reliability", value=bins)
    assert f"on average the model is {verdict}" in render_card(run / "finetune")


def test_a_run_of_the_version_without_a_schema(tmp_path):
    """Its metrics.json held sentences where there is data now."""
    run = make_run(tmp_path / "run")
    card = render_card(run / "finetune")
    for stage in ("probe", "finetune"):
        metrics = json.loads((run / stage / "metrics.json").read_text())
        for key in ("schema_version", "weights", "split"):
            del metrics[key]
        del metrics["dataset"]["kind"]
        metrics["model"] = "torchvision resnet18, IMAGENET1K_V1"
        metrics["dataset"]["splits"] = {
            "train": "the rest of train",
            "validation": "10% of train, held out by seed 0",
            "test": "the source's test split",
        }
        if stage == "probe":
            metrics["train"]["augmentation"] = "none"
        else:
            metrics["train"]["start"] = "this run's probe (runs/a/probe/model)"
        (run / stage / "metrics.json").write_text(json.dumps(metrics))
    assert render_card(run / "finetune") == card


@pytest.mark.parametrize("names", [10, 100])
def test_a_card_is_short_and_begins_with_result_and_use(tmp_path, names):
    names = [f"class {number}" for number in range(names)]
    card = render_card(make_run(tmp_path / "run", names=names, examples=4, lr_scheduler_type="cosine") / "finetune")
    assert len(card.splitlines()) <= 200
    text = card.split("---\n", 2)[2]
    assert text.index("Test accuracy") < text.index("**License:**") < text.index("## Usage") < text.index("## Results")
    assert text[: text.index("print(prediction)")].count("\n") < 25
    assert card.split("---\n")[1].count("\n") < 30, "the header"


def test_a_vit_cites_its_own(tmp_path):
    vit = {"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12, "patch_size": 16}
    name = "google/vit-base-patch16-224-in21k"
    given = {"weights_origin": from_hub(name), "base_model": name, "model_config": vit, "recipe": "vit"}
    card = render_card(make_run(tmp_path / "run", **given) / "finetune")
    assert check(card)["license"] == "apache-2.0"
    assert f"starting from [{name}](https://huggingface.co/{name})." in card
    assert "Dosovitskiy" in card
    assert "He, Kaiming" not in card


def test_a_second_accuracy_without_leaks_is_said(tmp_path):
    stage = make_run(tmp_path / "run") / "finetune"
    assert "Without leaks" not in render_card(stage)
    part = {
        **{"num_examples": 9_714, "num_exact": 3, "num_near": 283, "accuracy": 0.7, "accuracy_ci95": [0.69, 0.71]},
        **{"near_cosine": 0.7, "near_hash": 36, "audited_with": "resnet18-mini"},
    }
    edit_metrics(stage, "without_leaks", value=part)
    card = render_card(stage)
    assert "Without leaks: 70.00% (95% CI 69.00% to 71.00%) without 286 images" in card
    assert "(3 identical, 283 near-duplicates)" in card
    assert "**Test accuracy: 70.57%**" in card
