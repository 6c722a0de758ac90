"""Debugger: a bad batch found in the history, a NaN in five commands, a tour through an explosion.

First a training goes wrong: in one batch a reading is in other units.  The recording says which
pass is unlike those before it; a condition on the history stops there, and three commands lead to the
reading.

Then a loss is NaN: a recurrence takes the square root of its readings, and one of them, in the
middle, is negative.  The debugger stops at the time step and the line where the NaN was born.

Then an RNN whose W_hh stretches every state is unrolled over thirty steps.  The debugger stops the
pass where the gradient first exceeds 100 and shows where that is, what the gradient has done so
far, and of which contributions it consists; it goes one node on and back again, checks the rule that is
about to run, limits the gradient, and lets the pass finish.  What is stepped is the very pass that
trains.

--interactive gives the prompt to you at the same place.  In a program of your own:
python -m minigrad.debugger -b "norm > 100" train.py
"""

import io
import sys

import numpy as np

import minigrad as mg
import nn
from demos import cli
from demos.cli import say
from minigrad.debugger import Debugger

BAD_PASS = 31
HISTORY = {
    "value target": "what the loss compares with: one target is far from all others",
    "value x[5]": "the readings of that time step: those of one row are a thousand times too large",
    "checkup": "the same reading, found without being asked for",
    "leave": "nothing of this pass is written, and the training goes on",
}
HUNT = {
    "where": "the line that made the NaN, and its time step",
    "value": "how many elements are not finite, and which",
    "inputs": "what went into it",
    "value x[{t}]": "the reading itself: negative",
    "leave": "nothing is written: the pass has not begun",
}
TOUR = {
    "where": "the node that the pass has reached, and the line of the program that made it",
    "flow": "the norm of dh from the last step back to here",
    "contributions": "dh at this node is a sum: from which users does it come?",
    "step": "one node on",
    "undo": "and back: the pass can be walked in both directions",
    "check": "the gradient rule against finite differences, on the arrays of this very call",
    "clip max_norm=1": "an edit of the pass: limit what crosses from step to step",
    "continue": "let it finish",
}


def train(passes: int, seed: int) -> float:
    """Train an RNN on means of readings, of which one batch is in other units; the last loss."""
    mg.seed(seed)
    random = np.random.default_rng(seed)
    net, head = nn.RNN(2, 8), nn.Linear(8, 1)
    opt = nn.SGD([*net.parameters(), *head.parameters()], lr=0.02)
    for k in range(1, passes + 1):
        x = random.uniform(-1, 1, (12, 4, 2)).astype(np.float32)
        if k == BAD_PASS:
            x[5, 2] *= 1000
        target = x.mean(axis=(0, 2))[:, None]
        y, _ = net(x)
        loss = ((head(y[-1]) - target) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def poisoned(T: int, seed: int) -> mg.Tensor:
    """A loss that is NaN, because one reading in the middle is negative."""
    random = np.random.default_rng(seed)
    readings = random.uniform(0.5, 1.5, (T, 4, 1))
    readings[T // 2, 2] = -0.1
    gain = mg.tensor(1.0, requires_grad=True, name="gain")
    W_hh = mg.tensor(0.3 * random.standard_normal((8, 8)), requires_grad=True, name="W_hh")
    h = np.zeros((4, 8))
    for _, x in mg.timesteps(readings):
        level = np.sqrt(gain * x)
        h = np.tanh(level + h @ W_hh)
    return h.mean()


def explosive(T: int, seed: int) -> mg.Tensor:
    """The sum of the last outputs of an RNN whose W_hh is 1.5 times a rotation."""
    mg.seed(seed)
    cell = nn.RNNCell(2, 8)
    cell.W_hh.data = 1.5 * cell.W_hh.data
    xs = 0.001 * np.random.default_rng(seed).standard_normal((T, 4, 2))
    ys, _ = nn.Unroll(cell)(xs)
    return ys[-1].sum()


def explain(commands: dict[str, str]) -> None:
    """Print what the commands that follow are for."""
    print("\n".join(f"  {command:18}{say(text)}" for command, text in commands.items()), "\n")


def main(args) -> cli.Table:
    T = args.T or 30
    largest = float(mg.Graph(explosive(T, args.seed)).gradient_flow()["h"].total.max())
    if largest <= 100:
        problem = "-T {}: this gradient reaches {:.3g}, and the tour stops at 100; take more steps"
        raise cli.UsageError(say(problem, T, largest))
    with mg.record() as run:
        train(60, args.seed)
    print(run, "\n")
    explain(HISTORY)
    with Debugger(["loss > 10 * median(loss)"], [*HISTORY], io.StringIO(), sys.stdout):
        print(say("the loss at the end: {:.3g}", train(60, args.seed)) + "\n")
    with np.errstate(invalid="ignore"):
        lost = poisoned(T, args.seed)
    hunt = {command.format(t=T // 2): meaning for command, meaning in HUNT.items()}
    explain(hunt)
    with Debugger(["nonfinite"], [*hunt], io.StringIO(), sys.stdout):
        lost.backward()
    print()
    loss = explosive(T, args.seed)
    explain(TOUR)
    typed = [] if args.interactive else list(TOUR)
    with Debugger(
        ["norm > 100"], typed, sys.stdin if args.interactive else io.StringIO(), sys.stdout
    ):
        loss.backward()
    graph = mg.Graph(loss)
    args.out.graph("before.svg", graph, view="cells", steps="0:3,-3:", backward=True)
    args.out.graph(
        "after.svg", graph.clip_edges(max_norm=1), view="cells", steps="0:3,-3:", backward=True
    )
    graphs = {say("as it is"): graph, say("clipped"): graph.clip_edges(max_norm=1)}
    rows = [(name, float(one.gradient_flow()["h"].total.max())) for name, one in graphs.items()]
    return cli.Table(say("the explosion"), {say("largest |dh|"): "{:.3g}"}, rows)


INTERACTIVE = {"action": "store_true", "help": "type the commands yourself"}
STEPS = {"type": cli.length, "metavar": "T", "help": "steps", "usual": 30}
OPTIONS = (("-T", STEPS), ("--interactive", INTERACTIVE))

if __name__ == "__main__":
    cli.run(main, "debugger_tour", __doc__, OPTIONS)
