"""The loops as C: the numbers of NumPy, and what happens where there is no compiler."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.program import cache, emit_c, native
from minigrad.program.draws import Rewinder
from tests.minigrad.program import cases as steps
from tests.minigrad.program.compilers import needs_compiler


@pytest.fixture(autouse=True)
def _fresh(tmp_path_factory, monkeypatch, request):
    """A cache that the tests of a run share, so that each loop is compiled once."""
    folder = tmp_path_factory.getbasetemp() / "native_cache"
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder))
    native.compiler.cache_clear()
    yield
    native.compiler.cache_clear()


@needs_compiler
@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, np.float32) for name in steps.cases()]
    + [(name, np.float64) for name in ("lstm, one loss", "gru, one loss", "running sum of losses")],
)
def test_gradients_are_those_of_eager(name: str, dtype: Any, monkeypatch) -> None:
    monkeypatch.setattr(native, "FLAGS", tuple("-O1" if f == "-O3" else f for f in native.FLAGS))
    mg.set_default_dtype(dtype)
    try:
        case = steps.named(name)
        net, step = case.network(), mg.compile(case.loss_fn, backend="c")
        for T in (9, 4):
            arguments = case.arguments(T)
            random = Rewinder(step._bound((net, *arguments), {}))
            loss, grads = step(net, *arguments)[:2]
            random.rewind()
            wanted = step.eager(step._bound((net, *arguments), {}))
            limit = 1e-6 if dtype == np.float32 else 1e-12
            assert abs(loss - wanted.loss) <= limit * max(abs(wanted.loss), 1)
            for key, dx in wanted.grads.items():
                assert np.linalg.norm(grads[key] - dx) <= limit * max(np.linalg.norm(dx), 1e-30)
        assert step.variants[0].built.c_source or name == "no time"
    finally:
        mg.set_default_dtype(np.float32)


SPECIAL = np.float32(
    [
        0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        1e-45,
        -1e-45,
        1e-38,
        88.7,
        89,
        -87.4,
        -104,
        100,
        0.625,
        -0.625,
    ]
)


@needs_compiler
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(k for k, n in emit_c.FUNCTIONS.items() if n == 1))
def test_functions_are_those_of_numpy(name: str, dtype: Any) -> None:
    kind = emit_c.TYPES[np.dtype(dtype).name]
    result = "unsigned char" if name.startswith("is") else kind
    text = (
        f"void run(long long n, const {kind} *x, {result} *y) "
        f"{{ for (long long i = 0; i < n; i++) y[i] = {name}_{kind}(x[i]); }}"
    )
    code = native.library(emit_c.PRELUDE.read_text() + text)
    draws = np.random.default_rng(0).standard_normal((5, 4000)) * [[1e-3], [0.1], [1], [10], [50]]
    x = np.concatenate([SPECIAL, draws.ravel()]).astype(dtype)
    y = np.empty(x.shape, np.bool_ if name.startswith("is") else dtype)
    code.run(
        ctypes.c_longlong(x.size),
        x.ctypes.data_as(ctypes.c_void_p),
        y.ctypes.data_as(ctypes.c_void_p),
    )
    with np.errstate(all="ignore"):
        function = getattr(mg, name) if hasattr(mg, name) else getattr(np, name)
        wanted = np.asarray(function(mg.tensor(x)).data)
        if y.dtype == bool:
            np.testing.assert_array_equal(y, wanted)
            return
        np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))
        np.testing.assert_array_equal(np.signbit(y[:2]), np.signbit(wanted[:2]))
        finite = np.isfinite(wanted)
        np.testing.assert_array_equal(y[~finite & ~np.isnan(y)], wanted[~finite & ~np.isnan(y)])
        ulps = np.abs(y[finite].astype(np.longdouble) - wanted[finite]) / np.spacing(
            np.abs(wanted[finite])
        )
        assert ulps.max() <= 4  # both may be 2 away from the truth


@needs_compiler
def test_a_cell_that_diverges_gives_what_numpy_gives() -> None:
    def loss_fn(p, xs):
        h = mg.tensor(np.ones(3), dtype=np.float32)
        for _, x in mg.timesteps(xs):
            h = p["a"] * h * h / (h - p["b"]) + mg.relu(x)
        return (np.maximum(h, 0) * h).sum()

    p = {
        "a": mg.tensor(np.float32([1.5, 30.0, 1.0]), requires_grad=True),
        "b": mg.tensor(np.float32([0.3, -2.0, 1.0]), requires_grad=True),
    }
    xs = np.abs(steps.normal(40, 3))
    with np.errstate(all="ignore"):
        in_numpy = mg.compile(loss_fn, backend="numpy")(p, xs)
        in_c = mg.compile(loss_fn, backend="c")(p, xs)
    assert not np.isfinite(in_numpy[0])
    for one, two in zip((in_numpy[0], *in_numpy[1].values()), (in_c[0], *in_c[1].values())):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(two))
        np.testing.assert_allclose(one, two, rtol=1e-4)


@needs_compiler
def test_denormals_are_kept() -> None:
    def loss_fn(w, xs):
        h = mg.tensor(np.ones(8), dtype=np.float32)
        for _, x in mg.timesteps(xs):
            h = h * w + x
        return h.sum()

    w = mg.tensor(np.full(8, 1e-4, np.float32), requires_grad=True, name="w")
    xs = np.zeros((10, 8), np.float32)
    loss, _ = mg.compile(loss_fn, backend="c")(w, xs)
    assert 0 < loss < np.finfo(np.float32).tiny


def example() -> tuple[Any, ...]:
    return steps.Net(nn.RNN(steps.D, steps.H)), *steps.each_step(9)


def runs_in_numpy(match: str) -> None:
    """The step runs, and one line says why it is not native."""
    step = mg.compile(steps.every, backend="c")
    with pytest.warns(UserWarning, match=match):
        loss, _ = step(*example())
    assert np.isfinite(loss)
    assert "all runs in NumPy" in step.explain()
    auto = mg.compile(steps.every)
    auto(*example())
    assert not auto.variants[0].built.c_source


def test_without_a_compiler(monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    runs_in_numpy("no C compiler is found")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_compiler_that_fails(monkeypatch, tmp_path) -> None:
    broken = script(tmp_path / "broken", 'echo "broken: error: no such thing" >&2; exit 1')
    monkeypatch.setenv("CC", str(broken))
    runs_in_numpy("no such thing")


def test_a_compiler_that_hangs(monkeypatch, tmp_path) -> None:
    slow = script(tmp_path / "slow", '[ "$1" = --version ] || exec sleep 30')
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setattr(native, "LIMIT", 0.5)
    runs_in_numpy("took more than 0.5 s")


@needs_compiler
def test_a_cache_that_is_not_private_or_cannot_be_written_is_not_used(
    monkeypatch, tmp_path
) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    monkeypatch.setenv("MINIGRAD_CACHE", str(folder))
    assert cache.folder() is None
    step = mg.compile(steps.every, backend="c")
    step(*example())
    assert step.variants[0].built.c_source
    assert list(folder.iterdir()) == []


@needs_compiler
def test_without_a_cache_the_code_is_built_aside(monkeypatch, tmp_path) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "a file" / "below"))
    step = mg.compile(steps.every, backend="c")
    loss, _ = step(*example())
    assert np.isfinite(loss)
    assert step.variants[0].built.c_source


@needs_compiler
def test_a_corrupt_entry_is_made_again(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    mg.compile(steps.every, backend="c")(*example())
    (code,) = (tmp_path / "cache").glob("loops_*.so")
    whole = code.read_bytes()
    code.unlink()
    code.write_bytes(whole[: len(whole) // 2])
    step = mg.compile(steps.every, backend="c")
    loss, _ = step(*example())
    assert np.isfinite(loss)
    assert code.read_bytes() == whole
    assert stat.S_IMODE(os.stat(tmp_path / "cache").st_mode) == 0o700


PROGRAM = """
import sys
import numpy as np, minigrad as mg, nn
net = nn.LSTM(3, 4)
step = mg.compile(lambda net, xs: (net(xs)[0] ** 2).mean(), backend="c")
step(net, np.ones((9, 2, 3), np.float32))
print(bool(step.variants[0].built.c_source))
"""


@needs_compiler
def test_two_processes_build_at_once(tmp_path) -> None:
    environment = os.environ | {"MINIGRAD_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in both] == ["True", "True"]
    assert len(list((tmp_path / "cache").glob("loops_*.so"))) == 1
