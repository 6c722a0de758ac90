"""Compiled training steps of custom cells (LSTM, GRU, an odd one), beside PyTorch, JAX and NumPy by hand.

One step is the forward pass, the loss (the mean square of the last h) and all gradients.  PyTorch's
custom cell is written in the same operations; its fused layers, `torch.compile` and JAX's
jit + scan run where they are installed.  Ratios are to PyTorch's eager custom cell.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from benchmarks.measure import peer, race, table

SIZES = [(50, 1, 16, 32), (50, 16, 32, 64), (100, 32, 64, 128)]  # (T, B, D, H)
TARGETS = {"numpy": (None, None, None), "c": (0.03, 0.25, 0.5)}
GATES = {"lstm": 4, "gru": 3, "odd": 2}
STATES = {"lstm": 2, "gru": 1, "odd": 2}


def parameters(cell: str, D: int, H: int) -> dict[str, np.ndarray]:
    """Weights of one cell, float32."""
    rng = np.random.default_rng(0)
    n, k = GATES[cell], 1 / np.sqrt(H)
    shapes = {"W_xh": (D, n * H), "W_hh": (H, n * H), "b_h": (n * H,)}
    shapes |= {"lstm": {}, "gru": {"b_hn": (H,)}, "odd": {"s": (H,), "d": (H,)}}[cell]
    return {name: rng.uniform(-k, k, s).astype(np.float32) for name, s in shapes.items()}


def one_step(
    lib: Any, cell: str, p: dict[str, Any], x: Any, state: tuple[Any, ...]
) -> tuple[Any, ...]:
    """A cell in the operations of `lib`, which has sigmoid, tanh and split."""
    if cell == "gru":
        (h,) = state
        a_r, a_z, a_n = lib.split(x @ p["W_xh"] + p["b_h"], 3)
        u_r, u_z, u_n = lib.split(h @ p["W_hh"], 3)
        r, z = lib.sigmoid(a_r + u_r), lib.sigmoid(a_z + u_z)
        n = lib.tanh(a_n + r * (u_n + p["b_hn"]))
        return ((1 - z) * n + z * h,)
    h, c = state
    a = x @ p["W_xh"] + h @ p["W_hh"] + p["b_h"]
    if cell == "lstm":
        i, f, g, o = lib.split(a, 4)
        c = lib.sigmoid(f) * c + lib.sigmoid(i) * lib.tanh(g)
        return lib.sigmoid(o) * lib.tanh(c), c
    a, q = lib.split(a, 2)
    k = lib.sigmoid(q)
    v = c * k + (lib.tanh(a) - p["s"] * h * lib.tanh(h)) * (1 - k)
    h = 0.9 * h + 0.3 * v * lib.tanh(p["d"] * h) + 0.1 * v
    return h, v


class Minigrad:
    """The operations of minigrad."""

    sigmoid, tanh = staticmethod(mg.sigmoid), staticmethod(mg.tanh)

    @staticmethod
    def split(x: Any, n: int) -> Any:
        return mg.split(x, n, axis=-1)


def loss_of(cell: str) -> Callable[..., mg.Tensor]:
    """The training step of minigrad, to run eagerly or to compile."""

    def loss_fn(p: dict[str, mg.Tensor], xs: Any, state: tuple[Any, ...]) -> mg.Tensor:
        state = tuple(mg.tensor(s) for s in state)
        for _, x in mg.timesteps(xs):
            state = one_step(Minigrad, cell, p, x, state)
        return (state[0] * state[0]).mean()

    return loss_fn


def torch_step(cell: str, p: dict[str, np.ndarray], xs: np.ndarray, s0: np.ndarray) -> Any:
    """PyTorch's eager custom cell."""
    torch = peer("torch")

    class Torch:
        sigmoid, tanh = torch.sigmoid, torch.tanh

        @staticmethod
        def split(x: Any, n: int) -> Any:
            return x.chunk(n, -1)

    weights = {name: torch.tensor(v, requires_grad=True) for name, v in p.items()}
    inputs, start = torch.tensor(xs), torch.tensor(s0)

    def run() -> dict[str, Any]:
        for w in weights.values():
            w.grad = None
        state = (start,) * STATES[cell]
        for x in inputs.unbind(0):
            state = one_step(Torch, cell, weights, x, state)
        (state[0] * state[0]).mean().backward()
        return {name: w.grad.numpy() for name, w in weights.items()}

    return run


