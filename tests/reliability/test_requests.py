"""Requests that cannot be meant: refused in one line, with nothing written, before anything is read or computed.

A new case is a line in `REQUESTS`: flags, and words of the refusal.
"""

import pytest

PROBE, FINETUNE, LPFT = ("--stage", "probe"), ("--stage", "finetune"), ("--stage", "lpft")
NAN_AND_INFINITY = ("nan", "inf", "-inf")
REQUESTS: list[tuple[tuple[object, ...], str]] = [
    # rates
    *(((*PROBE, "--learning-rate", value), "--learning-rate") for value in ("0", "-1", *NAN_AND_INFINITY)),
    *(((*FINETUNE, "--learning-rate", value), "--learning-rate") for value in ("-0.1", *NAN_AND_INFINITY)),
    *(((*LPFT, "--probe-learning-rate", value), "--probe-learning-rate") for value in ("-0.1", "nan")),
    *(((*PROBE, "--learning-rates", value), "--learning-rates") for value in ("", "0", "0.1,nan", "0.1,-1", "a")),
    *(((*FINETUNE, "--head-lr", value), "--head-lr") for value in ("-1", "nan")),
    *(((*FINETUNE, "--layer-decay", value), "--layer-decay") for value in ("0", "1.5", "nan")),
    *(((*PROBE, "--solver", "lbfgs", "--strengths", value), "--strengths") for value in ("-1", "nan", "inf", "")),
    # lengths
    *(((*PROBE, "--num-train-epochs", value), "--num-train-epochs") for value in ("0", "-3", *NAN_AND_INFINITY)),
    *(((*FINETUNE, "--num-train-epochs", value), "--num-train-epochs") for value in ("-3", "nan")),
    *(((*PROBE, "--max-steps", value), "--max-steps") for value in ("0", "-2")),
    *(((*PROBE, "--train-batch-size", value), "--train-batch-size") for value in ("0", "-8", "1.5")),
    ((*PROBE, "--per-device-train-batch-size", "0"), "batch-size"),
    ((*PROBE, "--eval-batch-size", "0"), "batch-size"),
    *(((*FINETUNE, "--gradient-accumulation-steps", value), "accumulation") for value in ("0", "-1")),
    ((*PROBE, "--max-train-samples", "0"), "--max-train-samples"),
    ((*PROBE, "--max-eval-samples", "-1"), "--max-eval-samples"),
    *(((*PROBE, "--val-fraction", value), "--val-fraction") for value in ("0", "1", "-0.1", "nan")),
    *(((*PROBE, "--image-size", value), "--image-size") for value in ("0", "-1", "7", "100000")),
    *(((*FINETUNE, "--warmup-steps", value), "--warmup-steps") for value in ("-1", "nan", "100000")),
    ((*FINETUNE, "--unfreeze", "gradual", "--unfreeze-every", "0"), "--unfreeze-every"),
    # strengths of what is added
    *(((*FINETUNE, "--label-smoothing-factor", value), "--label-smoothing") for value in ("-1", "2", "nan")),
    *(((*FINETUNE, "--mixup", value), "--mixup") for value in ("-1", "nan", "inf")),
    *(((*FINETUNE, "--cutmix", value), "--cutmix") for value in ("-0.5", "inf")),
    *(((*FINETUNE, "--random-erasing", value), "--random-erasing") for value in ("-0.1", "1.1", "nan")),
    *(((*FINETUNE, "--weight-decay", value), "--weight-decay") for value in ("-1", "nan")),
    *(((*FINETUNE, "--max-grad-norm", value), "--max-grad-norm") for value in ("nan", "-1")),
    *(((*FINETUNE, "--momentum", value), "--momentum") for value in ("1", "-0.1", "nan")),
    *(((*FINETUNE, "--ema", value), "--ema") for value in ("-0.1", "1", "nan")),
    *(((*FINETUNE, "--adam-beta1", value), "--adam-beta1") for value in ("1", "-1", "nan")),
    # numbers of the machine
    *(((*PROBE, "--seed", value), "--seed") for value in ("-1", str(2**64), "1.5", "x")),
    *(((*PROBE, "--dataloader-num-workers", value), "--dataloader-num-workers") for value in ("10000", "-1")),
    ((*FINETUNE, "--report-to", "nobody"), "--report-to"),
    ((*FINETUNE, "--optim", "nothing"), "--optim"),
    ((*FINETUNE, "--save-steps", "0"), "--save-steps"),
    # names
    ((*FINETUNE, "--unfreeze", "layer9"), "layer9"),
    ((*LPFT, "--unfreeze", "layer9"), "layer9"),
    ((*FINETUNE, "--unfreeze", ","), "--unfreeze"),
    ((*PROBE, "--weights", "/dev/null"), "--weights"),
    ((*PROBE, "--weights", "\0"), "--weights"),
    ((*PROBE, "--output-dir", "/dev/null/x"), "/dev/null"),
    ((*PROBE, "--feature-cache", "/dev/null/x"), "/dev/null"),
    ((*PROBE, "--label-column", ""), "--label-column"),
    ((*PROBE, "--dataset", ""), "--dataset"),
    ((*PROBE, "--model", ""), "--model"),
    (("--stage", ""), "--stage"),
    ((*FINETUNE, "--from", ""), "--from"),
    ((*PROBE, "--config", "/dev/null/x.yaml"), "x.yaml"),
]


