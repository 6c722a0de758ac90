from __future__ import annotations

import gc
import sys

import pytest

import minigrad as mg


def test_the_collector_waits_longer_inside_of_the_block_and_as_before_after_it() -> None:
    before = gc.get_threshold()
    with mg.memory_policy(collector=123_456, keep=None):
        assert gc.get_threshold() == (123_456, *before[1:])
    assert gc.get_threshold() == before


def test_it_is_put_back_after_an_error() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="inside"), mg.memory_policy():
        raise ValueError("inside")
    assert gc.get_threshold() == before


def test_a_call_takes_effect_at_once_and_can_be_taken_back() -> None:
    before = gc.get_threshold()
    policy = mg.memory_policy(collector=99_999)
    try:
        assert gc.get_threshold()[0] == 99_999
        assert "99999" in repr(policy)
        assert ("kept" in repr(policy)) == sys.platform.startswith("linux")
    finally:
        policy.restore()
    assert gc.get_threshold() == before


def test_nothing_is_changed_that_is_not_asked_for() -> None:
    before = gc.get_threshold()
    policy = mg.memory_policy(collector=None, keep=None)
    assert gc.get_threshold() == before
    assert "as the C library does" in repr(policy)