def torch_fused(cell: str, xs: np.ndarray, H: int) -> Any:
    """torch.nn.LSTM or GRU: one fused kernel a step."""
    torch = peer("torch")
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](xs.shape[-1], H)
    inputs = torch.tensor(xs)

    def run() -> None:
        layer.zero_grad()
        _, h = layer(inputs)
        h = h[0] if cell == "lstm" else h
        (h * h).mean().backward()

    return run


def jax_scan(cell: str, p: dict[str, np.ndarray], xs: np.ndarray, s0: np.ndarray) -> Any:
    """JAX: jit of value_and_grad of a scan."""
    import jax
    import jax.numpy as jnp

    class Jax:
        sigmoid, tanh = jax.nn.sigmoid, jnp.tanh

        @staticmethod
        def split(x: Any, n: int) -> Any:
            return jnp.split(x, n, -1)

    def loss(weights: Any, inputs: Any) -> Any:
        state = (jnp.asarray(s0),) * STATES[cell]

        def step(state: Any, x: Any) -> Any:
            return one_step(Jax, cell, weights, x, state), None

        state, _ = jax.lax.scan(step, state, inputs)
        return (state[0] * state[0]).mean()

    run = jax.jit(jax.value_and_grad(loss))
    weights, inputs = {k: jnp.asarray(v) for k, v in p.items()}, jnp.asarray(xs)
    return lambda: jax.block_until_ready(run(weights, inputs))


class Tuned:
    """The LSTM in NumPy as one writes it for speed: arrays made once, one product for all x, one for dW."""

    def __init__(self, p: dict[str, np.ndarray], xs: np.ndarray, H: int) -> None:
        T, B, _ = xs.shape
        f = np.float32
        self.p, self.xs, self.H = p, xs, H
        self.a, self.da = np.empty((T, B, 4 * H), f), np.empty((T, B, 4 * H), f)
        self.c, self.h = np.zeros((T + 1, B, H), f), np.zeros((T + 1, B, H), f)
        self.y, self.u = np.empty((T, B, H), f), np.empty((B, H), f)
        self.z, self.dc, self.dh = np.empty((B, 4 * H), f), np.empty((B, H), f), np.empty((B, H), f)

    def __call__(self) -> dict[str, np.ndarray]:
        """One step; the gradients."""
        self.forward()
        return self.backward()

    def forward(self) -> None:
        """All steps; a becomes the gates."""
        p, a, H, z = self.p, self.a, self.H, self.z
        T, B, D = self.xs.shape
        np.matmul(self.xs.reshape(T * B, D), p["W_xh"], out=a.reshape(T * B, 4 * H))
        a += p["b_h"]
        for t in range(T):
            gates, c = a[t], self.c[t + 1]
            np.matmul(self.h[t], p["W_hh"], out=z)
            gates += z
            squashed = (gates[:, : 2 * H], gates[:, 3 * H :])
            for part in squashed:
                part *= 0.5
            np.tanh(gates, out=gates)
            for part in squashed:
                part *= 0.5
                part += 0.5
            np.multiply(gates[:, H : 2 * H], self.c[t], out=c)
            np.multiply(gates[:, :H], gates[:, 2 * H : 3 * H], out=self.u)
            c += self.u
            np.tanh(c, out=self.y[t])
            np.multiply(gates[:, 3 * H :], self.y[t], out=self.h[t + 1])

    def backward(self) -> dict[str, np.ndarray]:
        """All steps, last first; what needs no step before is computed for all at once."""
        a, da, H, y = self.a, self.da, self.H, self.y
        T, B, D = self.xs.shape
        f, g, o = a[:, :, H : 2 * H], a[:, :, 2 * H : 3 * H], a[:, :, 3 * H :]
        np.subtract(1, a, out=da)
        da *= a
        dg = da[:, :, 2 * H : 3 * H]
        np.multiply(g, g, out=dg)
        np.subtract(1, dg, out=dg)
        da[:, :, :H] *= g
        da[:, :, H : 2 * H] *= self.c[:-1]
        dg *= a[:, :, :H]
        da[:, :, 3 * H :] *= y
        np.multiply(y, y, out=y)
        np.subtract(1, y, out=y)
        y *= o
        dh, dc, u = 2 * self.h[T] / np.float32(B * H), self.dc, self.u
        dc[:] = 0
        W = np.ascontiguousarray(self.p["W_hh"].T)
        for t in range(T - 1, -1, -1):
            d = da[t]
            np.multiply(dh, y[t], out=u)
            dc += u
            three = d[:, : 3 * H].reshape(B, 3, H)
            three *= dc[:, None, :]
            d[:, 3 * H :] *= dh
            np.matmul(d, W, out=self.dh)
            dh = self.dh
            dc *= f[t]
        flat = da.reshape(T * B, 4 * H)
        dW_xh = self.xs.reshape(T * B, D).T @ flat
        return {"W_xh": dW_xh, "W_hh": self.h[:-1].reshape(T * B, H).T @ flat, "b_h": flat.sum(0)}


