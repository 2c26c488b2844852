"""The rooms of the package and what each may import, as docs/architecture.md draws them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hf_cifar"
# Each room, and those that it may import beside itself.
LOW = {"errors"}
ALLOWED = {
    "errors": set(),
    "utils": LOW,
    "config": LOW | {"utils"},
    "run": LOW | {"utils", "config"},
    "data": LOW | {"utils", "config", "run"},
    "models": LOW | {"utils", "config", "run", "data"},
    "formats": LOW | {"utils", "config", "run", "data", "models"},
    "training": LOW | {"utils", "config", "run", "data", "models", "formats"},
    "evaluation": LOW | {"utils", "config", "run", "data", "models", "formats"},
    "inference": LOW | {"utils", "config", "run", "data", "models", "formats"},
    # Its page has the style of the report, and its intervals are those of the metrics.
    "audit": LOW | {"utils", "config", "run", "data", "evaluation"},
    # The card shows the figures' names and captions, which evaluation/figures/registry.py lists.
    "hub": LOW | {"utils", "config", "run", "data", "models", "formats", "evaluation"},
    "demo": LOW | {"utils", "config", "run", "data", "models", "formats", "evaluation", "inference", "hub"},
    "stages": LOW
    | {"utils", "config", "run", "data", "models", "formats", "training", "evaluation", "inference", "hub"}
    | {"audit", "demo"},
    "experiment": LOW | {"utils", "config", "run", "stages", "inference"},
    "__main__": {"cli"},
    "cli": LOW | {"utils", "config", "run", "stages", "experiment"},
    "__init__": LOW | {"config", "run", "models", "training", "inference", "stages", "experiment"},
}


def room(module: str) -> str:
    """Return the room of a module, `training` of `hf_cifar.training.loss`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, at its top or inside a function."""
    modules, tree = set(), ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # for type checkers alone: nothing is imported
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
    return {module for module in modules if module.split(".")[0] == "hf_cifar"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {module_name(path): path for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=[module_name(path) for path in FILES])
def test_a_room_imports_only_from_the_rooms_below_it(path):
    own = room(module_name(path)) if path.parent != PACKAGE else path.stem
    others = {room(module) for module in imports(path)} - {own, "__init__"}
    assert others <= ALLOWED[own], f"{own} must not import {sorted(others - ALLOWED[own])}"


def test_no_circles():
    """Import each module's imports depth first: none leads back to where it began."""
    graph = {
        name: {target for target in imports(path) if target in MODULES and target != name}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_root_holds_five_modules():
    assert sorted(path.stem for path in PACKAGE.glob("*.py")) == ["__init__", "__main__", "cli", "errors", "experiment"]


def test_every_room_is_drawn_in_the_architecture_document():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= set(re.findall(r"`(\w+)/`", text))


def test_every_module_that_the_document_names_exists():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?!tests)\w+(?:/\w+)+\.py)`", text)
    assert len(named) > 20
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


# What speaks to a model, to the Hub or to Trainer's insides, and the only file that may.
@pytest.mark.parametrize(
    ("pattern", "homes"),
    [
        (r"argparse\.ArgumentParser", {"cli.py"}),
        (r"datasets\.load_dataset\(", {"data/sources.py", "data/local_folder.py"}),
        (r"\._created_lr_scheduler|\._get_grad_norm|\._train_batch_size|\._n_gpu", {"training/trainer_compat.py"}),
        (r"trust_remote_code", {"models/pretrained.py", "hub/card/", "hub/check.py"}),
        (r"\bread_recipe\(", {"run/resolve.py", "run/training_request.py", "config/"}),
        # Figures and examples that the package itself has written are opened elsewhere too.
        (r"\bImage\.open\(", {"data/decoding.py", "evaluation/corruptions.py", "experiment.py", "hub/card/"}),
    ],
)
def test_some_things_are_done_in_one_place(pattern, homes):
    places = {str(path.relative_to(PACKAGE)) for path in FILES if re.search(pattern, path.read_text())}
    assert {place for place in places if not any(place.startswith(home) for home in homes)} == set()
