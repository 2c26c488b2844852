"""The command line in processes of its own: exit status, one line, and where to go from there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.images import write_images

from hf_cifar import __version__ as version

ROOT = Path(__file__).parents[1]


def hf_cifar(*arguments, **environment) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120)


def refused(*arguments, **environment) -> str:
    """The one line of a request that is wrong."""
    done = hf_cifar(*arguments, **environment)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().split("\n")
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert done.stdout == ""
    return lines[0]


@pytest.fixture
def base(image_folder, tiny_model, tmp_path):
    return [
        *("--stage", "probe", "--dataset", image_folder, "--model", tiny_model),
        *("--output-dir", tmp_path / "run", "--num-train-epochs", 2),
    ]


def test_probe_prints_one_json_object_last_and_resumes(base, tmp_path, command_line):
    def refused(*arguments) -> str:
        assert command_line.run(*arguments) == 2
        return command_line.err

    done = hf_cifar(*base, "--per_device_train_batch_size=16")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.strip().split("\n")[-1])
    metrics = json.loads((tmp_path / "run" / "probe" / "metrics.json").read_text())
    assert summary["stage"] == "probe" and summary["output_dir"] == str(tmp_path / "run")
    assert summary["accuracy"] == metrics["test"]["accuracy"]
    assert metrics["train"]["epochs"] == 2
    assert "\r" not in done.stderr, "no progress bar where nobody looks"
    assert "--resume" in refused(*base) and "--overwrite" in refused(*base)
    assert command_line.run("--output-dir", tmp_path / "run", "--resume") == 0
    assert json.loads(command_line.out) == summary
    assert "has seed 0, not 3" in refused("--output-dir", tmp_path / "run", "--resume", "--seed", 3)


def test_the_package_is_run_as_a_module_too():
    command = [sys.executable, "-m", "hf_cifar", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"hf-cifar {version}\n")


def test_help_tells_every_option_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from hf_cifar.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in (
        "--stage",
        "--recipe",
        "--dataset",
        "--weights",
        "--features",
        "--solver",
        "--resume",
        "--debug",
    ):
        assert option in done.stdout


# Its versions for Python 3.10 import scikit-learn with every model that generates, and that what it finds of the rest.
BY_TRANSFORMERS = """(
    {"sklearn", "scipy.stats", "scipy.signal", "pandas", "pyarrow"}
    if hasattr(sys.modules.get("transformers.generation.candidate_generator"), "roc_curve")
    else set()
)"""


def test_predict_imports_what_a_model_needs_and_no_more(tiny_model, image_folder):
    code = f"""
import gc, sys
from hf_cifar.cli import main
image = {str(next((image_folder / "test").rglob("*.png")))!r}
assert main(["--stage", "predict", "--checkpoint", {str(tiny_model)!r}, "--images", image, "--output", "-"]) == 0
needless = {{"datasets", "pandas", "pyarrow", "sklearn", "scipy.stats", "matplotlib", "transformers.trainer"}}
needless &= set(sys.modules) - {BY_TRANSFORMERS}
assert not needless, needless
assert gc.isenabled() and gc.get_freeze_count() > 300_000, "torch and transformers are left out of collections"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_training_imports_what_measures_it_when_there_is_something_to_measure(warm_python):
    """`warm_python` has imported the training stages and has run none."""
    code = """
import sys
assert "hf_cifar.stages.train" in sys.modules
import hf_cifar.stages.evaluate
early = {"sklearn", "scipy.stats", "scipy.signal", "matplotlib", "evaluate", "transformers.pipelines"}
early &= set(sys.modules) - BY_TRANSFORMERS
assert not early, early
""".replace("BY_TRANSFORMERS", BY_TRANSFORMERS)
    done = warm_python.run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sovler", "lbfgs"], "unknown option '--sovler': did you mean '--solver'?"),
        (["--learning-rat", "1"], "unknown option '--learning-rat': did you mean '--learning-rate'?"),
        (["--recipe", "demmo"], "unknown recipe 'demmo': did you mean 'demo'?"),
        (["--model", "resnet81"], "unknown model 'resnet81': did you mean 'resnet18'?"),
        (["--dataset", "digit"], "unknown dataset 'digit': did you mean 'digits'?"),
        (["--label-column", "labl"], "unknown column for --label-column 'labl': did you mean 'label'?"),
        (["--stage", "prob"], "invalid choice: 'prob'"),
        (["--seed", "many"], "argument --seed: invalid int value: 'many'"),
        (["--learning-rates", "0.1,x"], "argument --learning-rates: invalid list of numbers value"),
        (["--config", "missing.yaml"], "cannot read missing.yaml"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--augment", "standard"], "use --features online"),
        (["--features", "online", "--solver", "lbfgs"], "use --features cached"),
        (["--weights", "missing.pth"], "--weights missing.pth: no such file"),
        (["--augment", "cutout"], "invalid choice: 'cutout'"),
        (["--mixup", "0.2"], "--mixup does nothing with --stage probe"),
        (["--bf16", "true"], "--bf16 cannot be set: the probe computes in float32"),
        (["--from", "nowhere", "--stage", "finetune"], "--from nowhere: no such folder"),
        (["--scheduler", "cosin", "--stage", "finetune"], "invalid choice: 'cosin'"),
        (["--probe-learnig-rate", "1"], "unknown option '--probe-learnig-rate'"),
        (["--momentum", "1"], "--momentum is 1.0"),
        (["--train-batch-size", "none"], "argument --train-batch-size: invalid int value: 'none'"),
        (["--hub-strategy", "end"], "--hub-strategy cannot be set"),
        (["--warmup-steps", "soon"], "invalid float value: 'soon'"),
    ],
)
def test_a_wrong_request_is_one_line_that_names_the_way_on(arguments, message, base, command_line):
    assert command_line.run(*base, *arguments) == 2, command_line.err
    (line,) = command_line.err.strip().split("\n")
    assert line.startswith("error: ") and message in line
    assert command_line.out == ""


