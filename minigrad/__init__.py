"""minigrad: a tiny NumPy tensor whose computation graph one can draw, step through, edit and measure."""

from typing import TYPE_CHECKING, Any

from minigrad import ops
from minigrad.anomaly import detect_anomaly
from minigrad.clip import clip_grad_adaptive_, clip_grad_blocks_, clip_grad_norm_, clip_grad_value_
from minigrad.explain import Explanation, explain
from minigrad.functional import hessian, hvp, jacobian, jvp, vjp
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck
from minigrad.graph import Edge, Graph, grad
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
from minigrad.ops.reductions import *
from minigrad.ops.selection import *
from minigrad.ops.shaping import *
from minigrad.primitive import Primitive, Scatter, primitive
from minigrad.reports import clip_report
from minigrad.scope import Axis, Role, no_grad, scope, time_step, timesteps
from minigrad.tensor import Tensor, generator, get_default_dtype, seed, set_default_dtype, tensor

if TYPE_CHECKING:
    from minigrad.debugger import Breakpoint, debug
    from minigrad.render import compare

__all__ = ["Axis", "Edge", "Graph", "Primitive", "Role", "Scatter", "Tensor", "get_default_dtype", "grad", "no_grad"]
__all__ += ["generator", "seed"]
__all__ += ["ops", "primitive", "scope", "set_default_dtype", "tensor", "time_step", "timesteps"]
__all__ += ["clip_grad_adaptive_", "clip_grad_blocks_", "clip_grad_norm_", "clip_grad_value_", "clip_report"]
__all__ += ["detect_anomaly"]
__all__ += ["Explanation", "explain"]
__all__ += ["GradcheckError", "gradcheck", "gradgradcheck", "hessian", "hvp", "jacobian", "jvp", "vjp"]
__all__ += ops.activations.__all__ + ops.arithmetic.__all__ + ops.composite.__all__ + ops.elementwise.__all__
__all__ += ops.indexing.__all__ + ops.joining.__all__ + ops.linalg.__all__ + ops.moving.__all__
__all__ += ops.nondifferentiable.__all__ + ops.ordering.__all__ + ops.products.__all__ + ops.reductions.__all__
__all__ += ops.selection.__all__ + ops.shaping.__all__
__all__ += ["Breakpoint", "compare", "debug"]


def __getattr__(name: str) -> Any:
    """The debugger and the pictures are loaded when they are asked for."""
    if name not in ("Breakpoint", "compare", "debug"):
        raise AttributeError(f"module 'minigrad' has no attribute {name!r}")
    from minigrad import debugger, render

    return getattr(render if name == "compare" else debugger, name)
