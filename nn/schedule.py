"""Schedules: they change the learning rates of an optimiser, one `step()` after each epoch.  Imports `optim` and below.

The sequences of rates are PyTorch's.  Each rate is the optimiser's first one times a factor of the step's number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from nn.linear import in_range, positive
from nn.module import fitting
from nn.optim import Optimizer


class LambdaLR:
    """lr = lr₀ factor(step),  for any function of the step's number, which counts from 0.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> schedule = nn.LambdaLR(opt, lambda step: 1 / (1 + step))
    >>> schedule.step(); schedule.rates
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float]) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: an optimiser is needed, found {type(optimizer).__name__}"
            )
        self.optimizer, self.factor = optimizer, factor
        self.first = [float(group["lr"]) for group in optimizer.groups]
        self.count = 0
        self._set()

    def step(self) -> None:
        """On to the next rates."""
        self.count += 1
        self._set()

    def _set(self) -> None:
        for group, lr in zip(self.optimizer.groups, self.first, strict=True):
            group["lr"] = self.rate(lr)

    def rate(self, lr: float) -> float:
        """The rate at the present step, for a group that began with `lr`."""
        return lr * self.factor(self.count)

    @property
    def rates(self) -> list[float]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.groups]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed schedule needs, as numbers; functions are not among it."""
        return {"count": self.count, "first": list(self.first)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; raises ValueError, and changes nothing, if it is of other groups."""
        wanted = self.state_dict()
        given = fitting(f"load_state_dict of {type(self).__name__}", wanted, state)
        vars(self).update(
            {name: type(value)(given[name].tolist()) for name, value in wanted.items()}
        )
        self._set()


class StepLR(LambdaLR):
    """lr = lr₀ gamma^⌊step / every⌋:  the rate falls by gamma after every so many steps.

    >>> import nn
    >>> schedule = nn.StepLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), every=2, gamma=0.5)
    >>> [schedule.rates[0] for _ in range(4) if schedule.step() is None]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, every: int, gamma: float = 0.1) -> None:
        positive("StepLR", every=every)
        in_range("StepLR", gamma=gamma)
        super().__init__(optimizer, lambda step: gamma ** (step // every))


class ExponentialLR(LambdaLR):
    """lr = lr₀ gamma^step.

    >>> import nn
    >>> schedule = nn.ExponentialLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), gamma=0.5)
    >>> [schedule.rates[0] for _ in range(3) if schedule.step() is None]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        in_range("ExponentialLR", gamma=gamma)
        super().__init__(optimizer, lambda step: gamma**step)


class CosineLR(LambdaLR):
    """lr = lowest + (lr₀ − lowest) (1 + cos(π step / steps)) / 2  (Loshchilov & Hutter 2017).

    >>> import nn
    >>> schedule = nn.CosineLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), steps=2, lowest=0.5)
    >>> [schedule.rates[0] for _ in range(2) if schedule.step() is None]
    [0.75, 0.5]
    """

    def __init__(self, optimizer: Optimizer, steps: int, lowest: float = 0.0) -> None:
        positive("CosineLR", steps=steps)
        self.lowest = lowest
        super().__init__(optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2)

    def rate(self, lr: float) -> float:
        """The rate at the present step, for a group that began with `lr`."""
        return self.lowest + (lr - self.lowest) * self.factor(self.count)


class WarmupLR(LambdaLR):
    """lr rises in a straight line from lr₀ start to lr₀ in so many steps; then it follows another schedule's factor.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> warm = nn.WarmupLR(opt, steps=2, start=0.5, then=lambda step: 0.9**step)
    >>> [round(warm.rates[0], 3) for _ in range(5) if warm.step() is None]
    [0.75, 1.0, 0.9, 0.81, 0.729]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        steps: int,
        start: float = 0.0,
        then: Callable[[int], float] | None = None,
    ) -> None:
        positive("WarmupLR", steps=steps)

        def factor(step: int) -> float:
            if step < steps:
                return start + (1 - start) * step / steps
            return 1.0 if then is None else then(step - steps)

        super().__init__(optimizer, factor)


class PlateauLR(LambdaLR):
    """lr = factor lr  when a loss has not fallen for more than `patience` steps.

    An improvement is a fall below the best loss by more than the share `threshold`; after a change, `cooldown` steps
    do not count; a rate stays at least `lowest`.

    >>> import nn
    >>> schedule = nn.PlateauLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), factor=0.5, patience=1)
    >>> for loss in (3.0, 3.0, 3.0): schedule.step(loss)
    >>> schedule.rates
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        cooldown: int = 0, lowest: float = 0.0,
    ) -> None:  # fmt: skip
        if not 0 < factor < 1:
            raise ValueError(f"PlateauLR: a factor in (0, 1) is needed, found {factor!r}")
        self.by, self.patience, self.threshold = factor, patience, threshold
        self.cooldown, self.lowest = cooldown, lowest
        self.best, self.waited, self.cooling = math.inf, 0, 0
        super().__init__(optimizer, lambda step: 1.0)

    def step(self, loss: Any = None) -> None:
        """Tell the loss of one epoch."""
        if loss is None:
            raise TypeError("PlateauLR.step(loss): the loss to watch is missing")
        self.count += 1
        improved = float(loss) < self.best * (1 - self.threshold)
        self.best = min(self.best, float(loss)) if improved else self.best
        self.waited = 0 if improved or self.cooling else self.waited + 1
        self.cooling = max(0, self.cooling - 1)
        if self.waited > self.patience:
            self.waited, self.cooling = 0, self.cooldown
            self.first = [max(lr * self.by, self.lowest) for lr in self.first]
            self._set()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed schedule needs, as numbers."""
        return {
            **super().state_dict(),
            "best": self.best,
            "waited": self.waited,
            "cooling": self.cooling,
        }
