"""Compiled training steps of custom cells (LSTM, GRU, an odd one), beside PyTorch, JAX and NumPy by hand.

One step is the forward pass, the loss (the mean square of the last h) and all gradients.  PyTorch's
custom cell is written in the same operations; its fused layers, `torch.compile`, JAX's jit + scan,
autograd and MyGrad run where they are installed.  Ratios are to PyTorch's eager custom cell.
Times are of the processor, of all threads together, so that other programs count little.
"""

import gc
import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from benchmarks.measure import Times, peer, race, table, verdict

SIZES = [(50, 1, 16, 32), (50, 16, 32, 64), (100, 32, 64, 128)]  # (T, B, D, H)
HAND, CUSTOM, FUSED = (1.1, 1.1, 1.25), (0.03, 0.25, 0.5), (1, 1, 1.1)  # what is aimed at
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


class Plain:
    """The same LSTM in NumPy, step by step, as one writes it down from the textbook."""

    def __init__(self, p: dict[str, np.ndarray], xs: np.ndarray, H: int) -> None:
        self.p, self.xs, self.H = p, xs, H

    def __call__(self) -> dict[str, np.ndarray]:
        """One step; the gradients."""
        W_xh, W_hh, b_h = self.p.values()
        h = c = np.zeros((self.xs.shape[1], self.H), np.float32)
        kept = []
        for x in self.xs:
            i, f, g, o = np.split(x @ W_xh + h @ W_hh + b_h, 4, axis=1)
            i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
            g, before, c_before = np.tanh(g), h, c
            c = f * c + i * g
            y = np.tanh(c)
            h = o * y
            kept.append((x, before, c_before, i, f, g, o, y))
        grads = [np.zeros_like(p) for p in (W_xh, W_hh, b_h)]
        dh, dc = 2 * h / np.float32(h.size), np.zeros_like(h)
        for x, before, c_before, i, f, g, o, y in reversed(kept):
            do, dc = dh * y, dc + dh * o * (1 - y * y)
            gates = (dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g * g))
            da = np.concatenate([*gates, do * o * (1 - o)], axis=1)
            grads[0] += x.T @ da
            grads[1] += before.T @ da
            grads[2] += da.sum(0)
            dh, dc = da @ W_hh.T, dc * f
        return dict(zip(self.p, grads, strict=True))


def autograd_step(cell: str, p: dict[str, np.ndarray], xs: np.ndarray, s0: np.ndarray) -> Any:
    """HIPS autograd."""
    anp, grad = peer("autograd.numpy"), peer("autograd").grad

    class Autograd:
        tanh = anp.tanh

        @staticmethod
        def sigmoid(x: Any) -> Any:
            return 1 / (1 + anp.exp(-x))

        @staticmethod
        def split(x: Any, n: int) -> Any:
            return anp.split(x, n, -1)

    def loss(weights: Any) -> Any:
        state = (s0,) * STATES[cell]
        for x in xs:
            state = one_step(Autograd, cell, weights, x, state)
        return (state[0] * state[0]).mean()

    run = grad(loss)
    return lambda: run(p)


def mygrad_step(cell: str, p: dict[str, np.ndarray], xs: np.ndarray, s0: np.ndarray) -> Any:
    """MyGrad."""
    my = peer("mygrad")

    class MyGrad:
        tanh = my.tanh

        @staticmethod
        def sigmoid(x: Any) -> Any:
            return 1 / (1 + my.exp(-x))

        @staticmethod
        def split(x: Any, n: int) -> Any:
            H = x.shape[-1] // n
            return [x[..., k * H : (k + 1) * H] for k in range(n)]

    def run() -> None:
        weights = {name: my.tensor(v) for name, v in p.items()}
        state = (s0,) * STATES[cell]
        for x in xs:
            state = one_step(MyGrad, cell, weights, x, state)
        (state[0] * state[0]).mean().backward()

    return run


