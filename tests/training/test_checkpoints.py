"""Checkpoints on disk: complete, damaged, newest, best."""

import pytest
import torch
from transformers import TrainerControl, TrainerState

from hf_cifar.errors import TrainingError
from hf_cifar.training.checkpoints import COMPLETE, CheckpointCallback, checkpoint_of, last_checkpoint


def save(callback, step, best=None, model=None):
    folder = callback.folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    state = TrainerState(global_step=step, best_global_step=best)
    callback.on_save(None, state, TrainerControl(), model=model or torch.nn.Linear(1, 1))
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_and_the_best_are_kept(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None, keep=2)
    for step in (1, 2, 3, 4):
        save(callback, step, best=1)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-3", "checkpoint-4"]
    assert last_checkpoint(tmp_path).name == "checkpoint-4"


def test_a_damaged_checkpoint_is_not_the_last_one(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None)
    save(callback, 9)
    damaged = save(callback, 10)
    (damaged / "model.safetensors").write_bytes(b"weight")
    assert last_checkpoint(tmp_path).name == "checkpoint-9"
    assert checkpoint_of(tmp_path, 9).name == "checkpoint-9"
    with pytest.raises(TrainingError, match="checkpoint-10, the best epoch's checkpoint, is gone or damaged"):
        checkpoint_of(tmp_path, 10)


def test_weights_that_are_not_finite_leave_it_unmarked(tmp_path):
    model = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, float("nan"))
    with pytest.raises(TrainingError, match=r"at step 5 \(such as weight\)"):
        save(CheckpointCallback(tmp_path, [], None), 5, model=model)
    assert not (tmp_path / "checkpoint-5" / COMPLETE).exists() and last_checkpoint(tmp_path) is None
    save(CheckpointCallback(tmp_path, [], None, watched=False), 6, model=model)
    assert last_checkpoint(tmp_path).name == "checkpoint-6"


def test_a_resumed_run_removes_what_is_newer_or_damaged(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None, keep=9)
    resume = [save(callback, step) for step in (1, 2, 3)][1]
    (tmp_path / "checkpoint-1" / COMPLETE).unlink()
    loaded = []

    class Part:
        def load(self, folder):
            loaded.append(folder)

    CheckpointCallback(tmp_path, [Part()], resume).on_train_begin(None, TrainerState(), TrainerControl())
    assert names(tmp_path) == ["checkpoint-2"] and loaded == [resume]


def test_a_flipped_byte_of_the_same_size_is_damage_too(tmp_path, capfd):
    callback = CheckpointCallback(tmp_path, [], None)
    save(callback, 9)
    damaged = save(callback, 10)
    (damaged / "model.safetensors").write_bytes(b"weighty")
    assert last_checkpoint(tmp_path).name == "checkpoint-9"
    assert "checkpoint-10 is incomplete or damaged (model.safetensors has another content)" in capfd.readouterr().err
    with pytest.raises(TrainingError, match="another content"):
        checkpoint_of(tmp_path, 10)


def test_folders_of_other_names_are_no_checkpoints(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None)
    save(callback, 9)
    (tmp_path / "checkpoint-abc").mkdir()
    (tmp_path / "checkpoint-99999").mkdir()
    assert last_checkpoint(tmp_path).name == "checkpoint-9"
    save(callback, 10)
    assert (tmp_path / "checkpoint-abc").is_dir()
