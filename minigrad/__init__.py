"""minigrad: a tiny NumPy tensor whose computation graph one can draw, step through and edit.

Here are the engine, the functions that NumPy lacks and those that cells are written with; every
other function of NumPy is differentiable under NumPy's own name: `np.arctan2(t, u)`.
"""

import typing as _typing

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
from minigrad.memory import memory_policy
from minigrad.ops.activations import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logcumsumexp,
    logsumexp,
    one_hot,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from minigrad.ops.arithmetic import matmul, power
from minigrad.ops.elementwise import (
    abs,
    cos,
    exp,
    expm1,
    log,
    log1p,
    sign,
    sin,
    sqrt,
    square,
    tanh,
)
from minigrad.ops.indexing import repeat, take, take_along_axis
from minigrad.ops.joining import concatenate, split, stack, unstack
from minigrad.ops.nondifferentiable import argmax, argmin, isfinite, isnan
from minigrad.ops.ordering import cummax, cummin, sort
from minigrad.ops.products import dot, einsum, tensordot
from minigrad.ops.reductions import cumsum, max, mean, min, prod, std, sum, var
from minigrad.ops.selection import clip, maximum, minimum, where
from minigrad.ops.shaping import (
    broadcast_to,
    expand_dims,
    flip,
    moveaxis,
    pad,
    reshape,
    roll,
    squeeze,
    swapaxes,
    transpose,
)
from minigrad.paths import Axis, Role
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.public import Graph
from minigrad.recorder import note, record
from minigrad.reports import clip_report
from minigrad.scope import is_tracing, no_grad, scope, tracing
from minigrad.tensor import Tensor, generator, get_default_dtype, seed, set_default_dtype, tensor
from minigrad.timesteps import time_step, timesteps

if _typing.TYPE_CHECKING:
    from minigrad.debugger import Breakpoint, debug
    from minigrad.program import clear_cache, compile
    from minigrad.render import compare

__version__ = "0.2.0"

__all__ = [
    "Axis",
    "Breakpoint",
    "Changes",
    "Difference",
    "Edge",
    "Explanation",
    "GradcheckError",
    "Graph",
    "Primitive",
    "Role",
    "Scatter",
    "Tensor",
    "abs",
    "argmax",
    "argmin",
    "broadcast_to",
    "clear_cache",
    "clip",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_report",
    "compare",
    "compile",
    "concatenate",
    "cos",
    "cummax",
    "cummin",
    "cumsum",
    "debug",
    "detect_anomaly",
    "dot",
    "einsum",
    "elu",
    "exp",
    "expand_dims",
    "explain",
    "expm1",
    "first_difference",
    "flip",
    "gelu",
    "generator",
    "get_default_dtype",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "is_tracing",
    "isfinite",
    "isnan",
    "jacobian",
    "jvp",
    "leaky_relu",
    "log",
    "log1p",
    "log_softmax",
    "logcumsumexp",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "memory_policy",
    "min",
    "minimum",
    "moveaxis",
    "no_grad",
    "note",
    "one_hot",
    "pad",
    "power",
    "primitive",
    "prod",
    "record",
    "relu",
    "repeat",
    "reshape",
    "roll",
    "scope",
    "seed",
    "set_default_dtype",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tanh",
    "tensor",
    "tensordot",
    "time_step",
    "timesteps",
    "tracing",
    "transpose",
    "unstack",
    "var",
    "vjp",
    "where",
]

if not _typing.TYPE_CHECKING:
    from minigrad.later import attribute as __getattr__
    from minigrad.later import explained as _explained

    globals().update({name: _explained(globals()[name]) for name in __all__ if name in globals()})

    def __dir__() -> list[str]:
        return __all__
