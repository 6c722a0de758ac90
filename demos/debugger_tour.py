"""Debugger: a NaN found in five commands, and a guided tour through a backward pass that explodes.

First a loss is NaN: a recurrence takes the square root of its readings, and one of them, in the middle, is negative.
The debugger stops at the time step and the line where the NaN was born, and five commands lead to the reading.

Then an RNN whose W_hh stretches every state is unrolled over thirty steps.  The debugger stops the pass where the
gradient first exceeds 100 and shows where that is, what the gradient has done so far, and of which contributions it
consists; it goes one node on and back again, checks the rule that is about to run, limits the gradient, and lets the
pass finish.  What is stepped is the very pass that trains.

--interactive gives the prompt to you at the same place.  In a program of your own:
python -m minigrad.debugger -b "norm > 100" train.py
"""

import io
import sys

import numpy as np

import minigrad as mg
import nn
from demos import cli
from minigrad.debugger import Debugger

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
    cell = nn.RNNCell(2, 8)
    cell.W_hh.data = 1.5 * cell.W_hh.data
    xs = 0.001 * np.random.default_rng(seed).standard_normal((T, 4, 2))
    ys, _ = nn.Unroll(cell)(xs)
    return ys[-1].sum()


def main(args) -> None:
    T = args.T or 30
    if T < 12:
        raise cli.UsageError(
            f"-T {T}: at least 12 steps are needed for this gradient to exceed 100"
        )
    with np.errstate(invalid="ignore"):
        lost = poisoned(T, args.seed)
    hunt = [command.format(t=T // 2) for command in HUNT]
    print(
        "\n".join(f"  {command:18}{meaning}" for command, meaning in zip(hunt, HUNT.values())), "\n"
    )
    with Debugger(["nonfinite"], hunt, io.StringIO(), sys.stdout):
        lost.backward()
    print()
    loss = explosive(T, args.seed)
    print("\n".join(f"  {command:18}{meaning}" for command, meaning in TOUR.items()), "\n")
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


if __name__ == "__main__":
    steps = ("-T", {"type": cli.positive, "metavar": "T", "help": "steps (default 30)"})
    interactive = ("--interactive", {"action": "store_true", "help": "type the commands yourself"})
    cli.run(main, "debugger_tour", __doc__, steps, interactive)
