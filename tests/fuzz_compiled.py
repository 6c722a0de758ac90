"""Random cells, compiled for as long as one likes, and compared with the engine: `python -m tests.fuzz_compiled`.

Each cell is compiled to NumPy in float32 and float64, bit for bit (exact=True), and to C in both.
float64 must agree to 1e-12, relative to the gradient.  float32 must agree to 1e-6, or be as near to
the float64 gradients as the engine itself: where terms cancel, nobody is nearer.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.program import native
from minigrad.program.errors import CompileError
from tests.minigrad.program.test_random_cells import B, D, H, RandomCell

WAYS = {
    "NumPy float32": ("numpy", False, np.float32),
    "NumPy float64": ("numpy", False, np.float64),
    "exact float32": ("numpy", True, np.float32),
    "exact float64": ("numpy", True, np.float64),
    "C float32": ("c", False, np.float32),
    "C float64": ("c", False, np.float64),
}


def cast(weights: dict[str, mg.Tensor], dtype: Any) -> dict[str, mg.Tensor]:
    """The weights in another precision."""
    return {
        name: mg.tensor(w.data.astype(dtype), requires_grad=True) for name, w in weights.items()
    }


def eager(cell: RandomCell, weights: Any, xs: Any, ys: Any) -> dict[str, np.ndarray]:
    """The gradients by the engine."""
    for leaf in weights.values():
        leaf.grad = None
    cell.loss(weights, xs, ys).backward()
    return {name: w.grad.data for name, w in weights.items() if w.grad is not None}


def distance(found: Any, wanted: Any) -> float:
    """The largest relative distance of a gradient; what cancels counts by the largest of all."""
    largest = max(float(np.linalg.norm(dx)) for dx in wanted.values())
    sizes = {name: max(float(np.linalg.norm(dx)), 1e-3 * largest) for name, dx in wanted.items()}
    return max(
        float(np.linalg.norm(found[name] - dx)) / (sizes[name] or 1.0)
        for name, dx in wanted.items()
    )


def judged(seed: int, way: str) -> tuple[str, float]:
    """One cell in one way: "right", "refused", or what is wrong; and its distance from the engine."""
    backend, exact, dtype = WAYS[way]
    mg.set_default_dtype(dtype)
    cell = RandomCell(seed)
    weights, double = cast(cell.weights, dtype), cast(cell.weights, np.float64)
    step, worst = mg.compile(cell.loss, backend=backend, exact=exact), 0.0
    try:
        for T in (8, 3, 13):
            xs = cell.rng.standard_normal((T, B, D)).astype(dtype)
            ys = cell.rng.standard_normal((T, B, H)).astype(dtype)
            _, grads = step(weights, xs, ys)
            mine = {name.split("'")[1]: dx for name, dx in grads.items()}
            wanted = eager(cell, weights, xs, ys)
            apart = distance(mine, wanted)
            worst = max(worst, apart)
            limit = 1e-6 if dtype == np.float32 else 1e-12
            if apart <= (0 if exact else limit):
                continue
            if exact or dtype == np.float64:
                return "WRONG", apart
            mg.set_default_dtype(np.float64)
            truth = eager(cell, double, xs.astype(np.float64), ys.astype(np.float64))
            mg.set_default_dtype(dtype)
            if distance(mine, truth) > 1e-6 + 4 * distance(wanted, truth):
                return "WRONG", apart
    except CompileError:
        return "refused", worst
    finally:
        mg.set_default_dtype(np.float32)
    return "right", worst


def main() -> int:
    """Fuzz for some time; print the counts, and each cell that is wrong."""
    parser = argparse.ArgumentParser("python -m tests.fuzz_compiled", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=1000, help="the first cell (default 1000)")
    options = parser.parse_args()
    native.FLAGS = tuple("-O1" if flag == "-O3" else flag for flag in native.FLAGS)
    counts = {way: dict.fromkeys(("right", "refused", "WRONG", "ERROR"), 0) for way in WAYS}
    furthest = dict.fromkeys(WAYS, 0.0)
    end, seed = time.monotonic() + options.seconds, options.seed
    np.seterr(all="ignore")
    while time.monotonic() < end:
        for way in WAYS:
            try:
                found, apart = judged(seed, way)
            except Exception:
                found, apart = "ERROR", 0.0
                traceback.print_exc()
            counts[way][found] += 1
            furthest[way] = max(furthest[way], apart)
            if found in ("WRONG", "ERROR"):
                print(f"{found}: cell {seed}, {way}, {apart:.1e}", flush=True)
        seed += 1
    for way, numbers in counts.items():
        text = ", ".join(f"{n} {word}" for word, n in numbers.items())
        print(f"{way:14} {text}; furthest from the engine {furthest[way]:.1e}")
    return sum(n["WRONG"] + n["ERROR"] for n in counts.values())


if __name__ == "__main__":
    sys.exit(main())
