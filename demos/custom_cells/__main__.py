"""Check, draw and train one of the cells of this folder: `python -m demos.custom_cells NAME`;
without a name, all.
"""

import importlib
import inspect
from pathlib import Path

import numpy as np

import minigrad as mg
import nn
from demos import cli, custom_cells
from demos.cli import say
from demos.tasks import TASKS
from demos.training import descend

HIDDEN, STEPS, BATCH = 16, 12, 32
QUICK = 2  # cells that --quick tries
LARGE = 160  # operations that are too many to read


def cell_class(name: str) -> type[nn.Cell]:
    """The class in the file of that name."""
    return getattr(importlib.import_module(f"demos.custom_cells.{name}"), custom_cells.CELLS[name])


class Net(nn.Module):
    """A line from the last output of a cell that is unrolled."""

    def __init__(self, cell: nn.Cell, outputs: int) -> None:
        self.unroll, self.head = nn.Unroll(cell), nn.Linear(HIDDEN, outputs)

    def forward(self, xs):
        ys, _ = self.unroll(xs)
        return self.head(ys[-1])


def train(cell: nn.Cell, updates: int, rng: np.random.Generator) -> float:
    """The adding problem over 12 steps: the mean loss of the last updates."""
    task = TASKS["adding"]
    net = Net(cell, task.outputs)

    def loss():
        xs, targets, _ = task.batch(STEPS, BATCH, rng)
        return task.loss(net(xs), targets[0])

    return float(np.mean(descend(net, loss, updates, 0.01, type(cell).__name__)[-20:]))


def picture(cell: nn.Cell, out: cli.Out, name: str) -> None:
    """Three steps of the cell and one step rolled up, labelled with the cell's own variables."""
    ys, _ = nn.Unroll(cell)(np.ones((3, 1, cell.input_size)))
    graph = mg.Graph((ys[-1] ** 2).mean())
    view = "ops" if len(graph) < LARGE else "cells"
    out.graph(f"{name}.svg", graph, view=view)
    out.graph(f"{name}-rolled.svg", graph, view=view, time="rolled")


def main(args) -> cli.Table:
    names = [args.name] if args.name else list(custom_cells.CELLS)
    if args.name not in (None, *custom_cells.CELLS):
        known = ", ".join(custom_cells.CELLS)
        raise cli.UsageError(say("there is no cell {!r}; there are: {}", args.name, known))
    rows, updates = [], args.updates or (20 if args.quick else 300)
    for name in names[:QUICK] if args.quick else names:
        kind = cell_class(name)
        print(f"\n{name}: {Path(inspect.getfile(kind)).name}, {kind.__name__}")
        print(f"{inspect.getdoc(kind)}\n")
        print(nn.check_cell(kind(3, 4)))
        picture(kind(2, 3), args.out, name)
        cell = kind(TASKS["adding"].inputs, HIDDEN)
        loss = train(cell, updates, np.random.default_rng(args.seed))
        rows.append((kind.__name__, sum(p.size for p in cell.parameters()), loss))
    cell = nn.RNNCell(2, HIDDEN)
    loss = train(cell, updates, np.random.default_rng(args.seed))
    size = sum(p.size for p in cell.parameters())
    rows += [(say("nn.RNNCell, to compare"), size, loss), (say("the mean, always"), 0, 1 / 6)]
    columns = {say("parameters"): "{}", "MSE": "{:.3f}"}
    found = cli.Table(say("adding problem, T = {}", STEPS), columns, rows)
    print(found)
    return found


NAME = {"nargs": "?", "metavar": "NAME", "help": "which cell (default: all, one after the other)"}
OPTIONS = (("name", NAME), cli.updates(300))

if __name__ == "__main__":
    listing = "\n".join(f"  {name:16}{cell}" for name, cell in custom_cells.CELLS.items())
    cli.run(main, "custom_cells", f"{custom_cells.__doc__}\ncells:\n{listing}", OPTIONS)
