import http.server
import json
import os
import sys
import threading
import time
import weakref
from functools import partial

import pandas as pd
import pytest
import torch
import transformers
from packaging.version import Version
from PIL import Image
from support.models import processor, tiny_resnet
from transformers import ConvNextImageProcessor, ViTImageProcessor, pipeline

from hf_cifar.errors import InputError
from hf_cifar.inference import image_reading
from hf_cifar.inference import predictor as inference
from hf_cifar.inference.predictor import Predictor, read_image
from hf_cifar.run.resolve import request_for
from hf_cifar.stages.predict import run_prediction
from hf_cifar.utils.processes import reading_threads

NAMES = ["ant", "bee", "crow", "dög", "elk"]
FAULTS = {
    "text.png": "not an image in a format that Pillow reads",
    "empty.png": "not an image in a format that Pillow reads",
    "cut.jpg": "image file is truncated",
    "bomb.png": "exceeds limit",
    "gone.png": "a link that leads nowhere",
    "locked.png": "Permission denied",
}


def save_model(folder, model, images):
    names = NAMES if model.config.num_labels <= len(NAMES) else [f"name {n}" for n in range(model.config.num_labels)]
    model.config.id2label = dict(enumerate(names[: model.config.num_labels]))
    model.config.label2id = {name: number for number, name in model.config.id2label.items()}
    model.save_pretrained(folder)
    images.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny model with label names and answers that are not all alike."""
    model = tiny_resnet()
    with torch.no_grad():
        model.classifier[1].weight.mul_(20)
    return save_model(tmp_path_factory.mktemp("named"), model, processor(16))


def reference(folder, images, top_k=5):
    """What `pipeline` says of each image, asked one at a time."""
    answer = pipeline("image-classification", model=str(folder), device="cpu")
    return [answer(image if isinstance(image, Image.Image) else str(image), top_k=top_k) for image in images]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0]["label"] == theirs[0]["label"]
        assert len(ours) == len(theirs)
        scores = {item["label"]: item["score"] for item in theirs}
        assert {item["label"]: item["score"] for item in ours} == pytest.approx(scores, abs=1e-5)


def request(checkpoint, images, output, **values):
    images = [str(item) for item in images]
    values = {"checkpoint": str(checkpoint), "images": images, **values}
    if output is not None:
        values["output"] = str(output)
    return request_for("predict", values)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
@pytest.mark.parametrize(
    "images",
    [
        processor(16),
        ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.5),
        ViTImageProcessor(do_resize=False),
    ],
    ids=["resized", "cropped", "as-they-are"],
)
def test_answers_are_those_of_pipeline(photos, checkpoint, tmp_path, images, batch_size):
    model = save_model(tmp_path / "model", tiny_resnet(seed=3), images)
    files = sorted(photos.iterdir())
    answers = Predictor(model, batch_size=batch_size).predict(files)
    assert_same(answers, reference(model, files))
    assert len({tuple(item["score"] for item in answer) for answer in answers}) > len(files) / 2


# Before transformers 5.24 its pipeline took the softmax of a regression too.
REGRESSION = pytest.mark.skipif(Version(transformers.__version__) < Version("5.24"), reason="pipeline's own fault")


@pytest.mark.parametrize(
    ("labels", "problem", "total"),
    [
        (5, None, 1),
        (5, "multi_label_classification", None),
        pytest.param(5, "regression", None, marks=REGRESSION),
        (1, None, None),
    ],
)
def test_scores_follow_the_problem_of_the_model(photos, tmp_path, labels, problem, total):
    model = tiny_resnet(labels)
    model.config.problem_type = problem
    model = save_model(tmp_path / "model", model, processor(16))
    files = sorted(photos.glob("exif-*"))
    answers = Predictor(model).predict(files)
    assert_same(answers, reference(model, files))
    sums = [sum(item["score"] for item in answer) for answer in answers]
    assert total is None or sums == pytest.approx([1] * len(files), abs=1e-5)


def test_images_in_memory_and_a_single_one(photos, checkpoint):
    predictor = Predictor(checkpoint)
    files = sorted(photos.iterdir())
    lazy = [Image.open(file) for file in files]
    assert_same(predictor.predict(lazy + lazy[::-1]), reference(checkpoint, files + files[::-1]))
    assert predictor.predict(lazy[0]) == predictor.predict([lazy[0]]) == predictor.predict(str(files[0]))
    assert predictor.predict([]) == []


def test_equal_scores_keep_the_order_of_the_labels(photos, tmp_path):
    model = tiny_resnet(40)
    with torch.no_grad():
        model.classifier[1].weight.zero_()
        model.classifier[1].bias.copy_(torch.arange(40) % 2)
    model = save_model(tmp_path / "model", model, processor(16))
    [found], [expected] = (Predictor(model).predict(photos / "mode-L.png"), reference(model, [photos / "mode-L.png"]))
    assert [item["label"] for item in found] == [item["label"] for item in expected]
    assert [item["label"] for item in found] == [f"name {number}" for number in (1, 3, 5, 7, 9)]


def test_one_image_object_is_never_read_by_two_threads(photos, checkpoint, monkeypatch):
    reading, clashes = [], []

    def slow(image):
        reading.append(image)
        time.sleep(0.002)
        clashes.append(len(reading) > 1)
        reading.remove(image)
        return image

    monkeypatch.setattr(image_reading, "decode", slow)
    monkeypatch.setattr(inference, "reading_threads", lambda: 4)
    image = Image.open(photos / "mode-RGB.png")
    Predictor(checkpoint, batch_size=2).predict([image] * 32)
    assert clashes == [False] * 32


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (99, 5)])
def test_top_k(photos, checkpoint, top_k, count):
    files = sorted(photos.glob("mode-*"))
    answers = Predictor(checkpoint).predict(files, top_k=top_k)
    assert {len(answer) for answer in answers} == {count}
    assert_same(answers, reference(checkpoint, files, top_k))


def test_python_use_names_the_image_that_cannot_be_read(photos, checkpoint, tmp_path):
    with pytest.raises(InputError, match=r"gone\.png: No such file or directory"):
        Predictor(checkpoint).predict([photos / "mode-L.png", tmp_path / "gone.png"])


def read_back(file):
    """What a file of answers holds, as {path: predictions}."""
    if file.suffix == ".jsonl":
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return {row["image"]: row["predictions"] for row in rows}
    table = pd.read_csv(file) if file.suffix == ".csv" else pd.read_parquet(file)
    pairs = [(f"label_{number}", f"score_{number}") for number in range(1, (len(table.columns) - 1) // 2 + 1)]
    assert list(table.columns) == ["path", *(name for pair in pairs for name in pair)]
    return {row.path: [{"label": row[a], "score": row[b]} for a, b in pairs] for _, row in table.iterrows()}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_each_format_holds_the_answers(photos, checkpoint, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("hf_cifar.inference.answer_files.ROWS_OF_GROUP", 8)
    output = tmp_path / "new" / f"answers{suffix}"
    files = sorted(photos.iterdir())
    assert len(files) % 8
    result = run_prediction(request(checkpoint, [photos], output, top_k=3, batch_size=7))
    found = read_back(output)
    assert list(found) == [str(file) for file in files]
    assert_same(list(found.values()), reference(checkpoint, files, 3))
    assert [file.name for file in output.parent.iterdir()] == [output.name]
    summary = result.summary()
    assert result.status == 0
    assert summary.pop("seconds") * summary.pop("images_per_second") == pytest.approx(len(files))
    assert summary == {
        "stage": "predict",
        "output": str(output),
        "num_images": len(files),
        "num_skipped": 0,
        "skipped": [],
        "model": str(checkpoint),
    }


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_no_more_labels_than_the_model_has_and_any_file_name(photos, checkpoint, tmp_path, suffix):
    name = os.fsencode(tmp_path) + b'/caf\xe9, "au\nlait".png'
    with open(name, "wb") as file:
        file.write((photos / "mode-L.png").read_bytes())
    run_prediction(request(checkpoint, [os.fsdecode(name)], tmp_path / f"answers{suffix}", top_k=99))
    [(path, predictions)] = read_back(tmp_path / f"answers{suffix}").items()
    assert path == f'{tmp_path}/caf�, "au\nlait".png'
    assert_same([predictions], reference(checkpoint, [photos / "mode-L.png"]))


def test_answers_on_standard_output_are_json_lines(photos, checkpoint, capsys):
    result = run_prediction(request(checkpoint, [photos / "mode-L.png", photos / "mode-P.png"], "-", top_k=1))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["image"] for row in rows] == [str(photos / "mode-L.png"), str(photos / "mode-P.png")]
    assert_same([row["predictions"] for row in rows], reference(checkpoint, [row["image"] for row in rows], 1))
    assert result.output == "-"


def test_the_default_output_is_in_the_current_folder(photos, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_prediction(request(checkpoint, [photos / "mode-L.png"], None)).output == "predictions.csv"
    assert (tmp_path / "predictions.csv").is_file()


def test_on_a_terminal_the_answers_are_shown_and_no_file_is_written(photos, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = run_prediction(request(checkpoint, [photos / "mode-L.png", photos / "mode-P.png"], None, top_k=2))
    lines = capsys.readouterr().out.splitlines()
    [best, _], _ = reference(checkpoint, [photos / "mode-L.png", photos / "mode-P.png"], 2)
    assert len(lines) == 2 and lines[0].startswith(f"{photos}/mode-L.png  {best['label']} {100 * best['score']:.1f}%")
    assert result.output is None and result.summary()["output"] is None and not list(tmp_path.iterdir())
    assert run_prediction(request(checkpoint, [photos / "mode-L.png"], "asked.csv")).output == "asked.csv"
    assert capsys.readouterr().out == ""


def test_a_page_is_written_where_asked(photos, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images = [photos / "mode-L.png", photos / "mode-P.png"]
    result = run_prediction(request(checkpoint, images, None, html="sheet.html"))
    assert result.summary()["html"] == "sheet.html" and [path.name for path in tmp_path.iterdir()] == ["sheet.html"]
    assert (tmp_path / "sheet.html").read_text().count("<li>") == 2
    for wrong, message in (("sheet.html", "exists: choose another"), ("sheet.png", "ends in .html")):
        with pytest.raises(InputError, match=message):
            run_prediction(request(checkpoint, images, None, html=wrong))
    capsys.readouterr()
    run_prediction(request(checkpoint, images, "both.csv", html="sheet.html", overwrite=True))
    assert capsys.readouterr().err.splitlines()[-2:] == ["answers 2 images in both.csv", "page    open sheet.html"]
    assert (tmp_path / "both.csv").is_file()


@pytest.fixture
def broken(photos, tmp_path, monkeypatch):
    """A folder with two good images among one for each fault of `FAULTS`; gone.png is a link that leads nowhere."""
    folder = tmp_path / "broken"
    folder.mkdir()
    good = (photos / "exif-1.jpg").read_bytes()
    for name in ("a.jpg", "z.jpg", "locked.png"):
        (folder / name).write_bytes(good)
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "cut.jpg").write_bytes(good[:-100])
    Image.new("1", (150, 150)).save(folder / "bomb.png")
    (folder / "gone.png").symlink_to(folder / "nowhere")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    opened = Image.open

    def refuse(file, *arguments, **options):
        if str(file).endswith("locked.png"):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    monkeypatch.setattr(Image, "open", refuse)
    return folder


def test_what_cannot_be_read_is_named_and_skipped(broken, photos, checkpoint, tmp_path, capsys):
    given = [tmp_path / "missing.png", broken]
    result = run_prediction(request(checkpoint, given, tmp_path / "answers.jsonl", batch_size=2))
    files = [broken / "a.jpg", broken / "z.jpg"]
    found = read_back(tmp_path / "answers.jsonl")
    assert list(found) == [str(file) for file in files]
    assert_same(list(found.values()), reference(checkpoint, files))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("skipped")]
    expected = [(str(given[0]), "No such file or directory")]
    expected += [(str(broken / name), FAULTS[name]) for name in sorted(FAULTS)]
    assert len(lines) == len(expected)
    for line, item, (path, reason) in zip(lines, result.skipped, expected, strict=True):
        assert line.startswith(f"skipped {path}: ") and reason in line
        assert item["image"] == path and reason in item["reason"]
    assert (result.status, result.num_images, result.num_skipped) == (1, 2, len(expected))


def test_a_run_without_a_readable_image_leaves_a_table_without_rows(broken, checkpoint, tmp_path):
    for suffix in (".csv", ".jsonl", ".parquet"):
        output = tmp_path / f"answers{suffix}"
        result = run_prediction(request(checkpoint, [broken / "text.png"], output))
        assert (result.status, result.num_images, result.num_skipped) == (1, 0, 1)
        assert read_back(output) == {}


def test_the_summary_names_the_first_of_many(checkpoint, tmp_path):
    for number in range(30):
        (tmp_path / f"{number:02}.png").write_text("no image")
    with open(os.fsencode(tmp_path) + b"/00\xe9.png", "wb"):
        pass
    result = run_prediction(request(checkpoint, [tmp_path], tmp_path / "answers.csv"))
    assert result.num_skipped == 31
    expected = ["00.png", "00�.png", *(f"{number:02}.png" for number in range(1, 9))]
    assert [os.path.basename(item["image"]) for item in result.skipped] == expected
    json.dumps(result.summary(), ensure_ascii=False).encode("utf-8")


def test_an_image_that_the_processor_refuses_is_skipped(photos, checkpoint, monkeypatch):
    predictor = Predictor(checkpoint)
    process = predictor.processor

    def refuse(images, **options):
        if images[0].size == (1, 1):
            raise ValueError("too small")
        return process(images=images, **options)

    predictor.network.processor = refuse
    answers = list(predictor.answers(sorted(photos.glob("size-*"))))
    assert [answer.fault for answer in answers if answer.fault] == ["the image processor fails on it (too small)"]
    assert len(answers) == 7


def test_an_answer_that_is_no_number_is_a_fault(photos, tmp_path):
    """Such as an overflow; weights that are no numbers are refused when they are loaded."""
    predictor = Predictor(save_model(tmp_path / "model", tiny_resnet(), processor(16)))
    with torch.no_grad():
        predictor.model.classifier[1].bias[2] = float("nan")
    [answer] = predictor.answers([photos / "mode-L.png"])
    assert answer.fault == "the model's logits are not finite"


def unreadable_model(folder):
    """A folder that is found and cannot be loaded."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("no JSON")
    return folder


