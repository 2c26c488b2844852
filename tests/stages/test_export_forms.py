"""`--stage export` with other forms of the model and calibrated scores: what is kept, refused, said and repeated."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.special import softmax
from support.hub.contents import on_hub

from hf_cifar.errors import HubError, InputError
from hf_cifar.evaluation.formats import latency
from hf_cifar.formats import make
from hf_cifar.formats.runtime import open_runtime
from hf_cifar.hub import export as hub_export
from hf_cifar.inference.predictor import Predictor
from hf_cifar.run.prediction_sets import PredictionSets
from hf_cifar.run.resolve import request_for
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.run.stage_metrics import StageMetrics
from hf_cifar.stages import measured_forms
from hf_cifar.stages.export import run_export
from hf_cifar.utils import packages

for package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(package, reason="hf_cifar[onnx] is not installed")

Q8 = "onnx/model_quantized.onnx"
# Twelve test images: one changed answer is 8 points.
LAX = {"max_accuracy_drop": 100}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short turns of the times, and no process that opens the folder."""
    monkeypatch.setattr(latency, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(hub_export, "check_predictions", lambda *_, **__: 0.0)


def export(stage: Path, **options):
    return run_export(request_for("export", {"checkpoint": str(stage), **options}))


def logits_of(folder: Path, name: str, images: list[Path]) -> np.ndarray:
    """The logits by an exported file, of pixels that transformers' own processor makes."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(folder)
    pixels = processor(images=[Image.open(image) for image in images], return_tensors="np")["pixel_values"]
    return open_runtime(folder / name, threads=1).logits(pixels)


def test_forms_are_written_measured_and_named_everywhere(stage, capfd):
    result = export(stage, formats="native,onnx,onnx-q8,onnx-fp16", **LAX)
    folder, said = stage / "export", capfd.readouterr().err
    assert result.status == 0 and result.summary()["formats"] == ["native", "onnx", "onnx-q8", "onnx-fp16"]
    assert {"onnx/model.onnx", Q8, "onnx/model_fp16.onnx", "formats.json"} <= set(result.files)
    metrics = StageMetrics.read(folder / "metrics.json").formats
    assert (metrics.split, metrics.num_examples) == ("test", 12) and metrics.refused == {}
    described = json.loads((folder / "formats.json").read_text())
    assert list(described) == ["onnx", "onnx-q8", "onnx-fp16"]

    table = pq.read_table(stage / "predictions.parquet").to_pydict()
    images = [path for name in ("blue", "green", "red") for path in sorted(data_of(stage).glob(f"test/{name}/*.png"))]
    for form in metrics.forms[1:]:
        found = softmax(logits_of(folder, form.file, images).astype(float), axis=1)
        expected = np.array(table["probabilities"])
        assert np.abs(found - expected).max() == pytest.approx(form.largest_score_difference, abs=1e-5), form.name
        assert (found.argmax(1) == np.array(table["label"])).mean() == form.accuracy
        assert form.bytes == (folder / form.file).stat().st_size
        assert described[form.name]["file"] == form.file and described[form.name]["accuracy"] == form.accuracy
        assert described[form.name]["largest_score_difference"] == form.largest_score_difference
    exact = metrics.forms[1]
    assert exact.changed_answers == 0 and exact.largest_logit_difference < 1e-4 and metrics.native.p_value == 1.0
    card, report = (folder / "README.md").read_text(), (stage / "report.html").read_text()
    for form in metrics.forms:
        for text in (card, report, said):
            assert (form.name in text and f"{form.largest_logit_difference:.1e}" in text) or form.name == "native"
    assert "int8 in" in card and "static int8" in report and "McNemar" in said
    assert "## Other formats" in card and 'id="formats"' in report
    assert "transformers.js_config" not in json.loads((folder / "config.json").read_text()), "both of its defaults are"


def data_of(stage: Path) -> Path:
    from hf_cifar.run.recorded_run import RecordedRun

    return Path(RecordedRun.read(stage.parent).config.data.dataset)


def test_a_repeated_export_measures_nothing_again_and_a_native_one_removes_the_forms(stage, monkeypatch, capfd):
    export(stage, formats="onnx,onnx-q8", **LAX)
    before = {path: path.read_bytes() for path in (stage / "export").rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(measured_forms, "make_forms", None)
        export(stage, formats="onnx,onnx-q8", **LAX)
    assert before == {path: path.read_bytes() for path in (stage / "export").rglob("*") if path.is_file()}
    assert "nothing they depend on has changed" in capfd.readouterr().err
    (stage / "export" / Q8).write_bytes(b"damaged")
    export(stage, formats="onnx,onnx-q8", **LAX)
    assert (stage / "export" / Q8).read_bytes() != b"damaged"
    assert export(stage).formats == ["native"]
    assert not (stage / "export" / "onnx").exists() and not (stage / "export" / "formats.json").exists()
    assert 'id="formats"' not in (stage / "report.html").read_text()
    assert "Other formats" not in (stage / "export" / "README.md").read_text()


def test_a_form_that_could_not_be_made_is_tried_again(stage, monkeypatch):
    def fail(*_):
        raise InputError("the disk was full")

    with monkeypatch.context() as patch:
        patch.setattr(make, "write_float16", fail)
        failed = export(stage, formats="onnx-fp16", **LAX)
    assert failed.status == 1 and failed.refused == {"onnx-fp16": "the disk was full"}
    assert export(stage, formats="onnx-fp16", **LAX).formats == ["native", "onnx-fp16"]


def scrambled(original):
    """Quantise, and then permute what the network gives."""

    def quantise(source, target, *rest):
        import onnx

        operators = original(source, target, *rest)
        model = onnx.load(target)
        head = next(node for node in model.graph.node if node.op_type == "Gemm")
        for tensor in model.graph.initializer:
            if tensor.name in head.input:
                values = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy() * -3, tensor.name))
        onnx.save(model, target)
        return operators

    return quantise


def test_a_form_that_loses_accuracy_is_left_out_and_it_is_said_why(stage, monkeypatch, capfd):
    from hf_cifar.formats import make

    monkeypatch.setattr(make, "quantize_statically", scrambled(make.quantize_statically))
    result = export(stage, formats="onnx,onnx-q8")
    assert result.status == 1, "it was asked for"
    assert result.formats == ["native", "onnx"] and list(result.refused) == ["onnx-q8"]
    reason = result.refused["onnx-q8"]
    assert "points of accuracy, more than the 0.5 of --max-accuracy-drop" in reason or "significantly" in reason
    folder = stage / "export"
    assert not (folder / Q8).exists() and list(json.loads((folder / "formats.json").read_text())) == ["onnx"]
    assert f"not exported: onnx-q8 (static int8): {reason}" in capfd.readouterr().err
    metrics = StageMetrics.read(folder / "metrics.json").formats
    assert metrics.refused == result.refused and [form.fault for form in metrics.forms] == [None, None, reason]
    assert "Left out: onnx-q8" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["transformers.js_config"] == {"dtype": "fp32"}


def test_predictions_that_are_not_the_recorded_ones_stop_it(stage):
    table = pq.read_table(stage / "predictions.parquet")
    flipped = table.set_column(3, "probabilities", table["probabilities"].take(list(range(11, -1, -1))))
    pq.write_table(flipped, stage / "predictions.parquet")
    with pytest.raises(HubError, match=r"does not give the predictions in .*: scores differ by up to"):
        export(stage, formats="onnx")
    assert not (stage / "export" / "onnx").exists()


def test_a_model_without_a_run_is_measured_on_the_images_that_are_named(stage, tmp_path):
    export(stage, formats="onnx")
    plain = shutil.copytree(stage / "export", tmp_path / "plain")
    (plain / "run.yaml").unlink()
    options = {"checkpoint": str(plain), "output_dir": str(tmp_path / "out"), "formats": "onnx-q8"}
    with pytest.raises(InputError, match=r"the model belongs to no run .* name a dataset with --dataset"):
        request_for("export", options)
    result = run_export(request_for("export", {**options, "dataset": str(data_of(stage)), **LAX}))
    assert result.formats == ["native", "onnx-q8"] and Q8 in result.files
    assert "onnx/model.onnx" not in result.files, "of the earlier export, which was not asked for"
    described = json.loads((tmp_path / "out" / "export" / "formats.json").read_text())
    assert described["onnx-q8"]["num_examples"] == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "digits"}, "--dataset does nothing with --stage export unless --formats names a form"),
        ({"max_accuracy_drop": 1.0}, "--max-accuracy-drop does nothing with --stage export unless"),
        ({"formats": "native", "seed": 1}, "--seed does nothing with --stage export unless"),
        ({"formats": "onx"}, "unknown format for --formats 'onx': did you mean 'onnx'"),
        ({"formats": "onnx", "max_accuracy_drop": -1}, "--max-accuracy-drop is -1"),
    ],
)
def test_what_does_nothing_or_does_not_exist_is_refused(options, message, stage):
    with pytest.raises(InputError, match=message):
        request_for("export", {"checkpoint": str(stage), **options})


def test_a_missing_package_stops_it_before_any_work(stage, monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == "onnxruntime" else object())
    monkeypatch.setattr(hub_export, "_write_model", None)
    with pytest.raises(InputError, match=r"^--formats onnx-q8 needs onnxruntime: pip install 'hf_cifar\[onnx\]'"):
        export(stage, formats="native,onnx-q8")


def with_temperature(stage: Path, temperature: float | None) -> Path:
    """Give a stage a temperature, which a training of one epoch may not have found."""
    config = json.loads((stage / "model" / "config.json").read_text())
    (stage / "model" / "config.json").write_text(json.dumps({**config, "calibration_temperature": temperature}))
    folder = StageFolder(stage)
    folder.seal_model()
    metrics = folder.read_metrics()
    splits = {
        name: replace(
            getattr(metrics, name),
            temperature=temperature,
            nll_calibrated=temperature and 0.5,
            ece_calibrated=temperature and 0.01,
            reliability_calibrated=temperature and metrics.test.reliability,
        )
        for name in ("test", "validation")
    }
    replace(metrics, **splits).write(folder.metrics)
    return stage


def sets_of_mixed_images(stage: Path, temperature: float) -> tuple[list[Image.Image], list[int]]:
    """Give a stage prediction sets, and return images with the sizes of their sets, some of one label and some of more.

    A label is in a set while the shares before it sum to at most `limit`, which lies amid those sums.
    """
    ends = [Image.open(path) for path in sorted(data_of(stage).glob("test/*/*.png"))[::11]]
    mixed = [Image.blend(*ends, share / 16) for share in range(17)]
    scores = np.array([[item["score"] for item in row] for row in Predictor(str(stage), use_cpu=True).predict(mixed)])
    powers = scores ** (1 / temperature)
    shares = powers / powers.sum(axis=1, keepdims=True)
    sums = np.sort(np.cumsum(shares, axis=1)[:, :2].ravel())
    widest = np.diff(sums).argmax()  # far from every sum, whatever the rounding
    limit = sums[widest : widest + 2].mean()
    sizes = [1 + int((np.cumsum(row)[:-1] <= limit).sum()) for row in shares]
    assert len(set(sizes)) > 1
    PredictionSets(4, (0.0, 0.0, float(limit), 1.0)).write(stage / "model")
    return mixed, sizes


def test_calibrated_scores_are_those_of_plain_computation_in_every_form(stage, monkeypatch):
    monkeypatch.undo()  # the folder is opened by another process
    monkeypatch.setattr(latency, "TURN_SECONDS", 0.0)
    mixed, sizes = sets_of_mixed_images(stage, 0.4)
    with_temperature(stage, 0.4)
    first = export(stage, calibrate=True, formats="onnx")
    assert first.temperature == 0.4 and first.largest_difference < 1e-5
    weights = (stage / "export" / "model.safetensors").read_bytes()
    assert weights != (stage / "model" / "model.safetensors").read_bytes()
    folder, images = stage / "export", sorted(data_of(stage).glob("test/*/*.png"))
    table = pq.read_table(stage / "predictions.parquet").to_pydict()
    powers = np.array(table["probabilities"]) ** (1 / 0.4)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        softmax(logits_of(folder, "onnx/model.onnx", images).astype(float), axis=1), expected, atol=1e-5
    )
    names = StageFolder(stage).read_metrics().test.label_names
    for answers, scores, label in zip(
        Predictor(str(folder), use_cpu=True).predict(images), expected, table["prediction"], strict=True
    ):
        assert {item["label"]: item["score"] for item in answers} == pytest.approx(
            dict(zip(names, scores, strict=True)), abs=1e-5
        )
        assert answers[0]["label"] == names[label]
    sets = [
        [answer.prediction_set for answer in Predictor(str(place), coverage=0.6, **options).answers(mixed)]
        for place, options in ((stage, {}), (folder, {}), (stage, {"backend": "onnx"}))
    ]
    assert [len(labels) for labels in sets[0]] == sizes
    assert sets[1] == sets[0] and sets[2] == sets[0], "prediction_sets.json goes with the export"
    metrics = StageMetrics.read(folder / "metrics.json")
    assert metrics.head_divided_by == 0.4 and StageFolder(stage).read_metrics().head_divided_by is None
    card = (folder / "README.md").read_text()
    assert "**Scores are calibrated:** weight and bias of the head are divided by T = 0.4000" in card
    assert "`pipeline` does not apply it" not in card and "ECE, as exported" in card
    example = json.loads((stage / "examples" / "examples.json").read_text())[0]
    scores = np.array([item["score"] for item in example["output"]]) ** (1 / 0.4)
    assert str(float(scores[0] / scores.sum()))[:5] in card, "the answers that the card shows are the calibrated ones"
    monkeypatch.setattr(hub_export, "check_predictions", lambda *_: 0.0)
    second = export(stage, calibrate=True)
    assert second.temperature == 0.4 and (folder / "model.safetensors").read_bytes() == weights, "not twice"
    assert export(stage, formats="native").temperature is None
    assert (folder / "model.safetensors").read_bytes() == (stage / "model" / "model.safetensors").read_bytes()


def test_a_model_without_a_temperature_or_with_a_divided_head_is_not_calibrated(stage, tmp_path):
    with_temperature(stage, None)
    with pytest.raises(InputError, match=r"--calibrate: .* has no temperature"):
        export(stage, calibrate=True)
    with_temperature(stage, 2.0)
    export(stage, calibrate=True)
    plain = shutil.copytree(stage / "export", tmp_path / "plain")
    (plain / "run.yaml").unlink()
    options = {"checkpoint": str(plain), "output_dir": str(tmp_path / "out"), "calibrate": True}
    with pytest.raises(InputError, match="is divided by its temperature already"):
        run_export(request_for("export", options))


def test_the_command_line_takes_formats_by_commas_and_in_any_order(stage):
    from hf_cifar.cli import parse

    given = parse(["--stage", "export", "--checkpoint", str(stage), "--formats", "openvino,onnx"]).config.export
    assert given.formats == ["onnx", "openvino"] and given.variants == given.formats and given.calibrate is None
    assert parse(["--stage", "export", "--checkpoint", str(stage), "--no-calibrate"]).config.export.calibrate is False
    assert parse(["--stage", "push", "--checkpoint", str(stage), "--calibrate"]).config.export.calibrate is True


def test_a_push_takes_the_forms_of_the_last_export(push, hub, stage):
    export(stage, formats="onnx,onnx-q8", **LAX)
    here = {name: (stage / "export" / name).read_bytes() for name in ("onnx/model.onnx", Q8, "formats.json")}
    done = push()
    assert done.status == 0, done.err
    assert here.items() <= on_hub(hub).items()
    assert "## Other formats" in on_hub(hub)["README.md"].decode()
    assert push("--formats", "native").status == 0 and "onnx/model.onnx" not in on_hub(hub)
    export(stage, formats="onnx", **LAX)
    images = sorted(data_of(stage).glob("test/*/*.png"))
    assert len(Predictor(str(stage), backend="onnx").predict(images)) == 12
    with_temperature(stage, 3.0)
    assert "has other forms of the model" in push().error
    command = f"hf-cifar --stage export --formats onnx --checkpoint {stage}"
    with pytest.raises(InputError, match=rf"was not made from what is in .* now: repeat the export by {command}$"):
        Predictor(str(stage), backend="onnx")
    assert len(Predictor(str(stage / "export"), backend="onnx").predict(images)) == 12, "it is whole by itself"
