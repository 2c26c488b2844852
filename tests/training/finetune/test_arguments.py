"""The arguments of fine-tuning, and batches that do not fit into memory."""

import pytest

from hf_cifar.errors import InputError
from hf_cifar.run.stage_folder import StageFolder
from hf_cifar.training.finetune.arguments import divide_batch, finetune_arguments

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize(("size", "accumulated", "part", "parts"), [(64, 1, 32, 2), (9, 2, 3, 6), (7, 1, 1, 7)])
def test_the_parts_of_a_batch_add_up_to_it(size, accumulated, part, parts, configure, tmp_path):
    values = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulated}
    arguments = finetune_arguments(configure(stage="finetune", **values).config, StageFolder(tmp_path))
    divide_batch(arguments)
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (part, parts)
    assert part * parts == size * accumulated


def test_a_single_image_cannot_be_divided(configure, tmp_path):
    config = configure(stage="finetune", per_device_train_batch_size=1).config
    with pytest.raises(InputError, match="a single image does not fit into memory"):
        divide_batch(finetune_arguments(config, StageFolder(tmp_path)))


@pytest.mark.parametrize(("metric", "greater"), [("accuracy", True), ("f1_macro", True), ("nll", False)])
def test_the_best_epoch_is_by_the_selection_metric(metric, greater, configure, tmp_path):
    arguments = finetune_arguments(configure(stage="finetune", selection_metric=metric).config, StageFolder(tmp_path))
    assert (arguments.metric_for_best_model, arguments.greater_is_better) == (metric, greater)
