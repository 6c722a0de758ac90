"""The plan of a compiled step as a picture: every statement in its part and in its colour."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.program.ir import Statement
from minigrad.program.picture import picture
from minigrad.program.schedule import Loop
from minigrad.render.plans import WORK

ARGUMENTS = np.ones((6, 2, 3), np.float32), np.zeros((2, 4), np.float32)


def compiled(cell: type[nn.Module], steps: int = 6) -> mg.program.Step:
    """A step of a network of the library."""
    step = mg.compile(lambda net, xs, y: nn.mse_loss(net(xs)[0][-1], y), backend="numpy")
    xs, y = ARGUMENTS
    step(cell(3, 4), np.resize(xs, (steps, 2, 3)), y)
    return step


def boxes(source: str) -> Counter[tuple[str, str]]:
    """The boxes of a plan: name and colour."""
    return Counter(re.findall(r'^\ts\d+_(\w+) \[label=.*? fillcolor="(#\w+)"', source, re.M))


@pytest.mark.parametrize("cell", [nn.RNN, nn.GRU, nn.LSTM])
def test_every_statement_is_drawn_where_it_is_run(cell: type[nn.Module], tmp_path: Path) -> None:
    step = compiled(cell)
    assert step.render(tmp_path / "plan.svg") == str(tmp_path / "plan.svg")
    built = step._last().built
    drawn = boxes(picture(built, "").source)
    looped: set[Statement] = set()
    for block in built.blocks:
        if isinstance(block, Loop):
            looped |= {s for s in block.body if s not in built.storage.views}
    computed = [s for s in built.program.statements if s.op is not None]
    computed = [s for s in computed if s not in built.storage.views]
    assert Counter(name for name, _ in drawn.elements()) == Counter(s.name for s in computed)
    for s in computed:
        if s in looped:
            assert drawn[s.name, WORK["loop"][0]]
        elif s.kind == "product_over_steps":
            assert drawn[s.name, WORK["deferred"][0]]
        elif s.timed:
            assert drawn[s.name, WORK["batched"][0]]


def test_the_plan_does_not_grow_with_the_steps() -> None:
    short, long = (picture(compiled(nn.GRU, n)._last().built, "").source for n in (4, 40))
    assert boxes(short) == boxes(long)


def test_a_state_of_the_step_before_is_a_dashed_arrow_back() -> None:
    source = picture(compiled(nn.RNN)._last().built, "").source
    back = [line for line in source.splitlines() if "dir=back" in line]
    assert any('label="t−1"' in line for line in back)
    assert any('label="t+1"' in line for line in back)


def test_nothing_is_drawn_before_the_step_was_called(tmp_path: Path) -> None:
    step = mg.compile(lambda w: w * w)
    with pytest.raises(ValueError, match="call the step once"):
        step.render(tmp_path / "plan.svg")
    with pytest.raises(ValueError, match="suffix"):
        compiled(nn.RNN).render(tmp_path / "plan.txt")
    assert not list(tmp_path.iterdir())


def test_names_and_titles_are_data() -> None:
    source = picture(compiled(nn.RNN)._last().built, '<b>&"').source
    assert "&lt;b&gt;&amp;" in source