@pytest.mark.parametrize("output", ["answers.xlsx", "answers", "there.csv", ".", "folder.csv", "there.csv/answers.csv"])
def test_an_output_that_cannot_be_is_refused_before_a_model_is_loaded(photos, tmp_path, output):
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="--output"):
        run_prediction(
            request(unreadable_model(tmp_path), [photos], tmp_path / output, overwrite=output != "there.csv")
        )
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_an_existing_output_is_replaced_when_that_is_asked_for(photos, checkpoint, tmp_path):
    output = tmp_path / "there.csv"
    output.write_text("mine")
    run_prediction(request(checkpoint, [photos / "mode-L.png"], output, overwrite=True))
    assert list(read_back(output)) == [str(photos / "mode-L.png")]


def test_nothing_to_predict_is_found_before_a_model_is_loaded(tmp_path):
    with pytest.raises(InputError, match="no image to predict"):
        run_prediction(request(unreadable_model(tmp_path / "model"), [tmp_path], tmp_path / "answers.csv"))


def test_one_process_only(photos, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        run_prediction(request(checkpoint, [photos], tmp_path / "answers.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_an_interruption_leaves_nothing_half_written(photos, checkpoint, tmp_path, monkeypatch, suffix):
    output = tmp_path / f"answers{suffix}"
    output.write_text("before")
    logits, calls = Predictor._logits, []

    def interrupt(self, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return logits(self, batch)

    monkeypatch.setattr(Predictor, "_logits", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_prediction(request(checkpoint, [photos], output, batch_size=4, overwrite=True))
    assert [file.name for file in tmp_path.iterdir()] == [output.name]
    assert output.read_text() == "before"


@pytest.mark.parametrize("pixels", [1, inference.PIXELS_AT_ONCE])
def test_few_images_are_in_memory_however_many_there_are(photos, checkpoint, monkeypatch, pixels):
    monkeypatch.setattr(inference, "PIXELS_AT_ONCE", pixels)
    alive, most, lock = set(), [0], threading.Lock()

    def spy(image):
        picture = read_image(image)
        with lock:
            alive.add(id(picture))
            most[0] = max(most[0], len(alive))
        weakref.finalize(picture, alive.discard, id(picture))
        return picture

    monkeypatch.setattr(inference, "read_image", spy)
    taken = 0

    def files():
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield photos / "size-16-16.png"

    furthest = 0
    for done, _ in enumerate(Predictor(checkpoint, batch_size=8).answers(files()), 1):
        furthest = max(furthest, taken - done)
    threads = reading_threads()
    # While one is read, the one before it may not have been given up yet.
    assert most[0] <= 2 * threads * (1 if pixels == 1 else inference.AT_A_TIME)
    assert furthest <= 8 * (2 * threads + 4)
    assert done == taken == 1000


@pytest.fixture
def server(photos, monkeypatch):
    """The address of a server of the photos on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=photos))
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_images_at_web_addresses(photos, checkpoint, tmp_path, server):
    given = [f"{server}/exif-6.jpg", f"{server}/gone.jpg", f"{server}/exif-3.jpg"]
    result = run_prediction(request(checkpoint, given, tmp_path / "answers.jsonl"))
    found = read_back(tmp_path / "answers.jsonl")
    assert list(found) == [given[0], given[2]]
    assert_same(list(found.values()), reference(checkpoint, [photos / "exif-6.jpg", photos / "exif-3.jpg"]))
    assert result.skipped == [{"image": given[1], "reason": "HTTP Error 404: File not found"}]


@pytest.mark.parametrize(
    ("limit", "value", "fault"),
    [("DOWNLOAD_BYTES", 99, "more than 99 bytes"), ("DOWNLOAD_SECONDS", 1e-6, "tim|not downloaded")],
)
def test_a_download_that_is_too_large_or_too_slow_is_given_up(checkpoint, server, monkeypatch, limit, value, fault):
    monkeypatch.setattr(image_reading, limit, value)
    with pytest.raises(InputError, match=fault):
        Predictor(checkpoint).predict(f"{server}/exif-6.jpg")
