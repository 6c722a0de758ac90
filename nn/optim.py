"""Optimisers: they change parameters by their gradients.  Imports `minigrad`, `module`.

The sequences of values are PyTorch's.  Each `step` rebinds the arrays, so a graph that was built before stays exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import minigrad as mg
from nn.module import Module, Parameter

Array = np.ndarray[Any, Any]
Slots = dict[str, Any]  # what an optimiser remembers of one parameter


class Optimizer:
    """Base of all optimisers: parameter groups, and `update(parameter, gradient, slots, group)` for each parameter.

    `target`: a module, parameters, or groups: dicts with "params" and the options that differ in that group.
    `groups` is the list of dicts; a scheduler changes their "lr".

    >>> import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> groups = [{"params": getattr(net, "0"), "lr": 0.1}, {"params": getattr(net, "1")}]
    >>> [group["lr"] for group in nn.Adam(groups, lr=0.01).groups]
    [0.1, 0.01]
    """

    update: Callable[[Array, Array, Slots, Mapping[str, Any]], Array]

    def __init__(self, target: Any, **defaults: Any) -> None:
        self.groups = [{**defaults, **group} for group in _groups(target)]
        self.slots: list[list[Slots]] = [[{} for _ in group["params"]] for group in self.groups]
        seen: set[int] = set()
        for group in self.groups:
            self._check(group, defaults)
            for p in group["params"]:
                if id(p) in seen:
                    raise ValueError(f"{type(self).__name__}: parameter {p.name or 'without a name'} is given twice")
                seen.add(id(p))

    def _check(self, group: dict[str, Any], defaults: Mapping[str, Any]) -> None:
        unknown = [key for key in group if key not in defaults and key != "params"]
        if unknown:
            raise TypeError(
                f"{type(self).__name__}: unknown option {unknown[0]!r} in a group; there are {', '.join(defaults)}"
            )
        if not group["params"]:
            raise ValueError(f"{type(self).__name__}: no parameters were given")
        for key, value in group.items():
            for number in value if isinstance(value, tuple) else [value]:
                if key != "params" and not isinstance(number, bool) and not 0 <= number < np.inf:
                    raise ValueError(f"{type(self).__name__}: {key} must be 0 or more, found {value}")
        if any(not 0 <= number < 1 for number in group.get("betas", ())):
            raise ValueError(f"{type(self).__name__}: betas in [0, 1) are needed, found {group['betas']}")

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None` in every parameter."""
        for group in self.groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient, in place of its old value."""
        for group, slots in zip(self.groups, self.slots, strict=True):
            for p, slot in zip(group["params"], slots, strict=True):
                if p.grad is not None:
                    p.data = self.update(p.data, p.grad.data, slot, group)

    def state_dict(self) -> dict[str, Any]:
        """Options of the groups and what is remembered of each parameter: numbers and arrays by dotted name."""
        state: dict[str, Any] = {}
        for k, (group, slots) in enumerate(zip(self.groups, self.slots, strict=True)):
            state.update({f"{k}.{key}": value for key, value in group.items() if key != "params"})
            for n, slot in enumerate(slots):
                state.update({f"{k}.{n}.{key}": value for key, value in slot.items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; raises ValueError, and changes nothing, if it is of other groups."""
        groups = [dict(group) for group in self.groups]
        slots: list[list[Slots]] = [[{} for _ in group["params"]] for group in groups]
        for name, value in state.items():
            k, *n, key = name.split(".")
            try:
                array = np.asarray(value)
                if n:
                    p = groups[int(k)]["params"][int(n[0])]
                    if array.ndim and array.shape != p.shape:
                        raise ValueError(f"shape {p.shape} is needed, found {array.shape}")
                    slots[int(k)][int(n[0])][key] = array if array.dtype.kind == "f" else array.item()
                elif key not in groups[int(k)] or key == "params":
                    raise KeyError(key)
                else:
                    groups[int(k)][key] = tuple(array.tolist()) if array.ndim else array.item()
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(
                    f"{type(self).__name__}.load_state_dict: entry {name!r} does not fit: {error}"
                ) from None
        self.groups, self.slots = groups, slots


