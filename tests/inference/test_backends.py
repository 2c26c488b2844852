"""Predictions by exported forms of a model, with torch beside them and without."""

import json

import numpy as np
import pytest
import torch
from support.exported import run_without_torch, write_onnx
from support.models import processor, tiny_resnet
from transformers import AutoImageProcessor, AutoModelForImageClassification

from hf_cifar.config.locate import BUNDLED
from hf_cifar.config.options.prediction import BACKENDS
from hf_cifar.errors import InputError
from hf_cifar.formats.runtime import OnnxRuntime
from hf_cifar.formats.variants import FILES
from hf_cifar.inference.predictor import Predictor
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.predict import run_prediction
from hf_cifar.utils import packages

# What a score may differ by where Pillow makes the pixels.
STATED = 7e-4


def scores(answers):
    return [{item["label"]: item["score"] for item in answer} for answer in answers]


def assert_close(found, expected, tolerance):
    """Scores agree, and no answer changes where the two best scores are further apart than the tolerance."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=tolerance)
        best, second = sorted(theirs.values())[::-1][:2]
        if best - second > tolerance:
            assert max(ours, key=ours.get) == max(theirs, key=theirs.get)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run whose stage is exported, of a model with confident answers."""
    stage = tmp_path_factory.mktemp("run") / "probe"
    model = tiny_resnet()
    with torch.no_grad():
        model.classifier[1].weight.mul_(20)
    model.config.id2label = dict(enumerate(["ant", "bee", "crow", "dög", "elk"]))
    for folder in (stage / "model", stage / "export"):
        model.save_pretrained(folder)
        processor(16).save_pretrained(folder)
    write_onnx(model, 16, stage / "export" / FILES["onnx"])
    return stage.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The trained classifier that ships with the package, exported."""
    folder = tmp_path_factory.mktemp("trained")
    model = AutoModelForImageClassification.from_pretrained(BUNDLED / "resnet18-mini")
    model.save_pretrained(folder)
    AutoImageProcessor.from_pretrained(BUNDLED / "resnet18-mini").save_pretrained(folder)
    write_onnx(model, 64, folder / FILES["onnx"])
    return folder


def test_the_backends_are_the_forms_of_an_export():
    assert ("torch", *FILES) == BACKENDS


def test_onnx_answers_as_torch_does(exported, photos, tmp_path):
    files = sorted(photos.iterdir())
    expected = scores(Predictor(exported, batch_size=5).predict(files))
    for checkpoint in (exported, exported / "probe", exported / "probe" / "export"):
        assert_close(scores(Predictor(checkpoint, backend="onnx", batch_size=5).predict(files)), expected, 1e-5)
    values = {"checkpoint": str(exported), "images": [str(photos)], "output": str(tmp_path / "answers.jsonl")}
    run_prediction(request_for("predict", {**values, "backend": "onnx"}))
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["image"] for row in rows] == [str(file) for file in files]
    assert_close(scores(row["predictions"] for row in rows), expected, 1e-5)


def test_onnx_answers_without_torch_and_transformers(trained, photos, tmp_path):
    """All image modes: palette, CMYK, 16 bits, alpha, EXIF orientations, several frames, extreme proportions."""
    output, page = tmp_path / "answers.jsonl", tmp_path / "sheet.html"
    code = f"""
from hf_cifar.cli import main
arguments = ["--stage", "predict", "--backend", "onnx", "--checkpoint", {str(trained)!r}, "--images", {str(photos)!r}]
assert main([*arguments, "--output", {str(output)!r}, "--top-k", "999", "--html", {str(page)!r}]) == 0
from hf_cifar import Predictor
from PIL import Image
predictor = Predictor({str(trained)!r}, backend="onnx")
assert len(predictor.predict(Image.new("RGB", (9, 9)))[0]) == 5
assert type(predictor.processor).__name__ == "PillowProcessor"
heavy = {{"torch", "transformers", "scipy", "pyarrow", "datasets"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = run_without_torch(code)
    assert done.returncode == 0, done.stderr
    files = sorted(photos.iterdir())
    assert page.read_text().count("<li>") == len(files)
    found = {row["image"]: row["predictions"] for row in map(json.loads, output.read_text().splitlines())}
    assert list(found) == [str(file) for file in files]
    expected = scores(Predictor(trained).predict(files, top_k=999))
    assert_close(scores(found.values()), expected, STATED)
    assert len({max(answer, key=answer.get) for answer in expected}) > 2


def test_what_takes_torch_says_so_in_one_line_where_it_is_missing(exported, photos):
    image = str(photos / "mode-L.png")
    code = f"""
import hf_cifar
from hf_cifar.cli import main
for name in ("freeze", "TorchvisionResNetConfig"):
    try:
        getattr(hf_cifar, name)
    except ImportError as error:
        print(error)
for call in (hf_cifar.Experiment, lambda: hf_cifar.Predictor({str(exported)!r})):
    try:
        call()
    except hf_cifar.InputError as error:
        print(error)
for arguments in (
    ["--stage", "lpft", "--dataset", "digits"],
    ["--stage", "compare", "--runs", "a", "b"],
    ["--stage", "predict", "--checkpoint", {str(exported)!r}, "--images", {image!r}],
    ["--learning-rate", "1"],
    ["--imagse", "x"],
    ["--stage", "predict", "--backend", "onnx", "--checkpoint", {str(exported)!r}, "--images", {image!r},
     "--output", "x.parquet"],
):
    sys.stderr = sys.stdout
    assert main(arguments) == 2, arguments
"""
    done = run_without_torch(code)
    assert done.returncode == 0, done.stderr + done.stdout
    advice = "pip install 'hf_cifar[train]'"
    assert done.stdout.splitlines() == [
        f"hf_cifar.freeze needs torch: {advice}",
        f"hf_cifar.TorchvisionResNetConfig needs torch: {advice}",
        f"Experiment needs torch and transformers: {advice}",
        f'--backend torch needs torch and transformers: {advice}, or take an exported form, such as backend="onnx"',
        f"error: --stage lpft needs torch and transformers: {advice}",
        f"error: --stage compare needs torch and transformers: {advice}",
        f"error: --stage predict --backend torch needs torch and transformers: {advice}, or take an exported form, "
        "such as --backend onnx",
        f"error: unknown option '--learning-rate': did you mean '--learning-rates'? if it is one of training, {advice}",
        f"error: unknown option '--imagse': did you mean '--images'? if it is one of training, {advice}",
        f"error: pyarrow is not installed: {advice}",
    ]


def test_a_missing_runtime_is_installed_without_torch(monkeypatch, tmp_path):
    monkeypatch.setattr(packages, "missing", lambda *modules: list(modules))
    with pytest.raises(InputError, match=r"^onnxruntime is not installed: pip install 'hf_cifar\[serve\]'$"):
        OnnxRuntime(tmp_path / "model.onnx")


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name not in ("torch", "onnx")])
def test_a_form_that_is_missing_names_the_command_that_makes_it(exported, backend):
    command = f"hf-cifar --stage export --formats {backend} --checkpoint {exported / 'probe'}"
    with pytest.raises(InputError, match=rf"has no {FILES[backend]}: make it by {command}$"):
        Predictor(exported, backend=backend)


