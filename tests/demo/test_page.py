"""The demo page as its visitors use it: the answers of `pipeline`, wrong files, many at once, and nobody's files."""

import csv
import json
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from support.browser import run_script, skip_without_browser
from transformers import pipeline

pytest.importorskip("gradio_client")
from gradio_client import handle_file
from gradio_client.exceptions import AppError

SECONDS = 60


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    folder, paths = tmp_path_factory.mktemp("pictures"), []
    for index in range(10):
        paths.append(folder / f"picture {index}.png")
        pixels = np.random.default_rng(index).integers(0, 256, (20 + index, 30, 3), dtype=np.uint8)
        pixels[..., index % 3] //= 4
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def expected(served, pictures) -> list[dict[str, float]]:
    """What `pipeline` answers."""
    classify = pipeline("image-classification", model=str(served.stage / "model"), device="cpu")
    return [{item["label"]: item["score"] for item in classify(str(path), top_k=3)} for path in pictures]


def scores(answer: dict) -> dict[str, float]:
    return {item["label"]: item["confidence"] for item in answer["confidences"]}


def test_the_page_answers_as_pipeline_does(client, pictures, expected):
    for path, truth in zip(pictures[:3], expected, strict=False):
        answer, heat_map, *other = client.predict(handle_file(path), True, api_name="/predict")
        assert scores(answer) == pytest.approx(truth, abs=1e-6)
        assert answer["label"] == max(truth, key=truth.get)
        with Image.open(heat_map["value"] if isinstance(heat_map, dict) else heat_map) as shown:
            assert min(shown.size) >= 224
        assert len(other) == 2, "the other model, side by side"


def test_fifty_at_once_and_none_is_lost(client, pictures, expected):
    numbers = [index % len(pictures) for index in range(50)]
    with ThreadPoolExecutor(50) as pool:
        asked = [
            pool.submit(client.predict, handle_file(pictures[n]), index % 5 == 0, api_name="/predict")
            for index, n in enumerate(numbers)
        ]
        answers = [job.result(SECONDS) for job in asked]
    for number, (answer, *_) in zip(numbers, answers, strict=True):
        assert scores(answer) == pytest.approx(expected[number], abs=1e-6)


def header_only(width: int, height: int) -> bytes:
    """A PNG that says it is large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = b"IDAT" + zlib.compress(b"")
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture at all", "notes.png: not an image in a format that Pillow reads"),
        (None, "truncated"),
        (header_only(40_000, 40_000), "1600000000 pixels.* exceeds limit of 178956970 pixels"),
    ],
)
def test_a_wrong_file_gets_a_message_and_the_page_lives_on(client, pictures, tmp_path, content, message):
    wrong = tmp_path / "notes.png"
    wrong.write_bytes(pictures[0].read_bytes()[:300] if content is None else content)
    with pytest.raises(AppError, match=message):
        client.predict(handle_file(wrong), True, api_name="/predict")
    assert client.predict(handle_file(pictures[0]), False, api_name="/predict")[0]["label"]


def test_a_file_that_is_too_large_is_not_taken(served):
    files = {"files": ("big.png", b"0" * 20_000_001)}
    answer = httpx.post(f"{served.url}/gradio_api/upload", files=files)
    assert answer.status_code == 413
    small = {"files": ("small.png", b"0" * 1000)}
    assert httpx.post(f"{served.url}/gradio_api/upload", files=small).status_code == 200


def test_no_file_of_this_machine_is_served(served):
    stage = served.stage
    examples = next((stage / "examples").glob("*.png"))
    for path in ("/etc/passwd", stage / "metrics.json", stage / "model" / "config.json", examples, "setup.cfg"):
        for spelled in (f"{path}", f"{path}".replace("/", "%2F"), f"../../..{path}"):
            answer = httpx.get(f"{served.url}/gradio_api/file={spelled}")
            assert answer.status_code in (403, 404), spelled


@pytest.mark.parametrize("path", ["/etc/passwd", "an image", "http://127.0.0.1:1/secret.png", "file:///etc/passwd"])
@pytest.mark.parametrize("endpoint", ["predict", "classify"])
def test_a_request_cannot_name_another_file(served, pictures, path, endpoint):
    path = str(pictures[0]) if path == "an image" else path
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    data = [file, False] if endpoint == "predict" else [[file]]
    begun = httpx.post(f"{served.url}/gradio_api/call/{endpoint}", json={"data": data})
    if begun.status_code == 200:
        answer = httpx.get(f"{served.url}/gradio_api/call/{endpoint}/{begun.json()['event_id']}", timeout=SECONDS).text
        assert "this file was not uploaded to the page" in answer and "event: complete" not in answer


def test_many_files_become_a_table_for_each_model(client, pictures, expected, tmp_path):
    wrong = tmp_path / "notes.png"
    wrong.write_text("no picture")
    tables, note = client.predict([handle_file(path) for path in (*pictures, wrong)], api_name="/classify")
    assert [Path(table).name for table in tables] == ["predictions-run-finetune.csv", "predictions-run-probe.csv"]
    rows = list(csv.DictReader(Path(tables[0]).read_text().splitlines()))
    for row, path, truth in zip(rows, pictures, expected, strict=True):
        assert row["path"] == path.name and row["label_1"] == max(truth, key=truth.get)
        assert float(row["score_1"]) == pytest.approx(max(truth.values()), abs=1e-6)
    assert "10 of 11 images classified" in note and "notes.png: not an image" in note


def test_the_report_is_one_click_away_and_nothing_is_loaded_from_elsewhere(served):
    page = httpx.get(served.url)
    assert page.status_code == 200 and "connect-src 'self'" in page.headers["content-security-policy"]
    report = httpx.get(f"{served.url}/report/0")
    assert report.content == (served.stage / "report.html").read_bytes()
    assert httpx.get(f"{served.url}/report/2").status_code == 404
    assert httpx.get(f"{served.url}/report/-1").status_code == 404


def test_another_name_of_this_machine_is_not_answered_to(served):
    assert httpx.get(served.url, headers={"Host": "elsewhere.example"}).status_code == 400


def test_the_configuration_says_no_analytics_and_no_path(served):
    text = httpx.get(f"{served.url}/config").text
    assert json.loads(text)["analytics_enabled"] is False
    assert str(served.stage) not in text


@pytest.mark.parametrize("width", [360, pytest.param(1280, marks=pytest.mark.slow)])
def test_in_a_browser(served, pictures, expected, tmp_path, width):
    skip_without_browser()
    wrong = tmp_path / "notes.png"
    wrong.write_text("no picture")
    seen = run_script("demo.mjs", served.url, pictures[0], wrong, width)
    best = max(expected[0], key=expected[0].get)
    assert best in seen["answer"] and best in seen["again"]
    assert f"{round(100 * expected[0][best])}%" in seen["answer"]
    assert "not an image" in seen["message"]
    assert seen["elsewhere"] == [] and seen["faults"] == [] and seen["overflow"] <= 0
    assert "run/finetune" in seen["text"] and "test images right" in seen["text"]
    assert seen["title"] == "2 image classifiers side by side"
