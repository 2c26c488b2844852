"""Long work in miniature: memory and open files stay flat."""

import os
import shutil

import psutil
import pytest

from hf_cifar.inference.predictor import Predictor
from hf_cifar.stages.train import run_training
from hf_cifar.training.trainer import StageTrainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("no_pictures")]
GROWTH = 40 * 2**20  # bytes; a leak of 4 kB a step would be as large


def test_ten_thousand_steps_take_no_more_memory_than_two_thousand(configure, monkeypatch):
    here, seen, step = psutil.Process(), {}, StageTrainer.training_step

    def watched(self, *arguments, **options):
        if self.state.global_step % 1_000 == 0:
            seen[self.state.global_step] = here.memory_info().rss, here.num_fds()
        return step(self, *arguments, **options)

    monkeypatch.setattr(StageTrainer, "training_step", watched)
    run_training(configure(stage="finetune", max_steps=10_000, train_batch_size=8))
    print({number: (memory >> 20, files) for number, (memory, files) in seen.items()})
    assert max(seen) == 9_000
    assert seen[9_000][0] - seen[2_000][0] < GROWTH
    assert seen[9_000][1] <= seen[2_000][1]


def test_predictions_for_20_000_files_are_streamed(configure, image_folder, tmp_path):
    result = run_training(configure())
    photos = sorted((image_folder / "test").rglob("*.png"))
    names = [tmp_path / "many" / f"{number:05}.png" for number in range(20_000)]
    (tmp_path / "many").mkdir()
    for number, name in enumerate(names):
        try:
            os.link(photos[number % len(photos)], name)
        except OSError:
            shutil.copy(photos[number % len(photos)], name)
    predictor = Predictor(result.model_dir)
    expected = [answer.predictions[0]["label"] for answer in predictor.answers(photos)]
    here, memory, count = psutil.Process(), {}, 0
    for count, answer in enumerate(predictor.answers(names), 1):
        assert answer.predictions[0]["label"] == expected[(count - 1) % len(photos)]
        if count % 1_000 == 0:
            memory[count] = here.memory_info().rss
    assert count == 20_000
    print({number: value >> 20 for number, value in memory.items()})
    assert memory[20_000] - memory[4_000] < GROWTH
