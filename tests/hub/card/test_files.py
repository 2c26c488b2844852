"""The card of a run as a file among others: its bytes, its pictures, its snippets."""

import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image
from support.card_checks import check
from support.made_run import CIFAR10, make_run
from support.models import processor, tiny_resnet
from transformers import pipeline

from hf_cifar.errors import InputError
from hf_cifar.hub.card.card import render_card, write_card
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages.train import run_training


@pytest.fixture(scope="module")
def lpft(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "lpft", robustness=True)


def test_the_same_bytes_wherever_the_run_lies(tmp_path, lpft, monkeypatch):
    card = render_card(lpft / "finetune")
    shutil.copytree(lpft, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert render_card(Path("elsewhere/finetune")) == card
    monkeypatch.chdir(tmp_path / "elsewhere" / "finetune")
    assert render_card(Path(".")) == card


def test_pictures_come_along(tmp_path, lpft):
    write_card(lpft / "finetune", tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert card == render_card(lpft / "finetune")
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", card)
    links += [item["src"] for item in ModelCard(card).data.widget]
    assert len(set(links)) == 5 + 3 + 3
    enlarged = [link for link in links if "example_" in link]
    for link in set(links) - set(enlarged):
        assert (tmp_path / "model" / link).read_bytes() == (lpft / "finetune" / link).read_bytes()
    for link in enlarged:
        name = Path(link).name.removeprefix("example_")
        with Image.open(tmp_path / "model" / link) as large, Image.open(lpft / "finetune/examples" / name) as small:
            assert large.size == (128, 128) and small.size == (32, 32)
            for x, y in ((0, 0), (3, 3), (4, 3), (127, 127)):
                assert large.getpixel((x, y)) == small.getpixel((x // 4, y // 4)), "each pixel is a square of four"
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert len(enlarged) == 3 and len(files) == 1 + 5 + 3 + 3


def test_a_large_example_is_shown_smaller_and_not_copied(tmp_path):
    stage = make_run(tmp_path / "run") / "finetune"
    Image.new("RGB", (300, 200)).save(stage / "examples" / "0-image.png")
    write_card(stage, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert '| <img src="examples/0-image.png" alt="airplane" width="128"> |' in card.replace("|  |", "|")
    assert not (tmp_path / "model" / "figures" / "example_0-image.png").exists()


def test_without_torch_and_without_a_network(lpft):
    code = (
        "import sys, socket; socket.socket.connect = None; from pathlib import Path\n"
        "from hf_cifar.hub.card.card import render_card\n"
        f"render_card(Path({str(lpft / 'finetune')!r}))\n"
        "assert not {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_stage_is_refused(tmp_path, lpft):
    with pytest.raises(InputError, match="holds no finished training stage"):
        render_card(tmp_path)
    shutil.copytree(lpft, tmp_path / "run")
    evaluation = replace(StageMetrics.read(lpft / "finetune" / "metrics.json"), stage="evaluate", train=None)
    evaluation.write(tmp_path / "run" / "evaluate" / "metrics.json")
    with pytest.raises(InputError, match="holds no finished training stage"):
        render_card(tmp_path / "run" / "evaluate")


def test_the_snippets_print_what_the_card_says(tmp_path, capsys, monkeypatch):
    run = make_run(tmp_path / "run", names=CIFAR10[:5], stages=("probe",), examples=1)
    model, folder = tiny_resnet(5), run / "probe" / "model"
    model.config.id2label = dict(enumerate(CIFAR10[:5]))
    model.config.calibration_temperature = 2.0
    model.save_pretrained(folder)
    processor(16).save_pretrained(folder)
    picture = run / "probe" / "examples" / "0-image.png"
    Image.radial_gradient("L").convert("RGB").save(picture)
    output = pipeline("image-classification", model=str(folder))(str(picture))
    example = {"file": picture.name, "index": 0, "label": CIFAR10[0], "output": output}
    (picture.parent / "examples.json").write_text(json.dumps([example]))
    write_card(run / "probe", folder)
    card = (folder / "README.md").read_text()
    use, calibration = re.findall(r"```python\n(.*?)```", card, flags=re.S)
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(use, names)
    assert capsys.readouterr().out == re.search(r"```\n(\{'label'.*?)```", card, flags=re.S)[1]
    exec(calibration, names)
    roots = {item["label"]: item["score"] ** 0.5 for item in output}  # softmax of half the logits
    printed = dict(ast.literal_eval(capsys.readouterr().out))
    assert printed == pytest.approx({label: root / sum(roots.values()) for label, root in roots.items()}, abs=1e-5)


def test_the_card_of_a_real_run(configure, tmp_path):
    result = run_training(configure(stage="lpft", num_train_epochs=1, image_size=16))
    for stage in ("probe", "finetune"):
        card = render_card(result.output_dir / stage)
        check(card)
        assert str(tmp_path) not in card
        assert f"{result.metrics.test.num_examples} test images" in card