def contestants(cell: str, size: tuple[int, int, int, int], backends: list[str]) -> dict[str, Any]:
    """Everybody who can take part here, at one size."""
    T, B, D, H = size
    p = parameters(cell, D, H)
    xs = np.random.default_rng(1).standard_normal((T, B, D)).astype(np.float32)
    s0 = np.full((B, H), 0.1 if cell == "odd" else 0, np.float32)
    weights = {name: mg.tensor(v, requires_grad=True, name=name) for name, v in p.items()}
    state, loss_fn = (s0,) * STATES[cell], loss_of(cell)

    def eager() -> None:
        for w in weights.values():
            w.grad = None
        loss_fn(weights, xs, state).backward()

    runs: dict[str, Callable[[], object]] = {"minigrad eager": eager}
    for backend in backends:
        step = mg.compile(loss_fn, backend=backend)
        start = time.perf_counter()
        step(weights, xs, state)
        print(f"  {cell} {size}: {backend} compiled in {time.perf_counter() - start:.2f} s")
        runs[f"minigrad {backend}"] = lambda step=step: step(weights, xs, state)
    if cell == "lstm":
        runs["numpy, tuned by hand"] = Tuned(p, xs, H)
    if peer("torch"):
        runs["torch, custom cell"] = torch_step(cell, p, xs, s0)
        if cell != "odd":
            runs["torch, fused layer"] = torch_fused(cell, xs, H)
    if peer("jax"):
        runs["jax, jit + scan"] = jax_scan(cell, p, xs, s0)
    return runs


def main(quick: bool = False) -> None:
    """Race and print, cell by cell and size by size."""
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    backends = ["numpy", "c"]
    rows = []
    for cell in GATES:
        for size in SIZES[:2] if quick else SIZES:
            times = race(contestants(cell, size, backends), 3 if quick else 40)
            base = times.get("torch, custom cell", times["minigrad eager"]).best
            for name, t in times.items():
                rows.append(
                    [f"{cell} {size}  {name}", f"{t.best * 1e3:.3f}", f"{t.best / base:.3f}"]
                )
    base = "torch's custom cell" if peer("torch") else "minigrad's eager step"
    table(
        "One training step, milliseconds (best of many, one thread)",
        ["", "best", f"/ {base}"],
        rows,
    )
