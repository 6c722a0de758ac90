"""An LSTM written out in plain operations, and `nn.LSTM`: forward and backpropagation through time.

Packed weights (D, 4H), (H, 4H), gates by splitting; the PyTorch cell is written in the same operations.  Loss: the mean
square of the last h.
"""

from collections.abc import Callable

import numpy as np

import minigrad as mg
import nn
from benchmarks.measure import peer, race, table, verdict

SIZES = {
    (50, 1, 16, 32): 1.1,
    (50, 16, 32, 64): 1.1,
    (100, 32, 64, 128): 1.25,
}  # (T, B, D, H): target against torch


def arrays(T: int, B: int, D: int, H: int) -> list[np.ndarray]:
    """xs (T, B, D), W_xh (D, 4H), W_hh (H, 4H), b_h (4H), and the zeros that h and c start from; float32."""
    rng = np.random.default_rng(0)
    xs, W_xh, W_hh = (
        rng.standard_normal((T, B, D)),
        rng.standard_normal((D, 4 * H)),
        rng.standard_normal((H, 4 * H)),
    )
    parts = [
        xs,
        W_xh / np.sqrt(D),
        W_hh / np.sqrt(H),
        np.zeros(4 * H),
        np.zeros((B, H)),
        np.zeros((B, H)),
    ]
    return [part.astype(np.float32) for part in parts]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function by tanh, which does not overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def by_hand(
    xs: np.ndarray,
    W_xh: np.ndarray,
    W_hh: np.ndarray,
    b_h: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
) -> tuple:
    """BPTT as one writes it for one cell, step by step: (dW_xh, dW_hh, db_h)."""
    tape = []
    for x in xs:
        i, f, g, o = np.split(x @ W_xh + h @ W_hh + b_h, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_new = f * c + i * g
        y = np.tanh(c_new)
        tape.append((x, h, c, i, f, g, o, y))
        h, c = o * y, c_new
    dW_xh, dW_hh, db_h = np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(b_h)
    dh, dc = 2 * h / h.size, np.zeros_like(c)
    for x, h_prev, c_prev, i, f, g, o, y in reversed(tape):
        dc = dc + dh * o * (1 - y * y)
        gates = [
            dc * g * i * (1 - i),
            dc * c_prev * f * (1 - f),
            dc * i * (1 - g * g),
            dh * y * o * (1 - o),
        ]
        dz = np.concatenate(gates, axis=1)
        dW_xh += x.T @ dz
        dW_hh += h_prev.T @ dz
        db_h += dz.sum(axis=0)
        dh, dc = dz @ W_hh.T, dc * f
    return dW_xh, dW_hh, db_h


def minigrad(
    xs: np.ndarray,
    W_xh: np.ndarray,
    W_hh: np.ndarray,
    b_h: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
) -> tuple:
    """The cell in minigrad's operations."""
    W_xh, W_hh, b_h = weights = [mg.tensor(W, requires_grad=True) for W in (W_xh, W_hh, b_h)]
    for _, x in mg.timesteps(xs):
        i, f, g, o = np.split(x @ W_xh + h @ W_hh + b_h, 4, axis=1)
        c = mg.sigmoid(f) * c + mg.sigmoid(i) * np.tanh(g)
        h = mg.sigmoid(o) * np.tanh(c)
    (h * h).mean().backward()
    return tuple(W.grad.data for W in weights)


def torch_eager(xs: np.ndarray, *others: np.ndarray) -> tuple:
    """The same cell in PyTorch's eager operations."""
    torch = peer("torch")
    W_xh, W_hh, b_h = weights = [torch.tensor(W, requires_grad=True) for W in others[:3]]
    h, c = (torch.tensor(s) for s in others[3:])
    for x in torch.tensor(xs):
        i, f, g, o = (x @ W_xh + h @ W_hh + b_h).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    (h * h).mean().backward()
    return tuple(W.grad.numpy() for W in weights)


def layer(T: int, B: int, D: int, H: int) -> Callable[[], object]:
    """`nn.LSTM` of that size on random input."""
    lstm, xs = nn.LSTM(D, H), arrays(T, B, D, H)[0]

    def run() -> None:
        lstm.zero_grad()
        _, (h, _) = lstm(xs)
        (h * h).mean().backward()

    return run


def torch_cells(T: int, B: int, D: int, H: int) -> Callable[[], object]:
    """A loop over PyTorch's own LSTMCell, a fused kernel."""
    torch = peer("torch")
    cell, xs = torch.nn.LSTMCell(D, H), torch.tensor(arrays(T, B, D, H)[0])

    def run() -> None:
        cell.zero_grad()
        h, c = torch.zeros(B, H), torch.zeros(B, H)
        for x in xs:
            h, c = cell(x, (h, c))
        (h * h).mean().backward()

    return run


def contestants(size: tuple[int, int, int, int]) -> dict[str, Callable[[], object]]:
    """Everybody who can take part here, at one size."""
    data = arrays(*size)
    written = {"numpy by hand": by_hand, "minigrad": minigrad}
    written |= {"torch": torch_eager} if peer("torch") else {}
    runs: dict[str, Callable[[], object]] = {
        name: lambda run=run: run(*data) for name, run in written.items()
    }
    runs["nn.LSTM"] = layer(*size)
    return runs | ({"torch LSTMCell": torch_cells(*size)} if peer("torch") else {})


def main(quick: bool = False) -> None:
    """Race and print, size by size."""
    rows, verdicts = [], []
    for size, target in SIZES.items():
        usual = 40 if size[1] == 1 else 25
        times = race(contestants(size), 2 if quick else usual)
        for name, t in times.items():
            ours = times["nn.LSTM" if "LSTM" in name else "minigrad"]
            best, median = f"{t.best * 1e3:.2f}", f"{t.median * 1e3:.2f}"
            rows.append([f"{size}  {name}", best, median, f"{ours.best / t.best:.2f}"])
        if "torch" in times:
            ratio = times["minigrad"].best / times["torch"].best
            verdicts.append(f"  {size} minigrad / torch eager: {verdict(ratio, target)}")
    title = "LSTM written out and as a layer, forward + BPTT, at (T, B, D, H) (milliseconds)"
    table(title, ["", "best", "median", "minigrad / this"], rows)
    print("\n".join(verdicts) or "  torch is not installed; with it:  pip install -e '.[peers]'")
