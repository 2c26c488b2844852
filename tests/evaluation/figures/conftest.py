"""Every warning of a drawing is an error; saved figures can be inspected."""

import warnings

import pytest
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # of what matplotlib calls, in its older versions
        yield


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, as matplotlib has it."""
    saved = []
    save = Figure.savefig

    def keep(figure, *arguments, **options):
        saved.append(figure)
        return save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return saved
