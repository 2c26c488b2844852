"""Each behaviour of `transformers.Trainer` that is relied on, shown by a training run and not by a name that exists."""

from types import SimpleNamespace

import pytest
import torch
from support.models import tiny_resnet
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTConfig, ViTForImageClassification

from hf_cifar.data.loader import TrainBatches, as_is
from hf_cifar.training.trainer_compat import (
    ClipSeparately,
    SaveAfterEvaluation,
    best_epoch,
    checkpoint_weights,
    count_images,
    ends_epoch,
    is_out_of_memory,
    make_loader,
    set_epoch,
    use_one_gpu,
)


class Numbers(Dataset):
    """Ten examples that come as whole batches, as the package's datasets do."""

    def __len__(self):
        return 10

    def __getitems__(self, positions):
        labels = torch.tensor(positions) % 2
        labels[torch.tensor(positions) == 9] = -100
        return {"x": torch.tensor(positions, dtype=torch.float32)[:, None], "labels": labels}


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x, labels=None):
        logits = self.layer(x)
        return {"loss": logits.square().mean(), "logits": logits}


class Events(TrainerCallback):
    """Notes the calls of a Trainer, in order."""

    def __init__(self, folder=None):
        self.calls, self.folder, self.sampler = [], folder, None

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        self.calls.append("epoch begins")
        self.sampler = train_dataloader.batch_sampler
        set_epoch(train_dataloader, int(state.epoch or 0))

    def on_step_end(self, args, state, control, **kwargs):
        self.calls.append(f"step {state.global_step}" + " ends epoch" * ends_epoch(state))

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        self.calls.append("optimizer")

    def on_evaluate(self, args, state, control, **kwargs):
        self.calls.append("evaluate")

    def on_save(self, args, state, control, **kwargs):
        assert (self.folder / f"checkpoint-{state.global_step}" / "trainer_state.json").is_file()
        self.calls.append(f"save {state.global_step}")


