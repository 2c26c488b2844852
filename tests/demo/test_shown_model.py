"""A model of the demo: one pass at a time, and what is known of it."""

import threading

import pytest
from PIL import Image

from hf_cifar.config.locate import locate_checkpoint

pytest.importorskip("pytorch_grad_cam")
from hf_cifar.demo.shown_model import Facts, ShownModel, classes, title


@pytest.fixture(scope="module")
def shown(trained):
    return ShownModel(locate_checkpoint(str(trained / "finetune")), use_cpu=True)


def test_nothing_else_passes_through_the_network_while_its_layers_are_listened_to(shown, monkeypatch):
    listening, leave, answered = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(shown._heat_map, "draw", lambda *_: listening.set() or leave.wait(20))
    image = Image.new("RGB", (20, 20))
    work = [
        threading.Thread(target=lambda: shown.heat_map(image, shown.labels[0])),
        threading.Thread(target=lambda: shown.answer(image, 1) and answered.set()),
    ]
    work[0].start()
    assert listening.wait(20)
    work[1].start()
    assert not answered.wait(0.5)
    leave.set()
    for thread in work:
        thread.join(20)
    assert answered.is_set()


def test_what_is_known_of_it(shown, trained):
    assert shown.name == "run/finetune" and shown.facts.report == (trained / "finetune" / "report.html").resolve()
    assert "test images right (95% CI" in shown.quality and len(shown.facts.examples) > 0
    assert title([shown]) == f"{shown.network} on colours" and classes([shown]).startswith("3 classes: ")
    assert shown.scores == "scores are not calibrated"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown._predictor.model.config, "head_divided_by", 1.25, raising=False)
        assert shown.scores == "scores are calibrated (temperature 1.25)"
    exported = Facts.of(locate_checkpoint(str(trained / "finetune" / "export")))
    assert exported.metrics is not None and exported.report is None