def contestants(
    cell: str, size: tuple[int, int, int, int], dtype: Any, peers: bool, compiling: dict[str, float]
) -> dict[str, Any]:
    """Everybody who can take part here, at one size; `compiling` gets seconds beyond three eager passes."""
    T, B, D, H = size
    p = {name: w.astype(dtype) for name, w in parameters(cell, D, H).items()}
    xs = np.random.default_rng(1).standard_normal((T, B, D)).astype(dtype)
    s0 = np.full((B, H), 0.1 if cell == "odd" else 0, dtype)
    weights = {name: mg.tensor(v, requires_grad=True, name=name) for name, v in p.items()}
    state, loss_fn = (s0,) * STATES[cell], loss_of(cell)

    def eager() -> None:
        for w in weights.values():
            w.grad = None
        loss_fn(weights, xs, state).backward()

    eager()
    start = time.perf_counter()
    eager()
    once = time.perf_counter() - start
    runs: dict[str, Callable[[], object]] = {"minigrad eager": eager}
    for backend in ("numpy", "c"):
        step = mg.compile(loss_fn, backend=backend)
        start = time.perf_counter()
        step(weights, xs, state)
        compiling[backend] = time.perf_counter() - start - 3 * once
        runs[f"minigrad {backend}"] = lambda step=step: step(weights, xs, state)
    if cell == "lstm" and dtype == np.float32:
        runs["numpy, tuned by hand"] = Tuned(p, xs, H)
        runs["numpy, plain"] = Plain(p, xs, H)
    if peer("torch"):
        runs["torch, custom cell"] = torch_step(cell, p, xs, s0)
        if cell != "odd" and dtype == np.float32:
            runs["torch, fused layer"] = torch_fused(cell, xs, H)
    if peers and dtype == np.float32:
        if peer("jax"):
            runs["jax, jit + scan"] = jax_scan(cell, p, xs, s0)
        if peer("autograd"):
            runs["autograd"] = autograd_step(cell, p, xs, s0)
        if peer("mygrad"):
            runs["mygrad"] = mygrad_step(cell, p, xs, s0)
    return runs


def torch_compiled(size: tuple[int, int, int, int]) -> str:
    """torch.compile of the custom LSTM's step: its time, or why there is none."""
    torch = peer("torch")
    T, B, D, H = size
    p = {name: torch.tensor(v, requires_grad=True) for name, v in parameters("lstm", D, H).items()}
    xs, zeros = torch.randn(T, B, D), torch.zeros(B, H)

    @torch.compile
    def step(x: Any, h: Any, c: Any, W_xh: Any, W_hh: Any, b_h: Any) -> Any:
        i, f, g, o = (x @ W_xh + h @ W_hh + b_h).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def run() -> None:
        h = c = zeros
        for x in xs:
            h, c = step(x, h, c, *p.values())
        (h * h).mean().backward()

    start = time.perf_counter()
    try:
        run()
    except Exception as error:
        return f"fails: {str(error).strip().splitlines()[0][:80]}"
    compiled = time.perf_counter() - start
    times = race({"torch.compile": run, "eager": torch_step("lstm", *_arrays("lstm", size))}, 5)
    ratio = times["torch.compile"].best / times["eager"].best
    return f"{ratio:.2f} of the eager custom cell; compiling took {compiled:.0f} s"


def _arrays(cell: str, size: tuple[int, int, int, int]) -> tuple[Any, ...]:
    T, B, D, H = size
    xs = np.random.default_rng(1).standard_normal((T, B, D)).astype(np.float32)
    return parameters(cell, D, H), xs, np.zeros((B, H), np.float32)


class Race(NamedTuple):
    """One line-up: a cell, a size, a dtype, how often, and whether slow peers take part."""

    cell: str
    size: tuple[int, int, int, int]
    dtype: Any
    repeats: int
    peers: bool = True


def races(quick: bool) -> list[Race]:
    """All line-ups."""
    sizes = SIZES[:1] if quick else SIZES
    found = [Race(cell, size, np.float32, 3 if quick else 6) for cell in GATES for size in sizes]
    found += [Race("lstm", size, np.float64, 3 if quick else 6) for size in sizes]
    if not quick:
        found += [Race("lstm", (T, 16, 32, 64), np.float32, 3, False) for T in (1000, 10_000)]
    return found


