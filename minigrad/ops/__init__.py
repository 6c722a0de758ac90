"""Differentiable functions under NumPy's names, by family.  Tensors call them; `protocol` leads NumPy's own here."""

from __future__ import annotations

import numpy as np

from minigrad.operators import functions
from minigrad.ops import (
    activations,
    arithmetic,
    composite,
    elementwise,
    indexing,
    joining,
    linalg,
    moving,
    nondifferentiable,
    ordering,
    products,
    protocol,
    reductions,
    selection,
    shaping,
)
from minigrad.ops.activations import *
from minigrad.ops.arithmetic import *
from minigrad.ops.composite import *
from minigrad.ops.elementwise import *
from minigrad.ops.indexing import *
from minigrad.ops.joining import *
from minigrad.ops.linalg import *
from minigrad.ops.moving import *
from minigrad.ops.nondifferentiable import *
from minigrad.ops.ordering import *
from minigrad.ops.products import *
from minigrad.ops.protocol import call_function, call_ufunc
from minigrad.ops.reductions import *
from minigrad.ops.selection import *
from minigrad.ops.shaping import *
from minigrad.primitive import Primitive, registry

__all__ = ["call_function", "call_ufunc"]
__all__ += (
    activations.__all__
    + arithmetic.__all__
    + composite.__all__
    + elementwise.__all__
    + indexing.__all__
)
__all__ += (
    joining.__all__ + linalg.__all__ + moving.__all__ + nondifferentiable.__all__ + ordering.__all__
)
__all__ += products.__all__ + reductions.__all__ + selection.__all__ + shaping.__all__
# what works as t.name(...); the four are methods that change an array in place, or take their arguments otherwise
METHODS = {name for name in __all__ if hasattr(np.ndarray, name)} - {
    "compress",
    "partition",
    "resize",
    "sort",
}
protocol.fill({name: globals()[name] for name in __all__})
for _name in __all__:
    _function = globals()[_name]
    # a bound method: called 50 ns faster than the primitive itself
    functions[_name] = _function.__call__ if isinstance(_function, Primitive) else _function

for _name in [
    "add",
    "subtract",
    "negative",
    "sum",
    "mean",
    "stack",
    "concatenate",
    "reshape",
    "expand_dims",
]:
    registry[_name].linear = True
