"""Every cell of the project is compiled in every use; `python -m tests.compiled` prints the table."""

from __future__ import annotations

import numpy as np
import pytest

from tests import compiled

REFUSED = {  # with a line and a reason; all else compiles
    ("zoneout", "truncate"),
    ("demo stack", "truncate"),
    ("paper coRNN", "truncate"),
    ("demo adaptive", "lengths"),
    ("paper adaptive", "lengths"),
    ("demo adaptive", "two directions"),
    ("paper adaptive", "two directions"),
    ("paper fast weights", "clip_edges"),
}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def check(cell: str, use: str) -> None:
    with np.errstate(all="ignore"):
        found = compiled.outcome(cell, compiled.USES[use], "numpy")
    wanted = "refused" if (cell, use) in REFUSED else "numpy"
    assert found.mark == wanted, found.why
    if wanted == "refused":
        assert ".py:" in found.why


@pytest.mark.parametrize("cell", compiled.CELLS)
def test_every_cell_compiles(cell: str) -> None:
    check(cell, "several losses")


@pytest.mark.parametrize("use", compiled.USES)
def test_every_use_compiles(use: str) -> None:
    check("LSTM", use)


def some_of_the_table() -> list[tuple[str, str]]:
    """An eighth of cells x uses, each cell in other ones; `python -m tests.compiled` is the whole."""
    return [
        (cell, use)
        for k, cell in enumerate(compiled.CELLS)
        for n, use in enumerate(compiled.USES)
        if (k + n) % 8 == 0 or (cell, use) in REFUSED
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* no gradient reaches")  # of a cell whose states are all cut
@pytest.mark.parametrize(("cell", "use"), some_of_the_table())
def test_cells_compile_in_their_uses(cell: str, use: str) -> None:
    check(cell, use)


@pytest.mark.parametrize("name", compiled.LOSSES)
def test_every_loss_compiles(name: str) -> None:
    assert compiled.loss_outcome(compiled.LOSSES[name], "numpy").mark == "numpy"


@pytest.mark.parametrize("name", dict(compiled.activations()))
def test_every_activation_compiles(name: str) -> None:
    with np.errstate(all="ignore"):
        found = compiled.activation_outcome(dict(compiled.activations())[name], "numpy")
    assert found.mark == "numpy", found.why
