"""Learning rate schedules under PyTorch's names: call `step()` once after each epoch.

Every schedule sets the option "lr" of each group of an optimiser to PyTorch's sequence of values.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import minigrad as mg
from nn.checks import in_range, positive
from nn.optim import Optimizer
from nn.state_dicts import match_entries


class LRScheduler:
    """Base of all schedules: write `get_lr()`, which returns the rates of step `last_epoch`.

    `base_lrs` are the rates that the groups had when the schedule was made; `last_epoch` counts
    the calls of `step()`, from 0.

    >>> import nn
    >>> class Halving(nn.LRScheduler):
    ...     def get_lr(self): return [lr / 2**self.last_epoch for lr in self.base_lrs]
    >>> schedule = Halving(nn.SGD([nn.Parameter([0.0])], lr=1.0))
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    remembered: tuple[str, ...] = ("last_epoch", "base_lrs")  # the attributes in `state_dict`

    def __init__(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Optimizer):
            found = type(optimizer).__name__
            raise TypeError(f"{type(self).__name__}: an optimiser is needed, found {found}")
        self.optimizer = optimizer
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set_rates()

    def get_lr(self) -> list[float]:
        """The rate of each group at step `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__}: write get_lr()")

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Go on to the rates of the next epoch."""
        self.last_epoch += 1
        self._set_rates()

    def _set_rates(self) -> None:
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """The numbers that a resumed schedule needs; functions are not among them."""
        values = {name: getattr(self, name) for name in self.remembered}
        return {k: list(v) if isinstance(v, list) else v for k, v in values.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set what `state_dict` returned.

        The rates of the optimiser are set as well.
        Raises ValueError for missing, unexpected and misshapen entries; then nothing is changed.
        """
        changes = mg.Changes()
        self.prepare_load(state, changes)
        changes.commit()

    def prepare_load(self, state: Mapping[str, Any], changes: mg.Changes) -> None:
        """Add what `load_state_dict` changes; several objects can so be loaded in one step."""
        given = self.match_load(state)
        loaded = copy.copy(self)
        for name, value in self.state_dict().items():
            new = type(value)(given[name].tolist())
            setattr(loaded, name, new)
            changes.attribute(self, name, new)
        for group, lr in zip(self.optimizer.param_groups, loaded.get_lr(), strict=True):
            changes.by(dict.__setitem__, group, "lr", lr)

    def match_load(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of a state, if their names and shapes fit; else ValueError."""
        return match_entries(f"load_state_dict of {type(self).__name__}", self.state_dict(), state)


class LambdaLR(LRScheduler):
    """lr = base_lr lr_lambda(epoch),  for any function of the epoch's number, from 0.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> schedule = nn.LambdaLR(opt, lambda epoch: 1 / (1 + epoch))
    >>> schedule.step(); schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The base rates times the factor of this epoch."""
        factor = self.lr_lambda(self.last_epoch)
        return [lr * factor for lr in self.base_lrs]


class StepLR(LRScheduler):
    """lr = base_lr gamma^⌊epoch / step_size⌋.

    >>> import nn
    >>> schedule = nn.StepLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), step_size=2, gamma=0.5)
    >>> [schedule.get_last_lr()[0] for _ in range(4) if schedule.step() is None]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        positive("StepLR", step_size=step_size)
        in_range("StepLR", gamma=gamma)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The base rates times gamma for each `step_size` epochs that have passed."""
        factor = self.gamma ** (self.last_epoch // self.step_size)
        return [lr * factor for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """lr = base_lr gamma^epoch.

    >>> import nn
    >>> schedule = nn.ExponentialLR(nn.SGD([nn.Parameter([0.0])], lr=1.0), gamma=0.5)
    >>> [schedule.get_last_lr()[0] for _ in range(3) if schedule.step() is None]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        in_range("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The base rates times gamma for each epoch that has passed."""
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base_lr − eta_min) (1 + cos(π epoch / T_max)) / 2.

    Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts, 2017.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> schedule = nn.CosineAnnealingLR(opt, T_max=2, eta_min=0.5)
    >>> [schedule.get_last_lr()[0] for _ in range(2) if schedule.step() is None]
    [0.75, 0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        positive("CosineAnnealingLR", T_max=T_max)
        in_range("CosineAnnealingLR", eta_min=eta_min)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The rates on the half wave from the base rate down to eta_min."""
        share = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * share for lr in self.base_lrs]


class WarmupLR(LRScheduler):
    """lr rises in a straight line from base_lr start to base_lr in `steps` steps.

    After that, lr = base_lr then(step − steps); `then` is any function, by default 1.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> warm = nn.WarmupLR(opt, steps=2, start=0.5, then=lambda step: 0.9**step)
    >>> [round(warm.get_last_lr()[0], 3) for _ in range(5) if warm.step() is None]
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
        self.steps = steps
        self.start = start
        self.then = then
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The base rates times the factor of this step."""
        factor = self._factor()
        return [lr * factor for lr in self.base_lrs]

    def _factor(self) -> float:
        if self.last_epoch < self.steps:
            return self.start + (1 - self.start) * self.last_epoch / self.steps
        return self.then(self.last_epoch - self.steps) if self.then else 1.0


class ReduceLROnPlateau(LRScheduler):
    """lr = max(factor lr, min_lr)  when a metric has not improved for more than `patience` epochs.

    mode: "min" if a smaller metric is better, "max" if a larger one is.
    threshold: the improvement that counts, as a share of the best metric (threshold_mode="rel") or
    as a difference from it ("abs").
    cooldown: the number of epochs after a change during which bad epochs are not counted.

    >>> import nn
    >>> opt = nn.SGD([nn.Parameter([0.0])], lr=1.0)
    >>> schedule = nn.ReduceLROnPlateau(opt, factor=0.5, patience=1)
    >>> for loss in (3.0, 3.0, 3.0): schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]
    """

    remembered = (
        *LRScheduler.remembered,
        "best",
        "num_bad_epochs",
        "cooldown_counter",
        "num_reductions",
    )

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        who = "ReduceLROnPlateau"
        if mode not in ("min", "max"):
            raise ValueError(f"{who}: mode must be 'min' or 'max', found {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"{who}: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}"
            )
        if not 0 < factor < 1:
            raise ValueError(f"{who}: factor must be in (0, 1), found {factor!r}")
        in_range(who, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_lr)
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.num_reductions = 0
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        """The base rates after the reductions so far."""
        factor = self.factor**self.num_reductions
        return [min(lr, max(lr * factor, self.min_lr)) for lr in self.base_lrs]

    def step(self, metrics: Any = None) -> None:
        """Note the metric of one epoch, and lower the rates if it has not improved for too long."""
        if metrics is None:
            raise TypeError("ReduceLROnPlateau.step(metrics): the metric to watch is missing")
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.num_bad_epochs = 0
            self.cooldown_counter = self.cooldown
            self.num_reductions += 1
            self._set_rates()

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = self.best * (1 + sign * self.threshold)
        else:
            bound = self.best + sign * self.threshold
        return value > bound if self.mode == "max" else value < bound
