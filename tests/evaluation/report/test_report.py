"""The report: one file that needs nothing else, says what metrics.json says, and trusts no name."""

import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from support.made_up_stage import ROBUSTNESS, MadeUpStage, make_stage, metrics_of, section_of

from hf_cifar.evaluation.figures import save_figures
from hf_cifar.evaluation.report.report import render, write_report

VOID = {"meta", "link", "img", "br"}
SCRIPT, QUOTED = "<script>alert(1)</script>", 'a&b "c"'
NAMES = ("ape", "bee", "cat", "dog")


class Page(HTMLParser):
    """A page as a browser reads it; tags that are not closed, or closed in another order, are refused."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


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
def test_nothing_comes_from_outside_and_nothing_runs(name, pages):
    page = pages[name]
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert not page.all("script") + page.all("iframe") + page.all("object")
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert "http" not in page.text
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_the_page_can_be_read_by_anyone(name, pages):
    page = pages[name]
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == len(page.all("header")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert {cell["scope"] for cell in page.all("th")} == {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert {link["href"] for link in page.all("a")} == {f"#{section['id']}" for section in page.all("section")}
    assert {section["aria-labelledby"] for section in page.all("section")} <= set(identities)
    assert any(meta.get("content", "").startswith("width=device-width") for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in page.style
    assert all("tabindex" in box for box in page.all("div") if box.get("class") == "scroll")


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_what_is_unknown_is_not_said(name, pages):
    said = pages[name].text + alternatives(pages[name])
    assert not re.search(r"\b(None|nan|NaN|inf|null|Undefined)\b", said)
    assert "{" not in said
    assert "%}" not in said


@pytest.mark.parametrize("name", ["finetune", "probe", "evaluate"])
def test_the_figures_are_those_of_metrics_json(name, stages, pages):
    text, metrics = pages[name].text, json.loads(stages[name].folder.metrics.read_text())
    test = metrics["test"]
    assert f"{test['accuracy']:.2%} of {test['num_examples']} {metrics.get('split', 'test')} images right" in text
    low, high = test["accuracy_ci95"]
    assert f"95 % interval {low:.2%} to {high:.2%}" in text
    both = [metrics[part] for part in ("test", "validation") if part in metrics]
    for row, key, digits in (
        *(("accuracy", "accuracy", ".2%"), ("macro F1", "f1_macro", ".2%")),
        *(("NLL (nats)", "nll", ".4f"), ("calibration error", "ece", ".2%")),
    ):
        assert " ".join([row, *(format(part[key], digits) for part in both)]) in text
    for label, figures in test["per_class"].items():
        row = rf"{label} {figures['recall']:.1%} [\d.]+–[\d.]+% {figures['precision']:.1%} {figures['f1']:.1%} "
        assert re.search(rf"{row}{figures['num_examples']}\b", text)
    for pair in test["confused_pairs"][:10]:
        assert f"{pair['label']} {pair['prediction']} {pair['count']} {pair['share']:.1%}" in text
    for library, version in metrics["versions"].items():
        assert f"{library} {version}" in text


def test_calibration_is_told_in_words(stages, pages):
    test = stages["finetune"].metrics["test"]
    filled = [entry for entry in test["reliability"] if entry["count"]]
    sure = sum(entry["count"] * entry["confidence"] for entry in filled) / test["num_examples"]
    text = pages["finetune"].text
    assert f"a probability of {sure:.1%}, and is right {test['accuracy']:.1%} of the time" in text
    after = f"brings that error to {test['ece_calibrated']:.2%}, and the negative log-likelihood from {test['nll']:.4f}"
    assert f"Dividing its logits by 1.250, a temperature fitted on validation, {after}" in text
    assert "No temperature is known" in pages["probe"].text


@pytest.mark.parametrize(
    ("confidence", "accuracy", "said"),
    [(0.9, 0.7, "too sure of itself"), (0.7, 0.9, "too modest"), (0.801, 0.8, "about as sure as it should be")],
)
def test_the_verdict_on_calibration(confidence, accuracy, said):
    labels = np.zeros(1000, dtype=int)
    right = np.arange(1000) < round(1000 * accuracy)
    odds = np.log(confidence / (1 - confidence))
    logits = np.where(right, odds, -odds)[:, None] * [1.0, 0.0]
    metrics = metrics_of("evaluate", section_of(logits, labels, ["ape", "bee"]), {})
    assert said in Page(render("x", metrics)).text


def test_images_say_what_they_show_in_numbers(stages, pages):
    test, said = stages["finetune"].metrics["test"], alternatives(pages["finetune"])
    pair = test["confused_pairs"][0]
    most = f"{pair['label']} taken for {pair['prediction']}, {pair['count']} times"
    assert f"Confusion matrix of 4 classes; most confused: {most}" in said
    worst = min(test["per_class"], key=lambda name: test["per_class"][name]["recall"])
    assert f"Lowest recall: {worst}, {test['per_class'][worst]['recall']:.1%}" in said
    assert f"accuracy {test['accuracy']:.1%}, expected calibration error {test['ece']:.1%}" in said
    assert "81.2% on clean images, 55.0% on average when corrupted. Hardest: fog, 15.0% at severity 5" in said
    assert "Learning curves over 4 epochs; training loss from 2 to 0.5; validation accuracy from 50.0% to 87.5%" in said
    assert "epoch 3 was kept" in said
    row = stages["finetune"].folder.mistakes.read_text().splitlines()[1].split(",")
    assert f"Image {row[0]}: labelled {row[1]}, taken for {row[2]} with a probability of {float(row[4]):.1%}" in said


def test_training_is_told_where_there_was_any(pages):
    text = pages["finetune"].text
    for row in (
        "augmentation augment standard; mixup 0.2",
        *("chosen on validation epoch 3; step 30", "training time 12.7 min", "peak memory 1,403 MB"),
        *("trainable parameters 11,181,642", "full determinism yes", "time of the whole stage 13.6 min"),
        *("Train 12,345 images: the rest of train; 2 that cannot be read are left out", "Seed 7"),
        "hf-cifar --config run.yaml",
    ):
        assert row in text
    evaluated = pages["evaluate"].text
    assert "How it was trained" not in evaluated
    assert "validation" not in evaluated.lower().replace("fitted on validation", "")
    assert "Split measured held-out" in evaluated
    assert "Model folder runs/x/finetune/model" in evaluated
    assert "hf-cifar --config" not in evaluated  # its folder has no run.yaml


def test_robustness_is_there_only_if_it_was_measured(pages):
    assert "fog 75.0% 60.0% 45.0% 30.0% 15.0%" in pages["finetune"].text
    assert "81.25% on clean images to 55.00% on average" in pages["finetune"].text
    for name in ("probe", "evaluate"):
        assert "obustness" not in pages[name].text


def test_names_are_shown_and_never_obeyed(tmp_path):
    names = (SCRIPT, QUOTED, "' onerror='alert(1)", "{{ 7*7 }}")
    stage = make_stage(tmp_path / "<b>run", names=names, strength=0.5, model="</style><script>alert(2)</script>")
    page = report_of(stage)
    assert not page.all("script") + page.all("b")
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    for name in (*names, "<b>run", "</style><script>alert(2)</script>"):
        assert name in page.text
    said = alternatives(page)
    assert all(f"labelled {name}" in said for name in names)
    content = stage.folder.report.read_text()
    assert "<script" not in content
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content


def test_no_mistake_at_all(tmp_path):
    page = report_of(make_stage(tmp_path, strength=60.0))
    assert "100.00% of 300 test images right" in page.text
    assert "No image was taken for another class." in page.text
    assert "no image was taken for another class" in alternatives(page)
    assert "Worst mistakes" not in page.text
    assert "label errors" not in page.text.lower()


def test_many_classes_are_folded_away_and_numbered_as_in_the_matrix(tmp_path):
    names = tuple(f"class {number}" for number in range(150))
    page = report_of(make_stage(tmp_path, names=names, count=600, size=4))
    assert len(page.all("details")) == 1
    assert "All 150 classes" in page.text
    assert "149: class 149" in page.text


def test_a_class_without_images_has_no_recall():
    labels = np.array([0, 1] * 20)
    metrics = metrics_of("evaluate", section_of(9.0 * np.eye(3)[labels], labels, ["ape", "bee", "cat"]), {})
    assert "cat – – 0.0% – 0" in Page(render("x", metrics)).text


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
    assert f"{stage.metrics['test']['accuracy']:.2%}" in page.text
    assert not page.all("img")


def test_photographs_do_not_make_it_large(tmp_path):
    stage = make_stage(tmp_path, size=250, count=40, strength=0.0)
    report_of(stage)
    assert 100_000 < stage.folder.report.stat().st_size < 3_000_000
