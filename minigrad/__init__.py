"""minigrad: a tiny NumPy tensor whose computation graph one can draw, step through, edit and measure."""

import importlib
from typing import TYPE_CHECKING, Any

from minigrad import ops
from minigrad.anomaly import detect_anomaly
from minigrad.backward import grad
from minigrad.changes import Changes
from minigrad.clip import clip_grad_norm_, clip_grad_value_
from minigrad.differences import Difference, first_difference
from minigrad.explain import Explanation, explain
from minigrad.functional import hessian, hvp, jacobian, jvp, vjp
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.graph import Edge
from minigrad.habits import advice
from minigrad.ops import *
from minigrad.paths import Axis, Role
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.public import Graph
from minigrad.recorder import note, record
from minigrad.reports import clip_report
from minigrad.scope import is_tracing, no_grad, scope, tracing
from minigrad.tensor import Tensor, generator, get_default_dtype, seed, set_default_dtype, tensor
from minigrad.timesteps import time_step, timesteps

__version__ = "0.2.0"

if TYPE_CHECKING:
    from minigrad.debugger import Breakpoint, debug
    from minigrad.program import clear_cache, compile
    from minigrad.render import compare

__all__ = [
    "Axis",
    "Breakpoint",
    "Changes",
    "Edge",
    "Explanation",
    "GradcheckError",
    "Graph",
    "Primitive",
    "Role",
    "Scatter",
]
__all__ += [
    "Tensor",
    "clip_grad_norm_",
    "clip_grad_value_",
]
__all__ += [
    "clip_report",
    "compare",
    "debug",
    "detect_anomaly",
    "explain",
    "generator",
    "get_default_dtype",
    "grad",
]
__all__ += [
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "no_grad",
    "ops",
    "primitive",
    "scope",
]
__all__ += ["clear_cache", "compile", "is_tracing"]
__all__ += ["Difference", "first_difference", "note", "record"]
__all__ += ["seed", "set_default_dtype", "tensor", "time_step", "timesteps", "tracing", "vjp"]
__all__ += ops.__all__
__all__.remove("call_function")  # the doors through which NumPy enters are no functions for users
__all__.remove("call_ufunc")


def __getattr__(name: str) -> Any:
    """The debugger, the pictures and the programs are loaded when they are asked for."""
    if name not in _LATER:
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}{advice(name)}")
    return getattr(importlib.import_module(f"minigrad.{_LATER[name]}"), name)


_LATER = {
    "Breakpoint": "debugger",
    "clear_cache": "program",
    "compare": "render",
    "compile": "program",
    "debug": "debugger",
}
