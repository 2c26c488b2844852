"""The training settings in a card."""

import pytest
from support.made_run import make_run

from hf_cifar.hub.card.card import render_card


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scheduler": "step", "step_size": 3, "gamma": 0.5}, "| `step_size` | – | `3` |"),
        ({"warmup_steps": 200}, "| `warmup_steps` | – | `200` |"),
        ({"bn": "train"}, "| `bn` | – | `train` |"),
        ({"unfreeze": "stages.3"}, "| `unfreeze` | – | `stages.3` |"),
        ({"layer_decay": 0.7}, "| `layer_decay` | – | `0.7` |"),
        ({"weight_decay": 0.01}, "| `weight_decay` | `0` | `0.01` |"),
        ({"mixup": 0.2}, "horizontal flips, MixUp with alpha 0.2."),
        ({"label_smoothing_factor": 0.1}, "| `label_smoothing_factor` | – | `0.1` |"),
        ({"num_train_epochs": 9}, "| Kept epoch | – | 2 of 3 |"),
        ({"optim": "adamw_torch"}, "| `momentum` | `0.9` | – |"),
        ({"seed": 7}, "| Seed | 7 | 7 |"),
        ({"learning_rates": [0.1, 0.3]}, "| `learning_rate` | `0.3`, best on validation of 0.1, 0.3 | `0.03` |"),
        ({"lr_scheduler_kwargs": {"num_cycles": 1}}, '| `lr_scheduler_kwargs` | – | `{"num_cycles": 1}` |'),
    ],
)
def test_settings_in_words(tmp_path, given, words):
    assert words in render_card(make_run(tmp_path / "run", **given) / "finetune")


def test_defaults_places_and_credentials_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "login-of-mine")
    given = {"feature_cache": "/secret/place", "logging_dir": "/secret/logs", "run_name": "login-of-mine"}
    card = render_card(make_run(tmp_path / "run", **given) / "finetune")
    for word in ("feature_cache", "secret", "login-of-mine", "`layer_decay`", "`ema`"):
        assert word not in card, word
