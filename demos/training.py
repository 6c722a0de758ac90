"""The loop that trains the demos' networks; `stock_price` writes it out."""

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
import nn
from demos import cli


def descend(
    net: nn.Module,
    loss: Callable[[], mg.Tensor],
    updates: int,
    lr: float,
    what: str,
    max_norm: float = 1.0,
) -> list[float]:
    """Adam on `loss()`, once a step: gradients clipped, the rate falling in a line to a tenth.  Returns the losses."""

    def step() -> float:
        value = loss()
        value.backward()
        return value.item()

    return follow(net, step, updates, lr, what, max_norm)


def follow(
    net: nn.Module,
    step: Callable[[], float],
    updates: int,
    lr: float,
    what: str,
    max_norm: float = 1.0,
) -> list[float]:
    """As `descend`, on `step()`, which sets the gradients and returns the loss."""
    optimizer, losses = nn.Adam(net.parameters(), lr=lr), []
    for k in cli.progress(range(updates), what):
        optimizer.param_groups[0]["lr"] = lr * (1 - 0.9 * k / updates)
        optimizer.zero_grad()
        losses.append(float(step()))
        if not np.isfinite(losses[-1]):
            problem = "{}: the loss is not finite after {} updates; take smaller inputs"
            raise cli.UsageError(cli.say(problem, what, k))
        mg.clip_grad_norm_(net, max_norm)
        optimizer.step()
    return losses


def stepper(loss_fn: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """step(net, ...) runs loss_fn and its backward pass, as a program or eagerly.

    It returns what the function returns, a loss or (loss, aux), in numbers and arrays.
    """
    if compiled:
        return mg.compile(loss_fn).backward

    def step(*arguments: Any) -> Any:
        found = loss_fn(*arguments)
        loss, *others = found if isinstance(found, tuple) else (found,)
        loss.backward()
        return (loss.item(), *map(nn.detach_state, others)) if others else loss.item()

    return step
