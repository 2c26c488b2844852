"""The report: one self-contained file with the numbers of metrics.json, in which names are never markup."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from support.legacy import legacy_metrics
from support.made_up_stage import ROBUSTNESS, MadeUpStage, made_up, make_stage, metrics_of, split_metrics_of
from support.pages import Page, assert_accessible, assert_offline

from hf_cifar.evaluation.cells import pictured
from hf_cifar.evaluation.figures.collection import save_figures
from hf_cifar.evaluation.image_table import image_rows
from hf_cifar.evaluation.report.report import render, write_report
from hf_cifar.run.against_probe import AgainstProbe
from hf_cifar.run.stage_metrics import StageMetrics, WithoutLeaks
from hf_cifar.utils.formatting import error, interval, percent

SCRIPT, QUOTED = "<script>alert(1)</script>", 'a&b "c"'
NAMES = ("ape", "bee", "cat", "dog")


def report_of(stage: MadeUpStage) -> Page:
    save_figures(stage.folder, stage.metrics, stage.images)
    return Page(write_report(stage.folder).read_text(encoding="utf-8"))


def alternatives(page: Page) -> str:
    return "\n".join(image["alt"] or "" for image in page.all("img"))


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[str, MadeUpStage]:
    folder = tmp_path_factory.mktemp("runs")
    made = {
        "finetune": make_stage(folder / "mine", robustness=ROBUSTNESS),
        "probe": make_stage(folder / "other", "probe", temperature=None),
        "evaluate": make_stage(folder / "third", "evaluate", strength=2.0),
    }
    for stage in made.values():
        save_figures(stage.folder, stage.metrics, stage.images)
    return made


@pytest.fixture(scope="module")
def pages(stages) -> dict[str, Page]:
    return {name: Page(write_report(stage.folder).read_text(encoding="utf-8")) for name, stage in stages.items()}


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_nothing_comes_from_outside_and_nothing_foreign_runs(name, pages):
    assert_offline(pages[name])


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_the_page_is_accessible(name, pages):
    assert_accessible(pages[name])


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_what_is_asked_first_stands_first(name, pages):
    titles = [section["id"] for section in pages[name].all("section")]
    order = ["result", "mistakes", "confusions", "label-errors", "classes", "calibration", "robustness"]
    order += ["training", "use", "reproduce"]
    assert titles == [title for title in order if title in titles] and titles[0] == "result"


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_unknown_values_are_left_out(name, pages):
    text = pages[name].text + alternatives(pages[name])
    assert not re.search(r"\b(None|nan|NaN|inf|null|Undefined)\b", text)
    assert "{" not in text
    assert "%}" not in text


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_the_numbers_are_those_of_metrics_json(name, stages, pages):
    text, metrics = pages[name].text, StageMetrics.read(stages[name].folder.metrics)
    test = metrics.test
    assert f"{percent(test.accuracy)} accuracy on {test.num_examples} {metrics.split} images" in text
    assert f"95% confidence interval (Wilson): {interval(test.accuracy_ci95)}" in text
    both = [part for part in (metrics.test, metrics.validation) if part is not None]
    for row, values in (
        ("accuracy", [percent(part.accuracy) for part in both]),
        ("macro F1", [percent(part.f1_macro) for part in both]),
        ("NLL (nats)", [error(part.nll) for part in both]),
        ("ECE", [error(part.ece) for part in both]),
    ):
        assert " ".join([row, *values]) in text
    for label, of_class in test.per_class.items():
        scores = [percent(value) for value in (of_class.recall, of_class.precision, of_class.f1)]
        row = rf"{label} {scores[0]} [\d.]+% to [\d.]+% {scores[1]} {scores[2]} "
        assert re.search(rf"{row}{of_class.num_examples}\b", text)
    for pair in test.confused_pairs[:10]:
        assert f"{pair.label} {pair.prediction} {pair.count} {percent(pair.share)}" in text
    for library, version in metrics.versions.items():
        assert f"{library} {version}" in text


def test_the_same_number_reads_the_same_everywhere_and_never_better_than_it_is():
    """97.777% is never shown as 97.78%, a calibration error of 0.02341 never as 0.0234."""
    test = split_metrics_of(9.0 * np.eye(4)[[0, 1, 2, 3]], np.arange(4), NAMES, 1.5)
    test = replace(test, accuracy=0.97777, accuracy_ci95=(0.97111, 0.98111), ece=0.02341, ece_calibrated=0.02341)
    page = Page(render("x", metrics_of("evaluate", test), figures={"reliability": "data:image/png;base64,"}))
    everything = page.text + alternatives(page)
    assert everything.count("97.77%") == 5, "headline, beside simpler answers, table, calibration, alternative text"
    assert "97.78" not in everything
    assert everything.count("0.0235") == 7
    assert "0.0234" not in everything
    assert everything.count("97.11% to 98.12%") == 3
    assert "97.77%" in page.title


def test_model_selection_is_said_where_there_was_any(pages):
    sentence = "Model selection used the validation split only; the test split was evaluated once, at the end."
    assert sentence in pages["finetune"].text and sentence in pages["probe"].text
    assert sentence not in pages["evaluate"].text


def test_calibration_is_described(stages, pages):
    test = stages["finetune"].metrics.test
    filled = [entry for entry in test.reliability if entry.count]
    confidence = sum(entry.count * entry.confidence for entry in filled) / test.num_examples
    text = pages["finetune"].text
    assert f"its mean confidence is {percent(confidence)}, its accuracy {percent(test.accuracy)}" in text
    scaled = f"changes the ECE to {error(test.ece_calibrated)} and the negative log-likelihood from {error(test.nll)}"
    assert f"Temperature scaling with 1.250, fitted on the validation split, {scaled}" in text
    assert "No temperature is available" in pages["probe"].text


@pytest.mark.parametrize(
    ("confidence", "accuracy", "verdict"),
    [(0.9, 0.7, "overconfident"), (0.7, 0.9, "underconfident"), (0.801, 0.8, "well calibrated on average")],
)
def test_the_verdict_on_calibration(confidence, accuracy, verdict):
    labels = np.zeros(1000, dtype=int)
    correct = np.arange(1000) < round(1000 * accuracy)
    odds = np.log(confidence / (1 - confidence))
    logits = np.where(correct, odds, -odds)[:, None] * [1.0, 0.0]
    metrics = metrics_of("evaluate", split_metrics_of(logits, labels, ["ape", "bee"]))
    assert f"The model is {verdict}:" in Page(render("x", metrics)).text


def test_figures_have_alternative_texts(stages, pages):
    test, text = stages["finetune"].metrics.test, alternatives(pages["finetune"])
    worst = min(test.per_class, key=lambda name: test.per_class[name].recall)
    assert f"Lowest recall: {worst}, {percent(test.per_class[worst].recall)}" in text
    assert f"accuracy {percent(test.accuracy)}, expected calibration error {error(test.ece)}" in text
    assert "81.25% on clean images, 55.00% on average on corrupted images. Hardest: fog, 15.00% at severity 5" in text
    assert "Training curves over 4 epochs; training loss from 2.0000 to 0.5000" in text
    assert "selected: epoch 3" in text
    row = stages["finetune"].folder.mistakes.read_text().splitlines()[1].split(",")
    probability = percent(float(row[4]), decimals=1)
    assert f"Image {row[0]}: labelled {row[1]}, predicted as {row[2]} with probability {probability}" in text


def test_training_is_described_where_there_was_any(pages):
    text = pages["finetune"].text
    for row in (
        "Augmentation standard, MixUp 0.2",
        "Starting point this run's probe",
        "Selected on validation epoch 3 (step 30), validation accuracy 87.65%",
        "Training time 12 min 40 s",
        "Stage time, predictions included 13 min 34 s",
        "Peak memory 1,403 MB",
        "Trainable parameters 11,181,642 of 11,181,642",
        "Train 12,345 images: the rest of train; 2 unreadable images left out",
        "CPU Some CPU, 2 cores",
        "Seed 7",
        "hf-cifar --config run.yaml",
    ):
        assert row in text
    probe = pages["probe"].text
    for row in ("Images through the backbone 12,345 of train and 678 of validation", "Head training time 3.2 s"):
        assert row in probe
    assert "Selected on validation learning rate 0.3" in probe
    evaluated = pages["evaluate"].text
    assert "Training setup" not in evaluated
    assert "validation" not in evaluated.lower().replace("fitted on the validation split", "")
    assert "Evaluated split held-out" in evaluated
    assert "Model folder runs/x/finetune/model" in evaluated
    assert "hf-cifar --config" not in evaluated  # its folder has no run.yaml


def test_robustness_is_there_only_if_it_was_measured(pages):
    assert "fog 75.00% 60.00% 45.00% 30.00% 15.00%" in pages["finetune"].text
    assert "81.25% on clean images to 55.00% on average" in pages["finetune"].text
    for name in ("probe", "evaluate"):
        assert "Robustness" not in pages[name].text


def test_both_macro_f1_are_shown_where_a_class_without_images_was_predicted():
    logits = 9.0 * np.eye(4)[[0, 2, 1]]
    page = Page(render("x", metrics_of("evaluate", split_metrics_of(logits, np.array([0, 0, 1]), NAMES))))
    # F1 of 2/3, 1, and 0 for the class that is predicted only.
    assert page.text.count("macro F1 55.55%") == 2, "tile and table"
    assert page.text.count("macro F1 over classes with images 83.33%") == 2
    assert "2 of 4 classes have no images in this split" in page.text
    agreeing = metrics_of("evaluate", split_metrics_of(9.0 * np.eye(4)[[0, 1]], np.array([0, 1]), NAMES))
    assert "over classes with images" not in Page(render("x", agreeing)).text


def test_images_that_the_model_was_trained_on_are_said():
    metrics = metrics_of("evaluate", split_metrics_of(np.eye(4), np.arange(4), NAMES))
    assert "Seen in training" not in Page(render("x", metrics)).text
    data = replace(metrics.dataset, num_trained_on=3, num_left_out=12)
    text = Page(render("x", replace(metrics, dataset=data))).text
    assert "3 evaluated images are identical to training images of the model; 12 training images" in text


def test_metrics_of_older_versions_are_rendered(tmp_path):
    for stage in ("probe", "finetune"):
        metrics = StageMetrics.from_dict(legacy_metrics(stage))
        text = Page(render("demo", metrics)).text
        assert "97.49% accuracy on 359 test images" in text
        assert "Test 359 images: 20% of train, held out with seed 0" in text
        assert "macro F1 97.50%" in text
    assert "Starting point this run's probe" in text
    assert "Selected on validation epoch 8 (step 168), validation accuracy 98.61%" in text


def test_names_are_text_and_never_markup(tmp_path):
    names = (SCRIPT, QUOTED, "' onerror='alert(1)", "{{ 7*7 }}")
    stage = make_stage(tmp_path / "<b>run", names=names, strength=0.5, model="</style><script>alert(2)</script>")
    page = report_of(stage)
    assert page.all("script") == [{}] and not page.all("b")
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    for name in (*names, "<b>run", "</style><script>alert(2)</script>"):
        assert name in page.text
    text = alternatives(page)
    assert all(f"labelled {name}" in text for name in names)
    content = stage.folder.report.read_text()
    assert content.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content


def test_no_mistake_at_all(tmp_path):
    page = report_of(make_stage(tmp_path, strength=60.0))
    assert "100.00% accuracy on 300 test images" in page.text
    assert "No image was misclassified." in page.text
    assert not [link for link in page.all("a") if link["href"].startswith("#cell")]
    assert "Worst mistakes" not in page.text
    assert "label errors" not in page.text.lower()


def test_many_classes_are_folded_away_and_numbered_as_in_the_matrix(tmp_path):
    names = tuple(f"class {number}" for number in range(150))
    page = report_of(make_stage(tmp_path, names=names, count=600, size=4))
    assert len(page.all("details")) == 1
    # The matrix has the 20 classes that are confused most, a column for all others, and a figure of the whole.
    matrix = page.table("Rows: labels; columns: predictions")
    assert [len(row) for row in matrix] == [22] * 21 and matrix[0][-1] == "others"
    assert "Confusion matrix of 150 classes" in alternatives(page)
    assert "All 150 classes" in page.text
    assert "149: class 149" in page.text


def test_a_class_without_images_has_no_recall():
    labels = np.array([0, 1] * 20)
    metrics = metrics_of("evaluate", split_metrics_of(9.0 * np.eye(3)[labels], labels, ["ape", "bee", "cat"]))
    assert "cat – – 0.00% – 0" in Page(render("x", metrics)).text


def test_it_can_be_written_again_from_the_files_alone(tmp_path):
    stage = make_stage(tmp_path / "here")
    report_of(stage)
    content = stage.folder.report.read_bytes()
    shutil.copytree(tmp_path / "here", tmp_path / "there" / "here")
    again = type(stage.folder)(tmp_path / "there" / "here" / "finetune")
    again.report.unlink()
    assert write_report(again).read_bytes() == content


def test_without_figures_it_is_still_a_report(tmp_path):
    stage = make_stage(tmp_path)
    stage.folder.metrics.unlink()
    page = Page(write_report(stage.folder, stage.metrics).read_text())
    assert percent(stage.metrics.test.accuracy) in page.text
    assert not page.all("img")


def test_photographs_do_not_make_it_large(tmp_path):
    stage = make_stage(tmp_path, size=250, count=40, strength=0.0)
    report_of(stage)
    assert 100_000 < stage.folder.report.stat().st_size < 3_000_000


def test_a_second_accuracy_without_leaks_is_said():
    part = WithoutLeaks(3, 1, 0, 0.7, (0.6, 0.8), 0.7, 36, "resnet18-mini")
    metrics = metrics_of("evaluate", split_metrics_of(np.eye(4), np.arange(4), NAMES))
    assert "without leaks" not in Page(render("x", metrics)).text
    page = Page(render("x", replace(metrics, without_leaks=part)))
    assert "70.00% (95% CI 60.00% to 80.00%) without 1 image that training has twins of" in page.text
    assert "features of resnet18-mini from 0.7, perceptual hashes within 36 of 128 bits" in page.text


def test_a_cell_of_the_confusion_matrix_opens_its_images(stages, pages):
    """Also without script: the link shows what it leads to by the style alone."""
    page, test = pages["finetune"], stages["finetune"].metrics.test
    rows = page.table("Rows: labels; columns: predictions")
    assert rows[0][1:] == list(NAMES) and [row[0] for row in rows[1:]] == list(NAMES)
    assert [[int(cell or 0) for cell in row[1:]] for row in rows[1:]] == test.confusion_matrix
    assert ".cell:target { display: block; }" in page.style and ".cell { display: none;" in page.style
    links = {link["href"] for link in page.all("a") if link["href"].startswith("#cell")}
    lines = [line.split(",") for line in stages["finetune"].folder.mistakes.read_text().splitlines()[1:]]
    for row, label in enumerate(NAMES):
        for column, prediction in enumerate(NAMES):
            count = test.confusion_matrix[row][column]
            anchor = f"cell-{row}-{column}"
            assert (f"#{anchor}" in links) == (row != column and count > 0)
            if row == column or not count:
                continue
            part = page.part(anchor)
            assert f"{prediction}: {count} image{'s' if count > 1 else ''}</h3>" in part
            own = [line[0] for line in lines if line[1:3] == [label, prediction]]
            assert re.findall(r'alt="Image (\d+):', part) == own[:4]
            named = re.findall(r"image (\d+)</code>", part)
            assert named == own[4:16] and (f" and {len(own) - 16} more" in part) == (len(own) > 16)


def test_the_result_stands_beside_simpler_answers():
    labels = np.array([0] * 60 + [1] * 40)
    logits = 9.0 * np.eye(2)[np.where(np.arange(100) % 10 == 0, 1 - labels, labels)]
    against = AgainstProbe(0.85, 0.05, (0.0123456, 0.0876543))
    metrics = replace(metrics_of("finetune", split_metrics_of(logits, labels, ["ape", "bee"])), against_probe=against)
    rows = Page(render("x", metrics)).table("Beside simpler answers")
    assert rows[1][:2] == ["this model", "90.00%"]
    # Wilson's interval of 85 of 100 by hand: (85 + 1.92073 -+ 1.95996 * sqrt(85 * 15 / 100 + 0.96036)) / 103.84146.
    assert rows[2] == ["its probe", "85.00%", "76.71% to 90.70%", "+5.00 (+1.23 to +8.77)"]
    assert rows[3] == ['always answering "ape"', "60.00%", "–", "+30.00"]
    alone = Page(render("x", metrics_of("probe", split_metrics_of(logits, labels, ["ape", "bee"]))))
    assert len(alone.table("Beside simpler answers")) == 3


def test_when_on_what_and_how_it_is_used(stages):
    metrics = replace(stages["finetune"].metrics, finished="2026-03-01 14:05 UTC")
    page = Page(render("x", metrics))
    rows = dict(page.table("Date, hardware and cost"))
    assert rows["Finished"] == "2026-03-01 14:05 UTC" and rows["CPU"] == "Some CPU, 2 cores"
    assert rows["Peak memory"] == "1,403 MB" and rows["Training time"] == "12 min 40 s"
    assert 'pipeline("image-classification", model="./model")' in page.text
    assert "hf-cifar predict ./model photo.jpg" in page.text
    awkward = replace(stages["evaluate"].metrics, model_dir='runs/a "b"/model')
    text = Page(render("x", awkward)).text
    assert r'model="runs/a \"b\"/model"' in text and "hf-cifar predict 'runs/a \"b\"/model' photo.jpg" in text
    assert "Finished" not in dict(Page(render("x", stages["evaluate"].metrics)).table("Date, hardware and cost"))


def test_many_classes_and_mistakes_do_not_make_it_large():
    """100 classes, 10,000 images of which a third is wrong, and a picture of 6 kB of each that is shown."""
    names = [f"class number {number}" for number in range(100)]
    logits, labels = made_up(10_000, 100, 4.7)
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    assert 2_000 < len(wrong) < 5_000
    rows = image_rows(wrong, logits, labels, np.arange(len(labels)), names, [f"test/{row}.jpg" for row in labels])
    pictures = {row.index: "data:image/jpeg;base64," + "A" * 6_000 for row in (*pictured(rows), *rows[:24])}
    assert len(pictures) <= 72 + 24
    page = render(
        "x", metrics_of("finetune", split_metrics_of(logits, labels, names)), mistakes=rows, thumbnails=pictures
    )
    assert len(page) < 1_500_000
