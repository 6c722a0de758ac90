"""A value stays in the graph, or the program stops and says what to write."""

from __future__ import annotations

import re
import traceback

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import habits
from tests import doors

ADVICE = {**habits.OF_TENSORS, **habits.OF_PACKAGE}


@pytest.mark.parametrize("door", doors.DOORS, ids=lambda door: door.name)
def test_a_door_leads_on_in_the_graph_or_says_what_to_write(door):
    assert doors.holds(door), doors.through(door)


def test_the_table_is_long_and_has_no_row_twice():
    assert len({door.name for door in doors.DOORS}) == len(doors.DOORS) >= 90


def test_numbers_for_a_log_are_numbers():
    x = mg.tensor(2.0, requires_grad=True)
    losses = np.zeros(3)
    losses[0] = float(x)
    losses[1] = x.item()
    with mg.no_grad():
        losses[2] = x * 1
    assert losses.tolist() == [2, 2, 2]
    with mg.no_grad():
        losses[2] = x  # nothing is recorded here, so nothing is lost
    with pytest.raises(ValueError, match="setting an array element") as caught:
        losses[2] = x
    assert "write np.stack(list); t.item() where" in str(caught.value.__cause__)
    assert losses.tolist() == [2, 2, 2]


def test_what_a_user_sees_of_a_store_says_what_to_write():
    x = mg.tensor(2.0, requires_grad=True)
    losses = np.zeros(3)

    def element():
        losses[0] = x

    for store in (element, lambda: losses.fill(x)):
        with pytest.raises((ValueError, TypeError)) as caught:
            store()
        seen = "".join(traceback.format_exception(caught.value))  # NumPy's own error stands last
        assert "TypeError" in seen
        assert "gradient" in seen or "np." in seen
    assert losses.tolist() == [0, 0, 0]


def test_without_source_text_a_store_is_still_known():
    x = mg.tensor(2.0, requires_grad=True)
    with pytest.raises(ValueError, match="setting an array element") as caught:
        exec("a[0] = x", {"a": np.zeros(1), "x": x})
    assert "np.stack" in str(caught.value.__cause__)


@pytest.mark.parametrize("name", habits.OF_TENSORS)
def test_a_name_of_pytorch_on_a_tensor_says_what_to_write(name):
    t = mg.tensor([1.0])
    with pytest.raises(AttributeError, match=re.escape(habits.OF_TENSORS[name])):
        getattr(t, name)
    assert not hasattr(t, name)
    assert name not in dir(t)


@pytest.mark.parametrize("name", habits.OF_PACKAGE)
def test_a_name_of_pytorch_on_the_package_says_what_to_write(name):
    with pytest.raises(AttributeError, match=re.escape(habits.OF_PACKAGE[name])):
        getattr(mg, name)


def test_what_is_advised_exists():
    for text in ADVICE.values():
        for package, name in re.findall(r"\b(np|mg|nn)\.(\w+)", text):
            module = {"np": np, "mg": mg, "nn": nn}[package]
            assert hasattr(module, name) or name == "unstack", text  # np.unstack is of NumPy 2.1
    methods = {name for text in ADVICE.values() for name in re.findall(r"\bt\.(\w+)\(", text)}
    assert methods
    assert not [name for name in methods if not hasattr(mg.Tensor, name)]


def test_a_condition_alone_gives_the_indices_as_in_numpy():
    x = mg.tensor([[1.0, -1.0], [2.0, 3.0]], requires_grad=True)
    for found, wanted in zip(np.where(x > 0), np.where(x.data > 0), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(np.where(x)[0], [0, 0, 1, 1])
