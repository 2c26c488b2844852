"""The training settings in a card."""

import pytest
from support.made_run import make_run

from hf_cifar.hub.card import render_card


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scheduler": "step", "step_size": 3, "gamma": 0.5}, "| times 0.5 every 3 epochs, warm-up over 5% of the"),
        ({"warmup_steps": 200}, "| cosine, 200 warm-up steps |"),
        ({"bn": "train"}, "| BatchNorm statistics | frozen | updated |"),
        ({"unfreeze": "gradual", "unfreeze_every": 2}, "one more group every 2 epochs: "),
        ({"unfreeze": "stages.3"}, "| `stages.3` and the head: "),
        ({"layer_decay": 0.7, "head_lr": 0.9}, "| 0.03, head 0.9, layer-wise decay 0.7 |"),
        ({"weight_decay": 0.01}, "| Weight decay | none | 0.01, not on biases and norms |"),
        ({"mixup": 0.2}, "horizontal flips, MixUp with alpha 0.2."),
        ({"label_smoothing_factor": 0.1}, "| Label smoothing | – | 0.1 |"),
        ({"bf16": True}, "| Precision | float32 | bf16 mixed precision |"),
        ({"num_train_epochs": 9}, "| Epochs | 20 | 3 of 9, epoch 2 kept (best validation accuracy) |"),
        ({"early_stopping": 2}, "early stopping after 2 |"),
        (
            {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4},
            "| 8, gradient accumulation over 4",
        ),
        ({"ema": 0.999}, "| Weight averaging | – | exponential, decay 0.999 |"),
        ({"optim": "adamw_torch"}, "| Optimizer | `sgd`, momentum 0.9 | `adamw_torch` |"),
        ({"seed": 7}, "| Seed | 7 | 7 |"),
    ],
)
def test_settings_in_words(tmp_path, given, words):
    assert words in render_card(make_run(tmp_path / "run", **given) / "finetune")
