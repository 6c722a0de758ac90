"""Training steps as people write them compile at every length, or are refused with what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.minigrad.program import user_programs as users

COMPILED = [name for name in users.PROGRAMS if name not in users.REFUSED]
SIZES = [(9, 3), (4, 3), (17, 3), (1, 3), (2, 3), (7, 1)]  # (T, B)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def check(name: str, step: Any, sizes: list[tuple[int, int]], limit: float) -> None:
    """The loss and all gradients are eager's, whatever the length."""
    _, make = users.PROGRAMS[name]
    for T, B in sizes:
        arguments = make(T, B)
        found = step(*arguments)
        wanted = step.eager(step._bound(arguments, {}))
        assert abs(found[0] - wanted.loss) <= limit * max(abs(wanted.loss), 1), (T, B)
        assert found[1].keys() == wanted.grads.keys(), (T, B)
        for key, dx in wanted.grads.items():
            size = max(np.abs(dx).max(), 1e-3)
            assert np.abs(found[1][key] - dx).max() <= limit * size, (T, B, key)


@pytest.mark.filterwarnings("ignore:.* no gradient reaches")
@pytest.mark.parametrize("name", COMPILED)
def test_programs_of_users_give_what_eager_gives(name: str) -> None:
    check(name, mg.compile(users.PROGRAMS[name][0], backend="numpy"), SIZES, 3e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* no gradient reaches")
@pytest.mark.parametrize("name", [name for name in COMPILED if name != "no_state_at_first"])
def test_programs_of_users_are_exact_where_that_is_wanted(name: str) -> None:
    step = mg.compile(users.PROGRAMS[name][0], backend="numpy", exact=True)
    check(name, step, [(9, 3), (12, 3)], 0)


@pytest.mark.parametrize("name", users.REFUSED)
def test_what_no_program_can_follow_is_refused_with_a_remedy(name: str) -> None:
    loss_fn, make = users.PROGRAMS[name]
    with pytest.raises(ValueError, match=users.REFUSED[name]):
        mg.compile(loss_fn, backend="numpy")(*make(9, 3))
