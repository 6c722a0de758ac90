"""The verdict on every cell is that of its definition: see `tests/nn/verdicts.py`."""

from __future__ import annotations

import pytest

from tests.nn import verdicts


@pytest.mark.parametrize("cell", verdicts.CHAINS)
def test_word_and_factor_are_those_of_the_definition(cell: str) -> None:
    found = [verdicts.run(cell, 0, scale) for scale in verdicts.SCALES[:2]]
    assert [run for run in found if not run.agrees] == []


def test_the_definition_can_disagree() -> None:
    run = verdicts.run("RNN", 0, 1.0)
    assert run.agrees
    assert not run._replace(ratio=1.02 * run.ratio).agrees
    assert not run._replace(word="exploding").agrees
