"""The arguments of a stage, and what cannot be set."""

import pytest
from transformers import TrainingArguments

from hf_cifar.errors import InputError
from hf_cifar.training.trainer import RESERVED, training_arguments


def test_what_is_given_wins_over_the_stage_and_that_over_the_package(tmp_path):
    given = {"learning_rate": 0.5, "train_batch_size": 12}
    args = training_arguments(given, tmp_path, 7, learning_rate=0.1, weight_decay=0.2)
    assert (args.learning_rate, args.weight_decay, args.per_device_train_batch_size) == (0.5, 0.2, 12)
    assert (args.seed, args.data_seed, args.report_to) == (7, 7, [])
    assert training_arguments({"data_seed": 3}, tmp_path, 7).data_seed == 3


def test_the_batch_per_device_wins_over_the_whole_one(tmp_path):
    given = {"train_batch_size": 12, "per_device_train_batch_size": 5}
    assert training_arguments(given, tmp_path, 0).per_device_train_batch_size == 5


# Some came with later versions of transformers than the oldest that is supported.
@pytest.mark.parametrize("name", [name for name in RESERVED if name in TrainingArguments.__dataclass_fields__])
def test_reserved_arguments_are_refused_with_the_reason(name, tmp_path):
    with pytest.raises(InputError) as error:
        training_arguments({name: True}, tmp_path, 0)
    assert f"--{name.replace('_', '-')} cannot be set: {RESERVED[name]}" in str(error.value)


def test_an_unknown_argument_names_the_nearest_one(tmp_path):
    with pytest.raises(InputError, match="learning_rate"):
        training_arguments({"lerning_rate": 1}, tmp_path, 0)
    with pytest.raises(InputError, match="training arguments: "):
        training_arguments({"lr_scheduler_type": "none such"}, tmp_path, 0)