class Loop(Trainer):
    """Takes the batches of `make_loader`, and notes what its hooks get."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.batches, self.counts, self.losses = [], [], []

    def get_train_dataloader(self):
        sampler = TrainBatches(10, self.args.train_batch_size, seed=3)
        return make_loader(self.train_dataset, self.args, sampler)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if model.training:
            self.batches.append(inputs["x"].flatten().int().tolist())
            self.counts.append(num_items_in_batch)
        outputs = model(**inputs)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def training_step(self, *args, **kwargs):
        self.losses.append(super().training_step(*args, **kwargs))
        return self.losses[-1]


@pytest.fixture
def loop(tmp_path):
    def build(model=None, callbacks=(), trainer_arguments=None, kind=Loop, **values):
        values = {"per_device_train_batch_size": 4, "num_train_epochs": 2, "report_to": "none", **values}
        values = {"use_cpu": True, "disable_tqdm": True, "remove_unused_columns": False, **values}
        values = {"label_names": ["labels"], "save_strategy": "no", **values}
        args = TrainingArguments(str(tmp_path / "out"), **values)
        return kind(
            model or Line(),
            args,
            train_dataset=Numbers(),
            eval_dataset=Numbers(),
            data_collator=as_is,
            callbacks=list(callbacks),
            **(trainer_arguments or {}),
        )

    return build


def order(epoch):
    permutation = torch.randperm(10, generator=torch.Generator().manual_seed(3 + epoch))
    return [part.tolist() for part in permutation.split(4)]


def test_one_gpu_is_what_the_batch_size_and_the_wrapping_follow(loop):
    args = TrainingArguments("unused", per_device_train_batch_size=4, use_cpu=True, report_to="none")
    args.device  # noqa: B018
    args._n_gpu = 2
    assert args.n_gpu == 2 and args.train_batch_size == 8, "Trainer reads the private attribute"
    use_one_gpu(args)
    assert args.n_gpu == 1 and args.train_batch_size == 4
    trainer = loop()
    trainer.args._n_gpu = 2
    assert isinstance(trainer._wrap_model(trainer.model), nn.DataParallel)
    use_one_gpu(trainer.args)
    assert trainer._wrap_model(trainer.model) is trainer.model


def test_the_images_of_an_accumulated_step_are_counted_for_a_loss_that_asks(loop):
    def never_called(*_args, **_kwargs):
        raise AssertionError

    counting = loop(trainer_arguments=count_images(never_called), gradient_accumulation_steps=2, num_train_epochs=1)
    counting.train()
    parts = [4, 4, 2]
    nine = next(index for index, batch in enumerate(order(0)) if 9 in batch)
    parts[nine] -= 1  # its label leaves it out
    steps = [parts[0] + parts[1]] * 2 + [parts[2]]
    assert [int(count) for count in counting.counts] == steps
    plain = loop(gradient_accumulation_steps=2, num_train_epochs=1)
    plain.model.load_state_dict(loop().model.state_dict())
    plain.train()
    assert plain.counts == [None] * 3, "without it nothing is counted"


def test_the_loss_of_an_accumulated_step_is_not_divided_by_its_parts(loop):
    model = Line()
    with torch.no_grad():
        expected = model(torch.tensor(order(0)[0], dtype=torch.float32)[:, None])["loss"]
    trainer = loop(model, trainer_arguments=count_images(lambda *_: None), gradient_accumulation_steps=2, max_steps=1)
    trainer.train()
    assert float(trainer.losses[0]) == pytest.approx(float(expected))


def test_the_loader_is_used_as_it_is_and_callbacks_get_it(loop):
    events = Events()
    trainer = loop(callbacks=[events])
    trainer.train()
    assert trainer.batches == order(0) + order(1), "the epoch set in on_epoch_begin holds for that epoch's first batch"
    assert isinstance(events.sampler, TrainBatches)


def test_a_resumed_epoch_skips_the_batches_it_has_seen(loop, tmp_path):
    loop(callbacks=[Events(tmp_path / "out")], save_strategy="steps", save_steps=2).train()
    trainer = loop(callbacks=[Events()])
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    assert trainer.batches == order(0)[2:] + order(1)


def test_the_last_step_of_an_epoch_is_known_when_it_ends(loop):
    events = Events()
    loop(callbacks=[events]).train()
    steps = [call for call in events.calls if call.startswith("step")]
    ends = [call for call in steps if call.endswith("ends epoch")]
    assert ends == ["step 3 ends epoch", "step 6 ends epoch"] and len(steps) == 6


def test_a_checkpoint_at_the_end_of_an_epoch_comes_after_its_evaluation(loop, tmp_path):
    def calls(*callbacks):
        events = Events(tmp_path / "out")
        values = {"save_strategy": "steps", "save_steps": 3, "eval_strategy": "epoch", "num_train_epochs": 1}
        loop(callbacks=[*callbacks, events], **values).train()
        return [call for call in events.calls if call in ("evaluate", "save 3")]

    assert calls(SaveAfterEvaluation()) == ["evaluate", "save 3"]
    assert calls() == ["save 3", "evaluate"], "Trainer's own order, which the callback is there to change"


def test_every_epoch_that_is_evaluated_can_be_saved(loop, tmp_path):
    events = Events(tmp_path / "out")
    loop(callbacks=[SaveAfterEvaluation(every_epoch=True), events], eval_strategy="epoch").train()
    kept = [call for call in events.calls if call == "evaluate" or call.startswith("save")]
    assert kept == ["evaluate", "save 3", "evaluate", "save 6"]


class TwoHeads(nn.Module):
    """The gradient of `bad` is infinite."""

    def __init__(self):
        super().__init__()
        self.good, self.bad = nn.Linear(1, 2), nn.Linear(1, 2)

    def forward(self, x, labels=None):
        logits = self.good(x)
        return {"loss": logits.square().mean() + (self.bad(x) * float("inf")).sum(), "logits": logits}


class Guarded(Loop):
    def training_step(self, *args, **kwargs):
        self.clipping.show()
        loss = super().training_step(*args, **kwargs)
        self.clipping.hide()
        return loss


@pytest.mark.parametrize("accumulated", [1, 2])
def test_one_diverged_head_destroys_the_others_only_without_the_guard(accumulated, loop):
    values = {"max_steps": 2, "max_grad_norm": 0.0, "gradient_accumulation_steps": accumulated}
    values |= {"optim": "sgd", "learning_rate": 0.01}
    bare = loop(TwoHeads(), **values)
    bare.train()
    assert bare.model.good.weight.isnan().all(), "if this fails, Trainer no longer clips at infinity"
    model = TwoHeads()
    before = model.good.weight.detach().clone()
    clipping = ClipSeparately([list(model.good.parameters()), list(model.bad.parameters())], 0.0)
    trainer = loop(model, kind=Guarded, callbacks=[clipping], **values)
    trainer.clipping = clipping
    trainer.train()
    assert model.good.weight.isfinite().all() and not torch.equal(model.good.weight, before)
    assert not model.bad.weight.isfinite().any()


def test_each_group_is_clipped_by_its_own_norm():
    first, second = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    first.grad, second.grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
    clipping = ClipSeparately([[first], [second]], 1.0)
    clipping.hide()
    assert first.grad is None and second.grad is None
    clipping.on_pre_optimizer_step(None, None, None)
    torch.testing.assert_close(first.grad, torch.tensor([0.6, 0.8]), rtol=1e-5, atol=0)
    assert torch.equal(second.grad, torch.tensor([0.3, 0.4]))


def test_a_checkpoint_of_a_vit_has_other_names_than_its_model(tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = ViTForImageClassification(ViTConfig(**sizes, image_size=16, patch_size=8))
    model.save_pretrained(tmp_path)
    found = checkpoint_weights(model, tmp_path)
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())


def test_trainers_own_loading_leaves_the_weights_of_its_checkpoint_alone(loop, tmp_path):
    """What `checkpoint_weights` put into the model is still there when the first step is taken."""
    first, other = tiny_resnet(2, seed=1), tiny_resnet(2, seed=2)
    seen = {}

    class Begin(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, **kwargs):
            seen.update({name: value.clone() for name, value in model.state_dict().items()})
            control.should_training_stop = True

    class Pictures(Numbers):
        def __getitems__(self, positions):
            return {"pixel_values": torch.zeros(len(positions), 3, 8, 8), "labels": torch.tensor(positions) % 2}

    class Images(Loop):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            return model(**inputs).loss

    saving = loop(first, kind=Images, max_steps=1, save_strategy="steps", save_steps=1)
    saving.train_dataset = Pictures()
    saving.train()
    checkpoint = tmp_path / "out" / "checkpoint-1"
    other.load_state_dict(checkpoint_weights(other, checkpoint))
    resumed = loop(other, kind=Images, max_steps=2, callbacks=[Begin()])
    resumed.train_dataset = Pictures()
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert seen and all(torch.equal(seen[name], value) for name, value in first.state_dict().items())


@pytest.mark.parametrize(("greater", "step"), [(True, 6), (False, 9)])
def test_the_best_epoch_is_known_without_loading_it_at_the_end(greater, step, loop):
    values = iter([0.5, 0.7, 0.2, 0.7])
    metric = {"compute_metrics": lambda prediction: {"quality": next(values)}}
    options = {"metric_for_best_model": "quality", "greater_is_better": greater, "num_train_epochs": 4}
    trainer = loop(trainer_arguments=metric, eval_strategy="epoch", save_strategy="epoch", **options)
    trainer.train()
    best = best_epoch(trainer.state)
    assert (best.epoch, best.step) == (step / 3, step) and best.metric == (0.7 if greater else 0.2)
    assert best_epoch(SimpleNamespace(best_global_step=None)) is None


def test_out_of_memory_is_told_from_other_errors():
    assert is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
