"""The loop that trains the demos' networks; `stock_price` writes it out."""

from collections.abc import Callable

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
    optimizer, losses = nn.Adam(net.parameters(), lr=lr), []
    for k in cli.progress(range(updates), what):
        optimizer.param_groups[0]["lr"] = lr * (1 - 0.9 * k / updates)
        value = loss()
        optimizer.zero_grad()
        value.backward()
        mg.clip_grad_norm_(net, max_norm)
        optimizer.step()
        losses.append(value.item())
    return losses
