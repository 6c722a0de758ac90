"""A first RNN: how many sunspots next year?

The sun's spots come and go in about eleven years.  One year's number does not say whether they are
on the rise or on the wane; a state that remembers does.  The textbook's network, `nn.VanillaRNN`
with eight states, reads the years since 1700 one by one and says after each what the next will
bring; the loss is counted at every step.  It is drawn rolled up and unrolled, in the textbook's
letters.

The last fifth of the years (from 1947) is the test.  The RNN beats what has no memory by far, and
an autoregression of two years too; one of nine years, a line that is fitted in a moment, is better
still.  Then the state is looked at: its path over the years goes round and round, and its rhythm
is that of the sun.
"""

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from demos.training import descend

HIDDEN, WINDOW, BATCH, SKIP = 8, 60, 16, 8


def spots() -> tuple[np.ndarray, np.ndarray]:
    """The years, and the number of spots in each."""
    file = cli.DATA / "sunspots-yearly.csv"
    return tuple(np.loadtxt(file, delimiter=",", skiprows=1).T)


def autoregression(u: np.ndarray, cut: int, years: int) -> np.ndarray:
    """Forecasts of u[cut:], each a line through so many years before it."""
    X = np.lib.stride_tricks.sliding_window_view(u, years)[:-1]
    X, fitted = np.column_stack([X, np.ones(len(X))]), cut - years
    weights = np.linalg.lstsq(X[:fitted], u[years:cut], rcond=None)[0]
    return X[fitted:] @ weights


def memoryless(u: np.ndarray, cut: int, updates: int, rng: np.random.Generator) -> np.ndarray:
    """Forecasts of u[cut:] by two layers that see one year."""
    net = nn.Sequential(nn.Linear(1, HIDDEN), np.tanh, nn.Linear(HIDDEN, 1))

    def loss():
        k = rng.integers(0, cut - 1, BATCH * WINDOW)
        return nn.mse_loss(net(u[k, None]), u[k + 1, None])

    descend(net, loss, updates, 0.01, say("two layers"))
    with mg.no_grad():
        return net(u[cut - 1 : -1, None]).data[:, 0]


def train(net: nn.VanillaRNN, u: np.ndarray, updates: int, rng: np.random.Generator) -> None:
    """Windows of 60 years; the first eight only set the state."""

    def loss():
        starts = rng.integers(0, len(u) - WINDOW, BATCH)
        window = np.stack([u[k : k + WINDOW + 1] for k in starts], axis=1)[..., None]
        O, _ = net(window[:-1])
        return nn.mse_loss(O[SKIP:], window[SKIP + 1 :])

    descend(net, loss, updates, 0.01, "RNN")


def read(net: nn.VanillaRNN, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After each year the forecast of the next, and the state (years, 8)."""
    forecasts, states, H = [], [], None
    with mg.no_grad():
        for x in u:
            O, H = net(x[None, None, None], H)
            forecasts.append(O.data[0, 0, 0])
            states.append(H.data[0])
    return np.array(forecasts), np.array(states)


def plane(states: np.ndarray) -> np.ndarray:
    """The states seen along their two widest directions (years, 2)."""
    centred = states - states.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


def period(values: np.ndarray) -> float:
    """The strongest rhythm of a series, in years, among those of at least two turns."""
    size = 20 * len(values)  # padded with zeros: a finer grid of frequencies
    strength = np.abs(np.fft.rfft((values - values.mean()) * np.hanning(len(values)), size))
    return float(size / max(range(40, len(strength)), key=strength.__getitem__))


def show(net: nn.VanillaRNN, years: np.ndarray, u: np.ndarray, out: cli.Out) -> float:
    """Draw the state's path and the network; returns the years of its rhythm."""
    seen, when = plane(read(net, u)[1][SKIP:]), years[SKIP:]
    rhythm = period(seen[:, 0])

    def path(axes) -> None:
        axes.plot(*seen.T, color="0.8", lw=0.8)
        points = axes.scatter(*seen.T, c=u[SKIP:], cmap="magma_r", s=14)
        for k in range(len(when) - 12, len(when), 2):
            axes.annotate(f"{when[k]:.0f}", seen[k], fontsize=8)
        axes.figure.colorbar(points, label=say("spots of the year, standardised"))
        axes.set(title=say("the state of every year; its rhythm: {:.1f} years", rhythm))

    def over_time(axes) -> None:
        axes.plot(when, seen[:, 0], label=say("state, first direction"))
        axes.plot(when, seen[:, 1], label=say("state, second direction"), alpha=0.6)
        axes.plot(when, u[SKIP:], "k", lw=0.8, label=say("spots of the year, standardised"))
        axes.set(xlim=(1850, when[-1]))
        axes.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

    out.plot("cycle.png", path, (6, 5))
    out.plot("states.png", over_time, (9, 3))
    print("\n" + say("the state over the last 60 years, along its widest direction:"))
    print("  " + cli.curve(seen[-60:, 0]) + "\n  " + cli.curve(u[-60:]) + "  " + say("spots"))
    O, _ = net(u[:4, None, None])
    loss = sum(nn.mse_loss(O_t, x) for O_t, x in zip(O, u[1:5, None, None], strict=True))
    out.graph("network.svg", mg.Graph(loss), view="cells", time="both", count_from=1)
    out.graph("backward.svg", mg.Graph(loss), view="affine", count_from=1, backward=True)
    return rhythm


def main(args) -> list[cli.Table]:
    rng = np.random.default_rng(args.seed)
    years, numbers = spots()
    cut = int(0.8 * len(numbers))
    u = ((numbers - numbers[:cut].mean()) / numbers[:cut].std()).astype(np.float32)
    updates = args.updates or (10 if args.quick else 300)
    net = nn.VanillaRNN(1, HIDDEN, 1)
    train(net, u[:cut], updates, rng)
    now, later = u[cut - 1 : -1], u[cut:]
    forecasts = {
        say("same as this year"): now,
        say("two layers, this year"): memoryless(u, cut, updates, rng),
        say("autoregression, 2 years"): autoregression(u, cut, 2),
        say("autoregression, 9 years"): autoregression(u, cut, 9),
        say("RNN, {} states", HIDDEN): read(net, u)[0][cut - 1 : -1],
    }
    rises = later > now
    rows = [
        (
            name,
            float(np.mean((said - later) ** 2) / later.var()),
            float(np.mean((said > now) == rises)) if name != say("same as this year") else None,
        )
        for name, said in forecasts.items()
    ]
    title = say("one year ahead, {:.0f} to {:.0f}", years[cut], years[-1])
    columns = {say("MSE / variance"): "{:.3f}", say("rise or fall right"): "{:.0%}"}
    found = cli.Table(title, columns, rows)
    print(found)
    rows = [(say("the spots"), period(u)), (say("the state"), show(net, years, u, args.out))]
    rhythm = cli.Table(say("strongest rhythm"), {say("years"): "{:.1f}"}, rows)
    print(rhythm)
    return [found, rhythm]


OPTIONS = (cli.updates(300),)

if __name__ == "__main__":
    cli.run(main, "sunspots", __doc__, OPTIONS)