def test_wrong_data_is_one_line(base, tmp_path, command_line):
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "one" / "train", 3, ["only"])
    for folder, message in (("empty", "holds no images"), ("one", "only one class")):
        assert command_line.run(*base, "--dataset", tmp_path / folder) == 2
        assert message in command_line.err and command_line.err.count("\n") == 1


def test_no_hub_and_nothing_cached_names_three_ways_out(tmp_path):
    """A closed port stands for the missing network; the answer comes before torch is imported."""
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": ""}
    line = refused("--stage", "probe", "--output-dir", tmp_path / "run", **environment)
    for way in ("--dataset DIR", "--weights FILE", "--recipe demo", "uoft-cs/cifar10"):
        assert way in line
    assert not (tmp_path / "run").exists()


def test_no_network_for_torchvision_weights_names_the_ways_out(tmp_path):
    code = (
        "import sys; from hf_cifar.stages import preflight; from hf_cifar.utils import network as connection\n"
        "preflight.reachable = lambda url: False\n"
        "from hf_cifar.cli import main\n"
        "sys.exit(main(['--stage', 'probe', '--dataset', 'digits']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "IMAGENET1K_V1 weights of resnet18 are not cached" in done.stderr and "--weights FILE" in done.stderr


def test_debug_shows_the_traceback(base, command_line):
    assert command_line.run(*base, "--recipe", "demmo", "--debug") == 2
    assert "Traceback" in command_line.err


def test_training_arguments_of_lpft_are_for_fine_tuning_but_those_of_both(flags, tmp_path):
    from hf_cifar.cli import parse

    config = parse(
        [str(item) for item in (*flags, "--stage", "lpft", "--learning-rate", 0.3, "--use-cpu", "true")]
    ).config
    assert config.finetune.training["learning_rate"] == 0.3 and "learning_rate" not in config.probe.training
    assert config.finetune.training["use_cpu"] is config.probe.training["use_cpu"] is True
    config = parse(
        [str(item) for item in (*flags, "--stage", "lpft", "--probe-learning-rate", 0.2, "--optim", "sgd")]
    ).config
    assert config.probe.training["learning_rate"] == 0.2 and config.finetune.training["learning_rate"] != 0.2
    probe = parse([str(item) for item in (*flags, "--learning-rate", 0.3)]).config
    assert probe.probe.training["learning_rate"] == 0.3 and probe.probe.training["train_batch_size"] == 16


def test_finetune_in_the_folder_of_a_probe_needs_no_word_about_the_data(flags, command_line, tmp_path):
    """And a recipe given with it holds for the fine-tuning."""
    command_line = command_line.without_pictures()
    assert command_line.run(*flags, "--seed", 4) == 0, command_line.err
    there = ["--stage", "finetune", "--output-dir", tmp_path / "run", "--num-train-epochs", 1]
    assert command_line.run(*there, "--recipe", "classic") == 0, command_line.err
    metrics = json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())
    assert metrics["seed"] == 4 and metrics["train"]["scheduler"] == "step"
    assert metrics["train"]["learning_rate"] == 0.0005
    assert "fine-tuning starts from this run's probe" in command_line.err
    assert command_line.run(*there) == 2 and "in use" in command_line.err
    assert command_line.run(*there, "--overwrite") == 0, command_line.err
    assert (tmp_path / "run" / "probe" / "metrics.json").is_file(), "the probe stays"
    assert json.loads(command_line.out)["stage"] == "finetune"
