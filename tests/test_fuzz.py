"""A short run of the fuzzer, which `python -m tests.fuzz MINUTES` runs for longer."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops import elementwise
from tests import fuzz


@pytest.mark.parametrize("kind", fuzz.CHECKS)
def test_random_examples_are_the_same_in_both_ways(kind):
    before = fuzz.counts[kind]
    fuzz.fuzz(kind, 25, seed=0)
    assert fuzz.counts[kind] - before >= 25


def test_a_wrong_rule_is_found_and_made_small(monkeypatch):
    rule = lambda dy, y, x: dy * np.cos(x) * 1.01  # noqa: E731
    monkeypatch.setattr(elementwise.sin, "rules", [rule])
    with pytest.raises(AssertionError) as caught:
        fuzz.fuzz("programs", 400, seed=1)
    assert "'sin'" in "\n".join(caught.value.__notes__) or "sin" in str(caught.value)


def test_a_wrong_edit_is_found(monkeypatch):
    whole = mg.Graph.truncate
    monkeypatch.setattr(mg.Graph, "truncate", lambda graph, k, axis=None: whole(graph, k + 1, axis))
    with pytest.raises(AssertionError):
        fuzz.fuzz("edits", 200, seed=0)
