"""A chain of tiny operations, forward and backward: what the engine itself costs for each operation.

Everything is on: time labels, provenance, read-only arrays, and the backward loop is the one that can be stepped.
"""

from collections.abc import Callable

import numpy as np

import minigrad as mg
from benchmarks.measure import peer, race, table, verdict

TURNS, PER_TURN = 250, 4  # h = tanh(h * W + b) * h: four operations a turn


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, b and the first h, each (4, 4) float32."""
    rng = np.random.default_rng(0)
    W, b, h = (rng.standard_normal((3, 4, 4)) * [[[0.5]], [[1.0]], [[1.0]]]).astype(np.float32)
    return W, b, h


def by_hand() -> np.ndarray:
    """The chain and its derivative written in bare NumPy: ∂loss/∂W."""
    W, b, h = arrays()
    tape = []
    for _ in range(TURNS):
        y = np.tanh(h * W + b)
        tape.append((h, y))
        h = y * h
    dh, dW, db = np.ones_like(h), np.zeros_like(W), np.zeros_like(b)
    for h, y in reversed(tape):
        da = dh * h * (1 - y * y)
        dW += da * h
        db += da
        dh = dh * y + da * W
    return dW


def minigrad() -> np.ndarray:
    """The same with minigrad, inside a labelled time step."""
    W, b, h = (mg.tensor(a, requires_grad=True) for a in arrays())
    leaf = W
    with mg.time_step(0):
        for _ in range(TURNS):
            h = mg.tanh(h * W + b) * h
    h.backward(np.ones((4, 4), np.float32))
    return leaf.grad.data


def torch_eager() -> np.ndarray:
    """The same in PyTorch's eager mode."""
    torch = peer("torch")
    W, b, h = (torch.tensor(a, requires_grad=True) for a in arrays())
    for _ in range(TURNS):
        h = torch.tanh(h * W + b) * h
    h.backward(torch.ones(4, 4))
    return W.grad.numpy()


def autograd() -> np.ndarray:
    """The same with HIPS/autograd."""
    anp, make_vjp = peer("autograd.numpy"), peer("autograd").make_vjp

    def chain(W: np.ndarray, b: np.ndarray, h: np.ndarray) -> np.ndarray:
        for _ in range(TURNS):
            h = anp.tanh(h * W + b) * h
        return h

    vjp, _ = make_vjp(chain, (0, 1, 2))(*arrays())
    return vjp(np.ones((4, 4), np.float32))[0]


def mygrad() -> np.ndarray:
    """The same with MyGrad."""
    my = peer("mygrad")
    W, b, h = (my.tensor(a) for a in arrays())
    for _ in range(TURNS):
        h = my.tanh(h * W + b) * h
    h.sum().backward()
    return W.grad


def contestants() -> dict[str, Callable[[], np.ndarray]]:
    """Everybody who can take part here."""
    peers = {"torch": torch_eager, "autograd": autograd, "mygrad": mygrad}
    return {
        "numpy by hand": by_hand,
        "minigrad": minigrad,
        **{n: run for n, run in peers.items() if peer(n)},
    }


def main(quick: bool = False) -> None:
    """Race and print."""
    times = race(contestants(), 3 if quick else 60)
    count = TURNS * PER_TURN
    ours, hand = times["minigrad"], times["numpy by hand"]
    rows = [
        [
            name,
            f"{t.best / count * 1e6:.2f}",
            f"{t.median / count * 1e6:.2f}",
            f"{ours.best / t.best:.2f}",
        ]
        for name, t in times.items()
    ]
    table(
        "chain of tiny operations, 4 x 4, forward + backward (microseconds per operation)",
        ["", "best", "median", "minigrad / this"],
        rows,
    )
    print(f"  minigrad / numpy by hand: {verdict(ours.best / hand.best, 4.4)}")
    if "torch" in times:
        print(f"  minigrad / torch eager:   {verdict(ours.best / times['torch'].best, 0.75)}")
    else:
        print("  torch is not installed; with it:  pip install -e '.[peers]'")