def test_there_are_as_many_requests_as_promised():
    assert len(REQUESTS) >= 60


@pytest.mark.parametrize(
    ("flags", "words"), REQUESTS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_request_is_refused_before_work_begins(flags, words, command_line, image_folder, tiny_model, tmp_path):
    places = {"--dataset": image_folder, "--output-dir": tmp_path / "run", "--feature-cache": tmp_path / "cache"}
    if "--from" not in flags:
        places["--model"] = tiny_model
    if "finetune" in flags:
        del places["--feature-cache"]
    base = [item for name, value in places.items() if name not in flags for item in (name, value)]
    assert command_line.run(*base, *flags) == 2, command_line.err
    *before, line = command_line.err.strip().splitlines()
    assert all(said.startswith(("data: ", "model: ")) for said in before)
    assert line.startswith("error: ") and words in line
    assert command_line.out == ""
    assert not list(tmp_path.iterdir()), "something was written"


EXTREMES = {
    "the largest seed": (*LPFT, "--seed", 2**64 - 1),
    "the smallest images": (*LPFT, "--image-size", 8),
    "one step": (*FINETUNE, "--max-steps", 1),
    "a batch of a million images": (*FINETUNE, "--train-batch-size", 2**20),
    "a tenth of an epoch": (*FINETUNE, "--num-train-epochs", 0.1),
    "warm-up of all steps but one": (*FINETUNE, "--max-steps", 3, "--warmup-steps", 2),
    "everything at its bound": (
        *(*FINETUNE, "--random-erasing", 1, "--layer-decay", 1, "--weight-decay", 0, "--max-grad-norm", 0),
        *("--label-smoothing-factor", 0, "--momentum", 0, "--mixup", 0, "--head-lr", 0),
    ),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_an_extreme_request_is_carried_out(name, command_line, image_folder, tiny_model, tmp_path):
    flags = ["--dataset", image_folder, "--model", tiny_model, "--output-dir", tmp_path / "run"]
    flags += ["--feature-cache", tmp_path / "cache"] if "lpft" in EXTREMES[name] else []
    epochs = [] if {"--max-steps", "--num-train-epochs"} & set(EXTREMES[name]) else ["--num-train-epochs", 1]
    assert command_line.without_pictures().run(*flags, *epochs, *EXTREMES[name]) == 0, command_line.err


FILES = {
    "a list": "- 1\n- 2\n",
    "a number": "7\n",
    "text": "just words\n",
    "null for a section": "probe:\n",
    "null for a number": "seed: null\n",
    "a list for a number": "seed: [1, 2]\n",
    "a mapping for a number": "seed: {a: 1}\n",
    "text for a number": "seed: many\n",
    "a truth value for a number": "seed: yes\n",
    "text in a list of numbers": "probe: {learning_rates: [a]}\n",
    "nan": "probe: {training: {learning_rate: .nan}}\n",
    "infinity": "augmentation: {mixup: .inf}\n",
    "a key that does not exist": "lerning_rate: 1\n",
    "a key that is no text": "1: 2\n",
    "a Python object": "seed: !!python/object/apply:os.system ['touch pwned']\n",
    "a date": "seed: 2020-01-01\n",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "an anchor that contains itself": "data: &a\n  dataset: *a\n",
    "a tab": "data:\n\tseed: 1\n",
    "nested 5,000 deep": "[" * 5000 + "]" * 5000,
    "mappings 5,000 deep": "{a: " * 5000 + "1" + "}" * 5000,
    "a bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "bytes": b"\xff\xfe\x00\x01",
    "nothing but NUL": b"\0" * 100,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_wrong_content_is_refused_in_one_line(name, command_line, image_folder, tiny_model, tmp_path):
    file, content = tmp_path / "x.yaml", FILES[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    base = ["--dataset", image_folder, "--model", tiny_model, "--output-dir", tmp_path / "run"]
    assert command_line.run("--config", file, "--stage", "probe", *base) == 2, command_line.err
    (line,) = command_line.err.strip().splitlines()
    assert line.startswith("error: ") and len(line) < 2_000
    assert [path.name for path in tmp_path.iterdir()] == ["x.yaml"]
