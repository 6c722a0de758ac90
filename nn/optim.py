"""Optimisers: they change parameters by their gradients.

The sequences of values are PyTorch's.  Each `step` rebinds the arrays, so a graph that was built
before stays exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from nn import habits
from nn.checks import in_range
from nn.module import Module
from nn.parameter import Parameter
from nn.state_dicts import as_arrays, match_entries, raise_problems

Array = np.ndarray[Any, Any]
Slots = dict[str, Any]  # the numbers and arrays that an optimiser remembers of one parameter


class Optimizer:
    """Base of all optimisers: write `update(parameter, gradient, slots, group)`.

    It returns the new value of one parameter, and may keep numbers and arrays in `slots`; it must
    change no array in place.
    target: modules, parameters, or groups, which are dicts with "params" and the options that
    differ in that group.  `param_groups` is the list of these dicts, all options filled in; a
    schedule changes their "lr".

    >>> import nn
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> opt = nn.Adam([{"params": net[0], "lr": 0.1}, {"params": net[1]}], lr=0.01)
    >>> [group["lr"] for group in opt.param_groups]
    [0.1, 0.01]
    """

    update: Callable[[Array, Array, Slots, Mapping[str, Any]], Array]
    slot_names: tuple[str, ...] = ()  # the names that slots may have; () if any name will do

    def __init__(self, target: Any, **defaults: Any) -> None:
        self.defaults = defaults
        self.param_groups = [{**defaults, **group} for group in _groups(target)]
        self.slots: list[list[Slots]] = [[{} for _ in g["params"]] for g in self.param_groups]
        seen: set[int] = set()
        for group in self.param_groups:
            self._check(group)
            for p in group["params"]:
                if id(p) in seen:
                    name = p.name or "without a name"
                    raise ValueError(f"{type(self).__name__}: parameter {name} is given twice")
                seen.add(id(p))

    def _check(self, group: Mapping[str, Any]) -> None:
        """Raise unless the options of a group are known, and in their ranges."""
        who = type(self).__name__
        if not group["params"]:
            raise ValueError(f"{who}: no parameters were given")
        for key, value in group.items():
            if key == "params":
                continue
            if key not in self.defaults:
                known = ", ".join(self.defaults)
                raise TypeError(f"{who}: unknown option {key!r} in a group; there are {known}")
            if key == "betas" and np.shape(value) != (2,):
                raise ValueError(f"{who}: betas must be two numbers, found {value!r}")
            below = 1 if key in ("alpha", "betas") else np.inf
            for number in value if isinstance(self.defaults[key], tuple) else [value]:
                in_range(who, below, **{key: number})

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self).get("defaults", ()):
            raise AttributeError(f"{self._place_of(name)} = {value!r}")
        object.__setattr__(self, name, value)

    if not TYPE_CHECKING:  # so that type checkers still reject unknown attributes

        def __getattr__(self, name: str) -> Any:
            if name in vars(self).get("defaults", ()):
                raise AttributeError(self._place_of(name))
            told = habits.advice(habits.OF_OPTIMIZERS, name)
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{told}")

    def _place_of(self, name: str) -> str:
        who = type(self).__name__
        return f"{who}: each group has its own {name}; write opt.param_groups[0][{name!r}]"

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None` in every parameter."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient; after an error or an interrupt, none.

        Parameters in float16 are updated in float32.
        """
        if "lr" in self.defaults:
            mg.note(lr=self.param_groups[0]["lr"])
        changes = mg.Changes()
        slots = [[dict(slot) for slot in row] for row in self.slots]
        for group, row in zip(self.param_groups, slots, strict=True):
            for p, slot in zip(group["params"], row, strict=True):
                if p.grad is not None:
                    new = self.update(_precise(p.data), _precise(p.grad.data), slot, group)
                    changes.data(p, new)
        if any(map(any, slots)) and not any(map(any, self.slots)):
            mg.note(fresh=1)
        changes.attribute(self, "slots", slots)
        changes.commit()

    def state_dict(self) -> dict[str, Any]:
        """The options of the groups and the slots of the parameters, by dotted name."""
        state: dict[str, Any] = {}
        for k, (group, slots) in enumerate(zip(self.param_groups, self.slots, strict=True)):
            state |= _options(k, group)
            for n, slot in enumerate(slots):
                state |= {f"{k}.{n}.{key}": _locked(value) for key, value in slot.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set what `state_dict` returned.

        Raises ValueError that lists every missing, unexpected and wrong entry; then nothing is
        changed.
        """
        changes = mg.Changes()
        self.prepare_load(state, changes)
        changes.commit()

    def prepare_load(self, state: Mapping[str, Any], changes: mg.Changes) -> None:
        """Add what `load_state_dict` changes; several objects can so be loaded in one step."""
        groups = [dict(group) for group in self.param_groups]
        slots: list[list[Slots]] = [[{} for _ in group["params"]] for group in groups]
        places = {f"{k}.{n}": slot for k, row in enumerate(slots) for n, slot in enumerate(row)}
        for name, array in self.match_load(state).items():
            place, _, key = name.rpartition(".")
            if place in places:
                places[place][key] = array.copy() if array.dtype.kind == "f" else array.item()
            else:
                groups[int(place)][key] = tuple(array.tolist()) if array.ndim else array.item()
        problems: list[str] = []
        for k, group in enumerate(groups):
            self._check(group)
            for n, p in enumerate(group["params"]):
                problems += self._problems(f"{k}.{n}", group, p, slots[k][n])
        raise_problems(self._loading(), problems)
        changes.attribute(self, "param_groups", groups)
        changes.attribute(self, "slots", slots)

    def match_load(self, state: Mapping[str, Any]) -> dict[str, Array]:
        """The entries of a state, if their names and shapes fit; else ValueError."""
        own: dict[str, Any] = {}
        parameters: dict[str, Parameter] = {}
        for k, group in enumerate(self.param_groups):
            own |= _options(k, group)
            parameters |= {f"{k}.{n}": p for n, p in enumerate(group["params"])}
        for name, array in as_arrays(self._loading(), state).items():
            place, _, key = name.rpartition(".")
            if place in parameters and key in (self.slot_names or [key]):
                own[name] = parameters[place].data if array.ndim else 0
        return match_entries(self._loading(), own, state)

    def _loading(self) -> str:
        return f"load_state_dict of {type(self).__name__}"

    def _problems(
        self, place: str, group: Mapping[str, Any], p: Parameter, slot: Slots
    ) -> list[str]:
        """What is wrong with loaded slots, found by a trial step: entries that it would create, or
        numbers from which no step is finite.
        """
        trial = {key: np.copy(value) for key, value in slot.items()}
        with np.errstate(all="ignore"):
            value = _precise(p.data)
            new = self.update(value, np.zeros_like(value), trial, group)
        if missing := [key for key in trial if slot and key not in slot]:
            return [f"missing: {place}.{key}" for key in missing]
        if np.isfinite(new).all() or not all(
            np.isfinite(x).all() for x in [p.data, *slot.values()]
        ):
            return []
        return [f"{place}: a step from its numbers is not finite: {', '.join(slot)}"]


class SGD(Optimizer):
    """Stochastic gradient descent:  v = momentum v + dp,  p = p − lr v.

    v starts at the first dp.  nesterov:  p = p − lr (dp + momentum v)  (Sutskever et al. 2013).
    weight_decay is added to the gradient:  dp + weight_decay p.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.SGD([p], lr=0.1).step(); p.data
    array([0.95], dtype=float32)
    """

    slot_names = ("v",)

    def __init__(
        self,
        target: Any,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(
            target, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )

    def _check(self, group: Mapping[str, Any]) -> None:
        super()._check(group)
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
    """m = β₁ m + (1 − β₁) dp,  v = β₂ v + (1 − β₂) dp²,  p = p − lr m̂ / (√v̂ + eps).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the start at 0  (Kingma & Ba 2015).
    weight_decay is added to the gradient:  dp + weight_decay p.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.Adam([p], lr=0.1).step(); p.data
    array([0.9], dtype=float32)
    """

    slot_names = ("m", "v", "t")

    def __init__(
        self,
        target: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
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
    """Adam with decoupled weight decay:  p = (1 − lr weight_decay) p  comes first.

    Loshchilov & Hutter 2019.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.0]
    >>> nn.AdamW([p], lr=0.1, weight_decay=0.5).step(); p.data
    array([0.95], dtype=float32)
    """

    def __init__(
        self,
        target: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(target, lr, betas, eps, weight_decay)

    def update(self, p: Array, dp: Array, slot: Slots, group: Mapping[str, Any]) -> Array:
        """The new value of one parameter."""
        return self._moments(p * (1 - group["lr"] * group["weight_decay"]), dp, slot, group)


class RMSprop(Optimizer):
    """v = α v + (1 − α) dp²,  p = p − lr dp / (√v + eps)  (Hinton, lecture 6e, 2012).

    momentum:  u = momentum u + dp / (√v + eps),  p = p − lr u.
    centered:  √(v − m²) in place of √v, where m is the running mean of dp.

    >>> import minigrad as mg, nn
    >>> p = nn.Parameter([1.0]); p.grad = [0.5]
    >>> nn.RMSprop([p], lr=0.01, alpha=0.75).step(); p.data
    array([0.98], dtype=float32)
    """

    slot_names = ("v", "m", "u")

    def __init__(
        self,
        target: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
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


def _precise(array: Array) -> Array:
    """The array, in float32 if it is in float16, where squares and eps are soon 0 or infinite."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _locked(value: Any) -> Any:
    """What a slot holds, as a read-only view where it is an array."""
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.setflags(write=False)
    return view


def _options(number: int, group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group by dotted name."""
    return {f"{number}.{key}": value for key, value in group.items() if key != "params"}


def _groups(target: Any) -> list[dict[str, Any]]:
    """Parameter groups from a module, parameters, or dicts."""
    single = isinstance(target, mg.Tensor | Mapping | Module)
    items: list[Any] = [target] if single else list(target)
    if not items or not all(isinstance(item, Mapping) for item in items):
        items = [{"params": items}]
    for item in items:
        if "params" not in item:
            found = ", ".join(map(repr, item))
            raise TypeError(f"a group of parameters needs 'params', found only {found}")
    return [{**item, "params": _parameters(item["params"])} for item in items]


def _parameters(target: Any) -> list[Parameter]:
    """The parameters of a module, or of several modules and parameters."""
    found: list[Any] = []
    for part in [target] if isinstance(target, mg.Tensor | Module) else target:
        found += part.parameters() if isinstance(part, Module) else [part]
    for p in found:
        if not isinstance(p, Parameter) and not _is_trained(p):
            raise TypeError(f"an optimiser trains leaves that require grad, found {p!r}")
    return found


def _is_trained(p: Any) -> bool:
    return isinstance(p, mg.Tensor) and p.is_leaf and p.requires_grad