def verdicts(times: dict[str, Times], size: tuple[int, int, int, int]) -> list[str]:
    """The aims of this project, kept or missed at one size of the LSTM."""
    place = SIZES.index(size)
    numpy, c = times["minigrad numpy"].best, times["minigrad c"].best
    found = [(f"{size} NumPy / tuned by hand", numpy / times["numpy, tuned by hand"].best, HAND)]
    if "torch, custom cell" in times:
        found.append((f"{size} C / torch, custom", c / times["torch, custom cell"].best, CUSTOM))
        found.append((f"{size} C / torch, fused", c / times["torch, fused layer"].best, FUSED))
    if "jax, jit + scan" in times:
        found.append((f"{size} C / jax", c / times["jax, jit + scan"].best, (1, 1, 1)))
    return [f"  {what}: {verdict(ratio, aims[place])}" for what, ratio, aims in found]


MEMORY = ("eager", "NumPy", "C")


def memory(quick: bool) -> list[list[str]]:
    """The most that one step holds at a time: arrays, graph, gradients."""
    return [
        [str(T), *(f"{size / 1e6:.1f}" for size in _sizes(T))]
        for T in ((100, 200) if quick else (100, 1000, 10_000))
    ]


def _sizes(T: int) -> list[int]:
    p, xs, s0 = _arrays("lstm", (T, 16, 32, 64))
    weights = {name: mg.tensor(v, requires_grad=True) for name, v in p.items()}
    loss_fn = loss_of("lstm")
    steps = [mg.compile(loss_fn, backend=backend) for backend in ("numpy", "c")]
    runs: list[Callable[..., Any]] = [lambda *given: loss_fn(*given).backward(), *steps]
    return [_most(lambda run=run: run(weights, xs, (s0, s0))) for run in runs]  # type: ignore[misc]


def _most(run: Callable[[], object]) -> int:
    """The bytes that a second run holds at most, with those that the first one has kept."""
    tracemalloc.start()
    run()
    gc.collect()
    tracemalloc.reset_peak()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def summary(ratios: dict[str, dict[tuple[int, ...], float]]) -> None:
    """The LSTM at all sizes, as parts of the time of PyTorch's custom cell."""
    sizes = list(dict.fromkeys(size for found in ratios.values() for size in found))
    rows = [
        [name, *(f"{found[size]:.3f}" if size in found else "" for size in sizes)]
        for name, found in ratios.items()
    ]
    table("LSTM, float32: parts of the time of the base", ["(T, B, D, H)", *map(str, sizes)], rows)


def main(quick: bool = False) -> None:
    """Race and print, cell by cell and size by size."""
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    rows, kept, compiling = [], [], []
    ratios: dict[str, dict[tuple[int, ...], float]] = {}
    for one in races(quick):
        seconds: dict[str, float] = {}
        runs = contestants(one.cell, one.size, one.dtype, one.peers, seconds)
        at_once = 3 if one.size in SIZES else 1
        times = race(runs, one.repeats, at_once, clock=time.process_time)
        base = times.get("torch, custom cell", times["minigrad eager"]).best
        title = f"{one.cell} {one.size}{' float64' if one.dtype == np.float64 else ''}"
        for name, t in times.items():
            rows.append([f"{title}  {name}", f"{t.best * 1e3:.3f}", f"{t.best / base:.3f}"])
            if one.cell == "lstm" and one.dtype == np.float32:
                ratios.setdefault(name, {})[one.size] = t.best / base
        compiling.append([title, *(f"{seconds[backend]:.2f}" for backend in seconds)])
        if one.cell == "lstm" and one.size in SIZES and one.dtype == np.float32:
            kept += verdicts(times, one.size)
    base_name = "torch's custom cell" if peer("torch") else "minigrad's eager step"
    heading = ["", "best", f"/ {base_name}"]
    table("One training step, milliseconds of one processor (best of many)", heading, rows)
    summary(ratios)
    table("Compiling, seconds beyond three eager passes", ["", "NumPy", "C"], compiling)
    table("Memory of one step of the LSTM, megabytes", ["T", *MEMORY], memory(quick))
    print("\n".join(kept))
    if peer("torch") and not quick:
        print(f"  torch.compile, {SIZES[1]}: {torch_compiled(SIZES[1])}")
