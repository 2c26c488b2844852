"""Which optional packages are installed, and what to install where one is missing. Light: nothing is imported."""

from importlib.util import find_spec

from hf_cifar.errors import InputError

# What `pip install hf_cifar` leaves out: everything that trains needs these first.
TRAIN = ("torch", "transformers")


def installed(*modules: str) -> bool:
    """Return whether all of these modules are there to be imported."""
    return not missing(*modules)


def missing(*modules: str) -> list[str]:
    """Return those of these modules that are not there to be imported."""
    return [module for module in modules if not _is_there(module)]


def require(module: str, extra: str) -> None:
    """Refuse to go on without an optional package.

    Raises:
        InputError: it is not installed; names what to install.
    """
    if missing(module):
        raise InputError(f"{module} is not installed: pip install 'hf_cifar[{extra}]'")


def require_train(purpose: str, otherwise: str = "") -> None:
    """Refuse what takes torch and transformers where they are missing.

    Args:
        purpose: what they are needed for, such as `--stage probe`.
        otherwise: what does without them, as the end of the line.

    Raises:
        InputError: one of them is not installed; names what to install.
    """
    lacking = missing(*TRAIN)
    if lacking:
        raise InputError(f"{purpose} needs {' and '.join(lacking)}: pip install 'hf_cifar[train]'{otherwise}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that something keeps from being imported
        return False
