"""The example images of a stage."""

from support.made_run import make_run

from hf_cifar.hub.examples import read_examples
from hf_cifar.run.stage_folder import StageFolder


def test_examples_whose_image_is_missing_are_left_out(tmp_path):
    folder = StageFolder(make_run(tmp_path / "run") / "probe")
    (folder.examples / "1-image.png").unlink()
    first, third = read_examples(folder)
    assert (first.file, first.label, third.label) == ("0-image.png", "airplane", "bird")
    assert [(item.label, item.score) for item in first.output] == [("airplane", 0.9012345), ("automobile", 0.0543)]
    assert first.is_correct


def test_a_stage_without_examples(tmp_path):
    assert read_examples(StageFolder(tmp_path)) == []