def copy_of(exported, folder, **config):
    """The exported folder with other values in its config.json."""
    folder.mkdir()
    source = exported / "probe" / "export"
    values = json.loads((source / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **config}))
    (folder / "preprocessor_config.json").write_text((source / "preprocessor_config.json").read_text())
    (folder / "onnx").symlink_to(source / "onnx")
    return folder


def test_a_network_that_does_not_fit_its_labels_is_refused(exported, photos, tmp_path):
    fewer = copy_of(exported, tmp_path / "fewer", id2label={"0": "ant", "1": "bee"})
    with pytest.raises(InputError, match=r"model\.onnx of .* makes 5 numbers an image, but config.json names 2 labels"):
        Predictor(fewer, backend="onnx").predict(photos / "mode-L.png")
    with pytest.raises(InputError, match="has no label names"):
        Predictor(copy_of(exported, tmp_path / "none", id2label=None), backend="onnx")


def test_scores_follow_the_problem_of_the_model(exported, photos, tmp_path):
    folder = copy_of(exported, tmp_path / "labels", problem_type="multi_label_classification")
    files = sorted(photos.glob("mode-*"))
    [logits] = [Predictor(copy_of(exported, tmp_path / "raw", problem_type="regression"), backend="onnx")]
    raw = scores(logits.predict(files))
    found = scores(Predictor(folder, backend="onnx").predict(files))
    assert found == [pytest.approx({name: 1 / (1 + np.exp(-value)) for name, value in row.items()}) for row in raw]


def test_what_was_measured_at_the_export_is_said(exported, tmp_path, capsys):
    folder = copy_of(exported, tmp_path / "measured")
    (folder / "formats.json").write_text(json.dumps({"onnx": {"largest_score_difference": 4.2e-6}}))
    Predictor(folder, backend="onnx")
    assert "onnx: scores were within 4.2e-06 of the native model's when it was exported" in capsys.readouterr().err


def test_the_model_of_torch_is_asked_for_where_there_is_none(exported):
    with pytest.raises(InputError, match="--backend onnx has no model of torch"):
        _ = Predictor(exported, backend="onnx").model


def test_a_backend_that_does_not_exist_is_refused_in_python_too(exported):
    with pytest.raises(InputError, match="unknown backend 'onnx_q8': did you mean 'onnx-q8'"):
        Predictor(exported, backend="onnx_q8")


def test_use_cpu_does_nothing_with_another_backend(exported):
    with pytest.raises(InputError, match="--use-cpu does nothing with --backend onnx"):
        request_for("predict", {"checkpoint": str(exported), "backend": "onnx", "use_cpu": True})
    shared = request_for("predict", {"checkpoint": str(exported), "backend": "onnx"}, {"use_cpu": True})
    assert shared.config.prediction.backend == "onnx"


def test_openvino_answers_as_torch_does(exported, photos, tmp_path):
    openvino = pytest.importorskip("openvino")
    folder = copy_of(exported, tmp_path / "openvino-form")
    (folder / "openvino").mkdir()
    model = openvino.convert_model(exported / "probe" / "export" / FILES["onnx"])
    openvino.save_model(model, folder / FILES["openvino"], compress_to_fp16=False)
    files = sorted(photos.iterdir())
    assert_close(
        scores(Predictor(folder, backend="openvino").predict(files)), scores(Predictor(exported).predict(files)), 1e-5
    )