class SGD(Optimizer):
    """Stochastic gradient descent:  v = momentum v + dp,  p = p − lr v   (v starts at the first dp).

    nesterov:  p = p − lr (dp + momentum v)  (Sutskever et al. 2013).  weight_decay is added as dp + weight_decay p.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.SGD([p], lr=0.1).step(); p.data
    array([0.95], dtype=float32)
    """

    def __init__(
        self, target: Any, lr: float, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(target, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def _check(self, group: dict[str, Any], defaults: Mapping[str, Any]) -> None:
        super()._check(group, defaults)
        if group["nesterov"] and not group["momentum"]:
            raise ValueError("SGD: nesterov needs momentum > 0, found momentum 0")

    def update(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        """The new value of one parameter."""
        dp = _decayed(p, dp, group)
        momentum = group["momentum"]
        if momentum:
            v = slot["v"] = momentum * slot["v"] + dp if "v" in slot else dp
            dp = dp + momentum * v if group["nesterov"] else v
        return p - group["lr"] * dp


class Adam(Optimizer):
    """m = β₁ m + (1 − β₁) dp,  v = β₂ v + (1 − β₂) dp²,  p = p − lr m̂ / (√v̂ + eps)  (Kingma & Ba 2015).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the start at 0.  weight_decay is added as dp + weight_decay p.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.Adam([p], lr=0.1).step(); p.data
    array([0.9], dtype=float32)
    """

    def __init__(
        self, target: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(target, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def update(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        """The new value of one parameter."""
        return self._moments(p, _decayed(p, dp, group), slot, group)

    def _moments(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        beta1, beta2 = group["betas"]
        t = slot["t"] = slot.get("t", 0) + 1
        m = slot["m"] = beta1 * slot.get("m", 0) + (1 - beta1) * dp
        v = slot["v"] = beta2 * slot.get("v", 0) + (1 - beta2) * dp * dp
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        return p - group["lr"] * m_hat / (np.sqrt(v_hat) + group["eps"])


class AdamW(Adam):
    """Adam with decoupled weight decay:  p = (1 − lr weight_decay) p  first  (Loshchilov & Hutter 2019).

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.0]
    >>> nn.AdamW([p], lr=0.1, weight_decay=0.5).step(); p.data
    array([0.95], dtype=float32)
    """

    def __init__(
        self, target: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:  # fmt: skip
        super().__init__(target, lr, betas, eps, weight_decay)

    def update(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        """The new value of one parameter."""
        return self._moments(p * (1 - group["lr"] * group["weight_decay"]), dp, slot, group)


class RMSprop(Optimizer):
    """v = α v + (1 − α) dp²,  p = p − lr dp / (√v + eps)  (Hinton, lecture 6e, 2012).

    momentum:  u = momentum u + dp / (√v + eps),  p = p − lr u.  centered:  √(v − m²), where m is the mean of dp.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.RMSprop([p], lr=0.01, alpha=0.75).step(); p.data
    array([0.98], dtype=float32)
    """

    def __init__(
        self, target: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, centered: bool = False,
    ) -> None:  # fmt: skip
        options = {"weight_decay": weight_decay, "momentum": momentum, "centered": centered}
        super().__init__(target, lr=lr, alpha=alpha, eps=eps, **options)

    def update(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        """The new value of one parameter."""
        dp, alpha = _decayed(p, dp, group), group["alpha"]
        v = slot["v"] = alpha * slot.get("v", 0) + (1 - alpha) * dp * dp
        if group["centered"]:
            m = slot["m"] = alpha * slot.get("m", 0) + (1 - alpha) * dp
            v = v - m * m
        u = dp / (np.sqrt(v) + group["eps"])
        if group["momentum"]:
            u = slot["u"] = group["momentum"] * slot.get("u", 0) + u
        return p - group["lr"] * u


def _decayed(p: Array, dp: Array, group: Mapping[str, Any]) -> Array:
    return dp + group["weight_decay"] * p if group["weight_decay"] else dp


def _groups(target: Any) -> list[dict[str, Any]]:
    """Parameter groups from a module, parameters, or dicts."""
    if isinstance(target, Module):
        target = target.parameters()
    items = [target] if isinstance(target, mg.Tensor | Mapping) else list(target)
    if not items or not all(isinstance(item, Mapping) for item in items):
        items = [{"params": items}]
    groups = []
    for item in items:
        params: Iterable[Any] = item["params"]
        params = params.parameters() if isinstance(params, Module) else params
        params = [params] if isinstance(params, mg.Tensor) else list(params)
        for p in params:
            if not isinstance(p, Parameter) and not (isinstance(p, mg.Tensor) and p.is_leaf and p.requires_grad):
                raise TypeError(f"an optimiser trains leaves that require grad, found {p!r}")
        groups.append({**item, "params": params})
    return groups
