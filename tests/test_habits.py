"""What users of PyTorch and NumPy type works, or the error says what to write."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import habits
from minigrad.ops import protocol
from nn import habits as nn_habits
from tests.habits import BARE, SAYS, WORKS, WRONG, Habit, found, rows

ADVICE = [
    *habits.OF_TENSORS.values(),
    *habits.OF_PACKAGE.values(),
    *habits.OF_KEYWORDS.values(),
    *nn_habits.OF_PACKAGE.values(),
    *nn_habits.OF_MODULES.values(),
    *nn_habits.OF_OPTIMIZERS.values(),
    *nn_habits.OF_INIT.values(),
    *nn_habits.OF_KEYWORDS.values(),
]
MAKES_ARRAYS = """
zeros ones empty full eye arange array dtype float16 float32 float64 int8 int16 int32 int64 uint8
bool complex64 complex128 hamming hanning kaiser tril_indices triu_indices vander logspace
broadcast_shapes finfo iinfo promote_types set_printoptions asarray nanmedian i0 nanquantile nextafter
"""
FEW_WILL_MISS = """
as_strided_scatter ccol_ col_ conj_physical const_data dense_dim dim_order geqrf grad_dtype
hash_tensor igammac index_reduce is_ lgamma lu module_load mtia mvl narrow_copy new_empty_strided
nonzero_static orgqr ormqr polygamma q_ qscheme reinforce resize_as row_ slice_inverse smm sparse_
sspaddmm storage_type to_ unsafe_ volatile crow_ digamma_ erf_ erfc_ erfinv_ i0_ igamma_
"""  # the beginnings of names


@pytest.mark.parametrize("habit", [*rows()], ids=lambda habit: habit.text)
def test_an_expression_works_or_says_what_to_write(habit):
    verdict, words = found(habit)
    assert verdict in (WORKS, SAYS), (verdict, words)
    assert not re.search("<locals>|Operators", words)


def test_the_table_is_long_and_has_no_row_twice():
    texts = [habit.text for habit in rows()]
    assert len(set(texts)) == len(texts) >= 288


def test_the_table_can_fail():
    assert found(Habit("", "t.sum()", "= A.sum() + 1"))[0] == WRONG
    assert found(Habit("", "t.sum(dim=1)", "write nothing"))[0] == BARE
    assert found(Habit("", "t.sum()", "write axis="))[0] == WRONG


@pytest.mark.parametrize("method", ["sum", "mean", "max", "std", "argmax", "cumsum", "softmax"])
def test_keywords_of_pytorch_are_told_on_functions_and_methods_alike(method):
    t = mg.tensor(np.ones((2, 3)))
    for call in (getattr(t, method), lambda **words: getattr(mg, method)(t, **words)):
        with pytest.raises(TypeError, match=f"{method}.*keyword argument 'dim'; write axis="):
            call(dim=1)


def test_the_functions_that_are_advised_work_on_tensors():
    for text in ADVICE:
        for module, name in re.findall(r"\bnp\.(linalg\.)?(\w+)\(", text):
            function = getattr(np.linalg if module else np, name)
            assert function in protocol.table or name in MAKES_ARRAYS.split(), text
        for module, name in re.findall(r"\b(mg|nn|nn\.init)\.(\w+)", text):
            owner = {"mg": mg, "nn": nn, "nn.init": nn.init}[module]
            assert hasattr(owner, name), text


def test_no_name_of_pytorchs_tensor_is_met_without_a_word():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    t = mg.tensor([[1.0]])
    unknown = {
        name
        for name in dir(torch.Tensor)
        if not name.startswith("_") and not hasattr(t, name) and name not in habits.OF_TENSORS
    }
    assert {name for name in unknown if not name.startswith(tuple(FEW_WILL_MISS.split()))} == set()


def test_no_name_of_an_array_is_met_without_a_word():
    t = mg.tensor([[1.0]])
    public = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert {n for n in public if not hasattr(t, n) and n not in habits.OF_TENSORS} == set()


@pytest.mark.parametrize(
    ("owner", "module"),
    [(nn, "nn"), (nn.init, "nn.init"), (nn, "optim"), (nn, "optim.lr_scheduler")],
)
def test_no_layer_optimiser_or_schedule_of_pytorch_is_met_without_a_word(owner, module):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch
    for part in module.split("."):
        theirs = getattr(theirs, part)
    names = [n for n, v in vars(theirs).items() if getattr(v, "__module__", "").startswith("torch")]
    known = nn_habits.OF_INIT if owner is nn.init else nn_habits.OF_PACKAGE
    missing = [n for n in names if n[0] != "_" and n not in known and not hasattr(owner, n)]
    rare = r"Lazy|Circular|Uninit|.*[23]d$|.*Container|CrossMap|.*Unpool|Fractional|LPPool"
    rare += r"|MultiLabelSoft|LinearCross|Triplet|Feature|factory|swap_in|Tensor"
    rare += r"|(kaiming_normal|dirac|eye|sparse)$"
    assert [n for n in missing if not re.match(rare, n)] == []


@pytest.mark.parametrize("module", [mg, nn])
def test_public_functions_and_classes_can_be_pickled(module):
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value):
            assert pickle.loads(pickle.dumps(value)) is value, name
