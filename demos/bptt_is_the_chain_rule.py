"""BPTT is the chain rule: four ways to the gradient of a recurrent weight, one answer.

A vanilla RNN, h_t = tanh(x_t + h_{t-1} W), with a loss at every step.  The gradient of W is computed
  by the backward loop of the engine, which knows nothing of time (that is backpropagation through time),
  by backpropagation through time written out by hand,
  by forward mode, one direction of W at a time (that is real-time recurrent learning), and
  by nudging each weight (finite differences).
All in float64.  Then the same gradient step by step: each step adds its part to the one weight that all share.
"""

import time

import numpy as np

import minigrad as mg
from demos import cli
from demos.cli import say


def loss_of(W, xs: np.ndarray):
    """Σ over all steps of the mean of h²; in plain NumPy when W is an array, in a graph when it is a tensor."""
    h, total = np.zeros(xs.shape[1:]), 0.0
    for _, x in mg.timesteps(xs) if isinstance(W, mg.Tensor) else enumerate(xs):
        h = np.tanh(x + h @ W)
        total = total + np.mean(h * h)
    return total


def by_the_engine(W: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """One walk over the graph, last node first."""
    weight = mg.tensor(W, requires_grad=True)
    return mg.grad(loss_of(weight, xs), weight)[0].data


def by_hand(W: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """Forward, keeping every h; backward, with dh carried from step to step."""
    hs = [np.zeros(xs.shape[1:])]
    for x in xs:
        hs.append(np.tanh(x + hs[-1] @ W))
    dW, dh = np.zeros_like(W), np.zeros_like(hs[0])
    for h_prev, h in zip(reversed(hs[:-1]), reversed(hs[1:]), strict=True):
        dh = dh + 2 * h / h.size
        da = dh * (1 - h * h)
        dW += h_prev.T @ da
        dh = da @ W.T
    return dW


def by_forward_mode(W: np.ndarray, xs: np.ndarray) -> np.ndarray:
    """∂loss/∂W[i, j] as the slope along that one direction."""
    dW = np.zeros_like(W)
    for place in np.ndindex(W.shape):
        direction = np.zeros_like(W)
        direction[place] = 1
        dW[place] = mg.jvp(lambda weight: loss_of(weight, xs), W, direction)[1].item()
    return dW


def by_nudging(W: np.ndarray, xs: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """(loss(W + ε) − loss(W − ε)) / 2ε for each weight."""
    dW = np.zeros_like(W)
    for place in np.ndindex(W.shape):
        ends = []
        for sign in (1, -1):
            nudged = W.copy()
            nudged[place] += sign * eps
            ends.append(loss_of(nudged, xs))
        dW[place] = (ends[0] - ends[1]) / (2 * eps)
    return dW


WAYS = {
    "the engine's backward loop": by_the_engine,
    "BPTT by hand": by_hand,
    "forward mode (RTRL)": by_forward_mode,
    "finite differences": by_nudging,
}


def main(args) -> cli.Table:
    T, H = (args.T or 5, 3) if args.quick else (args.T or 40, 6)
    rng = np.random.default_rng(args.seed)
    W, xs = rng.normal(size=(H, H)) / np.sqrt(H), rng.normal(size=(T, 4, H))
    exact, rows = by_hand(W, xs), []
    for name, way in WAYS.items():
        start = time.perf_counter()
        dW = way(W, xs)
        apart = np.abs(dW - exact).max() / np.abs(exact).max()
        milliseconds = 1000 * (time.perf_counter() - start)
        rows.append((say(name), float(dW[0, 0]), float(apart), milliseconds))
    columns = {"W[0, 0]": "{:+.12f}", say("relative error"): "{:.0e}", "ms": "{:.1f}"}
    found = cli.Table(f"∂loss/∂W, T = {T}, H = {H}", columns, rows)
    print(found)

    weight = mg.tensor(W, requires_grad=True, name="W")
    graph = mg.Graph(loss_of(weight, xs))
    parts = graph.grad_by_step("W", norms=True)
    text = "|what each step adds to ∂loss/∂W|, t = 0 ... {}:  {}"
    print("\n" + say(text, T - 1, cli.bars(parts)))
    total = graph.grad_by_step("W").sum(axis=0)
    text = "the parts of all steps add up to the gradient: relative error {:.0e}"
    print(say(text, np.abs(total / exact - 1).max()))
    print("\n" + say("The first three stops of the backward loop, which does nothing else:"))
    for step in list(graph.backward_steps())[:3]:
        print(f"  {step}")
    short = mg.Graph(loss_of(weight, xs[:5]))
    args.out.graph("graph.svg", short, view="ops", backward=True)
    return found


STEPS = {"type": cli.length, "usual": 40, "metavar": "T", "help": "steps"}
OPTIONS = (("-T", STEPS),)

if __name__ == "__main__":
    cli.run(main, "bptt_is_the_chain_rule", __doc__, OPTIONS)
