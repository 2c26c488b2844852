"""Checkpoints on disk: complete, damaged, newest, best."""

import errno
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import TrainerControl, TrainerState

from hf_cifar.errors import TrainingError
from hf_cifar.training import checkpoints
from hf_cifar.training.checkpoints import COMPLETE, CheckpointCallback, checkpoint_of, last_checkpoint, read_state


def save(callback, step, best=None, model=None, average=False, wait=True):
    folder = callback.folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    (folder / "optimizer.pt").write_bytes(b"momentum")
    if average:
        (folder / "ema.safetensors").write_bytes(b"average")
    state = TrainerState(global_step=step, best_global_step=best)
    state.save_to_json(str(folder / "trainer_state.json"))
    callback.on_save(None, state, TrainerControl(), model=model or torch.nn.Linear(1, 1))
    if wait:
        callback.wait()
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_and_the_best_are_kept(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None, keep=2)
    for step in (1, 2, 3, 4):
        save(callback, step, best=1)
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-3", "checkpoint-4"]
    assert last_checkpoint(tmp_path).name == "checkpoint-4"


@pytest.mark.parametrize("average", [False, True])
def test_the_best_is_kept_as_weights_once_it_is_not_among_the_newest(average, tmp_path):
    callback = CheckpointCallback(tmp_path, [], None, keep=2)
    best, *_ = [save(callback, step, best=1, average=average) for step in (1, 2)]
    assert (best / "optimizer.pt").is_file(), "training may have to continue from it"
    save(callback, 3, best=1)
    weights = ["ema.safetensors"] if average else ["config.json", "model.safetensors"]
    assert names(best) == sorted([COMPLETE, *weights])
    assert checkpoint_of(tmp_path, 1) == best
    (best / weights[-1]).write_bytes(b"other")
    with pytest.raises(TrainingError, match="checkpoint-1, the best epoch's checkpoint, is gone or damaged"):
        checkpoint_of(tmp_path, 1)


def test_weights_alone_are_not_resumed_from(tmp_path, capfd):
    callback = CheckpointCallback(tmp_path, [], None, keep=1)
    save(callback, 1, best=1)
    (save(callback, 2, best=1) / "optimizer.pt").write_bytes(b"cut")
    assert last_checkpoint(tmp_path) is None
    assert "checkpoint-1" not in capfd.readouterr().err, "it is not damaged"


def test_the_best_epoch_that_an_older_checkpoint_knows_is_still_there_when_the_newest_is_damaged(tmp_path):
    callback = CheckpointCallback(tmp_path, [], None, keep=2)
    for step, best in ((1, 1), (2, 1), (3, 3)):
        newest = save(callback, step, best=best)
    (newest / "optimizer.pt").unlink()
    known = read_state(last_checkpoint(tmp_path)).best_global_step
    assert known == 1 and checkpoint_of(tmp_path, known)


@pytest.mark.parametrize("moment", range(6))
def test_a_kill_while_the_best_is_reduced_leaves_it_whole_or_as_weights(moment, tmp_path, monkeypatch):
    """Stop before each change on disk in turn, and then go on as a resumed run does."""
    callback = CheckpointCallback(tmp_path, [], None, keep=1)
    best = save(callback, 1, best=1)
    everything = names(best)
    changes = []

    def stopping(change):
        def changed(path, *args, **kwargs):
            changes.append(path)
            if len(changes) > moment and best in Path(path).parents:
                raise KeyboardInterrupt
            return change(path, *args, **kwargs)

        return changed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stopping(Path.unlink))
        patch.setattr(checkpoints, "write_json", stopping(checkpoints.write_json))
        with suppress(KeyboardInterrupt):
            save(callback, 2, best=1)
    assert changes
    assert checkpoint_of(tmp_path, 1) == best
    whole = last_checkpoint(tmp_path)
    assert whole.name == "checkpoint-2"
    shutil.copytree(best, tmp_path / "copy" / "checkpoint-1")
    resumable = last_checkpoint(tmp_path / "copy")
    assert resumable is None or set(everything) <= set(names(best))
    shutil.rmtree(tmp_path / "copy")
    save(CheckpointCallback(tmp_path, [], whole, keep=1), 3, best=1)
    assert names(best) == [COMPLETE, "config.json", "model.safetensors"]


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


def test_training_goes_on_while_a_checkpoint_is_completed_and_waits_before_the_next(tmp_path, monkeypatch):
    mark, may_mark = checkpoints._mark, threading.Event()
    monkeypatch.setattr(checkpoints, "_mark", lambda folder: (may_mark.wait(10), mark(folder)))
    callback = CheckpointCallback(tmp_path, [], None)
    folder = save(callback, 1, wait=False)
    assert last_checkpoint(tmp_path) is None, "not complete before all of it is on disk"
    state, due = TrainerState(global_step=2, epoch=0.5, max_steps=9), TrainerControl(should_save=True)
    callback.on_step_end(None, state, TrainerControl())
    assert not (folder / COMPLETE).exists()
    threading.Timer(0.2, may_mark.set).start()
    callback.on_step_end(None, state, due)
    assert last_checkpoint(tmp_path) == folder
    before = callback.waited
    save(callback, 2)
    assert callback.waited - before > 0.1, "the wait for one counts with the next"


@pytest.mark.parametrize("moment", ["next", "evaluated", "end"])
def test_what_goes_wrong_behind_training_is_raised_at_the_next_checkpoint_or_the_end(moment, tmp_path, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "_mark", full)
    callback = CheckpointCallback(tmp_path, [], None)
    save(callback, 1, wait=False)
    events = {"next": callback.on_step_end, "evaluated": callback.on_evaluate, "end": callback.on_train_end}
    with pytest.raises(OSError, match="No space left"):
        events[moment](None, TrainerState(epoch=0.5, max_steps=9), TrainerControl(should_save=True))


def test_an_error_of_training_is_not_hidden_and_leaves_the_checkpoint_complete(tmp_path, monkeypatch):
    mark, may_mark = checkpoints._mark, threading.Event()
    monkeypatch.setattr(checkpoints, "_mark", lambda folder: (may_mark.wait(10), mark(folder)))
    callback = CheckpointCallback(tmp_path, [], None)
    folder = save(callback, 1, wait=False)
    threading.Timer(0.2, may_mark.set).start()
    callback.close()
    assert last_checkpoint(tmp_path) == folder
