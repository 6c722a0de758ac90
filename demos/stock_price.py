"""Vanilla RNN: how widely will a share trade tomorrow?

A vanilla RNN reads 40 days of IBM and forecasts the next day's range, log(log(high/low) + 0.001).  It is trained by
gradients that come out of an explicit graph of the unrolled network: no code here or in `nn` does backpropagation
through time, the one backward loop does it by walking that graph.  The demo draws the graph of a short window, forward
and backward, and shows how large the gradient still is t steps back.

The last 20 % of the days are the test.  The range can be forecast: it clusters.  The RNN beats "same as today" by a
third and about ties a linear regression on ten days.  The price cannot: --target price shows that "same as today" is
not beaten there, by nobody in the table.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli

WINDOW, HIDDEN, BATCH, RATE, MAX_NORM = 40, 16, 32, 0.003, 1.0


class Forecaster(nn.Module):
    """A vanilla RNN over the window, and a line from its last state:  o = h W_hq + b_q."""

    def __init__(self) -> None:
        self.rnn = nn.RNN(1, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)
        for W in (self.rnn.l0.W_xh, self.head.W):
            W.data = (
                0.4 * W.data
            )  # one column or row alone: a smaller start did better in validation

    def forward(self, xs):
        """xs (T, B, 1) -> forecast (B, 1)."""
        ys, _ = self.rnn(xs)
        return self.head(ys[-1])


def series(target: str) -> np.ndarray:
    """One number a day: the log range, or the log return of the adjusted close."""
    days = np.array(
        [line.split(",")[1:] for line in cli.text("ibm-daily-2000-2013.csv.gz").split()[1:]], float
    )
    _, high, low, _, _, adjusted = days.T
    return np.log(np.log(high / low) + 0.001) if target == "range" else np.diff(np.log(adjusted))


def baselines(X: np.ndarray, y: np.ndarray, cut: int, target: str) -> dict[str, np.ndarray]:
    """Forecasts of the test days that cost nothing.  X (days, 40), y (days,)."""

    def line(days: int) -> np.ndarray:
        A = np.column_stack([X[:, -days:], np.ones(len(X))])
        return A[cut:] @ np.linalg.lstsq(A[:cut], y[:cut], rcond=None)[0]

    same = (
        X[cut:, -1] if target == "range" else np.zeros(len(y) - cut)
    )  # the same price: a return of 0
    mean = np.full(len(y) - cut, y[:cut].mean())
    drift = "training mean" if target == "range" else "training mean (drift)"
    return {
        "same as today": same,
        drift: mean,
        "line through today": line(1),
        "linear, 10 days": line(10),
    }


def train(
    net: Forecaster, X: np.ndarray, y: np.ndarray, epochs: int, rng: np.random.Generator
) -> None:
    """Adam on the mean squared error; gradients clipped to a total norm of 1 after each pass."""
    steps = [
        batch
        for _ in range(epochs)
        for batch in np.array_split(rng.permutation(len(X)), len(X) // BATCH + 1)
    ]
    optimizer = nn.Adam(net.parameters(), lr=RATE)
    for k, batch in enumerate(cli.progress(steps, "training")):
        optimizer.param_groups[0]["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * k / len(steps)))
        loss = nn.mse_loss(net(X[batch].T[..., None]), y[batch, None])
        optimizer.zero_grad()
        loss.backward()
        mg.clip_grad_norm_(net, MAX_NORM)
        optimizer.step()


def state_gradients(graph: mg.Graph) -> np.ndarray:
    """‖∂loss/∂h_t‖ for each step t, read off while the backward pass walks by."""
    norms = {}
    for step in graph.backward_steps():
        if step.node.role is not None and step.node.role.kind == "state":
            norms[step.t] = float(np.linalg.norm(step.grad))
    return np.array([norms[t] for t in sorted(norms) if t >= 0])


def show(net: Forecaster, X: np.ndarray, y: np.ndarray, out: cli.Out) -> None:
    """Draw the graph of five days of one window, and the gradient over all 40."""
    short = mg.Graph(nn.mse_loss(net(X[:1, -5:].T[..., None]), y[:1, None]))
    print(f"\n{short}")
    for view in ("ops", "cells"):
        out.graph(f"{view}.svg", short, view=view)
        out.graph(f"{view}-backward.svg", short, view=view, backward=True)
    whole = mg.Graph(nn.mse_loss(net(X[:1].T[..., None]), y[:1, None]))
    out.graph("page.html", whole, title=f"{WINDOW} days back from a forecast")
    norms = state_gradients(mg.Graph(nn.mse_loss(net(X[:BATCH].T[..., None]), y[:BATCH, None])))
    factor = (norms[0] / norms[-1]) ** (1 / (len(norms) - 1))
    print(
        f"\n‖dloss/dh_t‖, t = 0 … {len(norms) - 1}   {cli.bars(norms)}   {norms[0]:.1e} … {norms[-1]:.1e}"
    )
    left = 100 * norms[0] / norms[-1]
    print(
        f"one step back multiplies it by {factor:.2f}; of the last day's gradient the first day gets {left:.2g} %"
    )

    def draw(axes) -> None:
        axes.semilogy(norms, ".-")
        axes.set(xlabel="t (days; the forecast is made after the last)", ylabel="‖∂loss/∂h_t‖")
        axes.grid(alpha=0.3)

    out.plot("gradient.png", draw)


def conclusion(errors: dict[str, float], target: str) -> str:
    """What the table says, in a sentence."""
    ours = list(errors.values())[-1]
    if target == "price":
        best = min(errors.values()) / errors["same as today"] - 1
        return f'The best is {100 * best:+.1f} % from "tomorrow = today", which is noise: prices are not forecast here.'
    against = 100 * (ours / errors["linear, 10 days"] - 1)
    how = "worse" if against > 0 else "better"
    if abs(against) < 5:
        how = "about a tie"
    return f"Against the linear regression on ten days the RNN is {against:+.1f} %: {how}."


def main(args) -> None:
    values = series(args.target)
    X, y = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[:-1], values[WINDOW:]
    cut = int(0.8 * len(y))
    mean, scale = values[: cut + WINDOW].mean(), values[: cut + WINDOW].std()
    X_unit, y_unit = (X - mean) / scale, (y - mean) / scale
    net = Forecaster()
    epochs = args.epochs or (1 if args.quick else 20)
    train(net, X_unit[:cut], y_unit[:cut], epochs, np.random.default_rng(args.seed))
    with mg.no_grad():
        ours = net(X_unit[cut:].T[..., None]).data[:, 0] * scale + mean
    forecasts = baselines(X, y, cut, args.target) | {f"RNN, {HIDDEN} states, {WINDOW} days": ours}
    errors = {
        name: float(np.mean((forecast - y[cut:]) ** 2)) for name, forecast in forecasts.items()
    }
    unit = 1 if args.target == "range" else 1e-4
    what = "log range" if args.target == "range" else "log price, in units of 1e-4"
    persistence = errors["same as today"]
    rows = [
        [name, error / unit, f"{100 * (error / persistence - 1):+.1f} %"]
        for name, error in errors.items()
    ]
    cli.table(
        [f"next day's {what}: {len(y) - cut} test days", "MSE", "against same as today"], rows
    )
    print(f"\n  {conclusion(errors, args.target)}")
    show(net, X_unit[cut:], y_unit[cut:], args.out)


if __name__ == "__main__":
    target = (
        "--target",
        {"choices": ["range", "price"], "default": "range", "help": "what to forecast"},
    )
    epochs = (
        "--epochs",
        {
            "type": cli.positive,
            "metavar": "N",
            "help": "passes over the training days (default 20)",
        },
    )
    cli.run(main, "stock_price", __doc__, target, epochs)
