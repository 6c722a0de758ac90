"""What to write here for the names that users of PyTorch type from habit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

_NO_DEVICE = "there are no devices: everything runs on the CPU"
_NOT_IN_PLACE = "nothing changes in place: write "

OF_TENSORS = {
    "view": "write t.reshape(shape)",
    "view_as": "write t.reshape(other.shape)",
    "unsqueeze": "write np.expand_dims(t, axis), or t[:, None]",
    "permute": "write t.transpose(axes)",
    "contiguous": "tensors need no copy for that: leave it out",
    "expand": "write np.broadcast_to(t, shape)",
    "expand_as": "write np.broadcast_to(t, other.shape)",
    "tile": "write np.tile(t, reps)",
    "flip": "write np.flip(t, axis)",
    "roll": "write np.roll(t, shift, axis)",
    "split": "write np.split(t, parts, axis)",
    "chunk": "write np.array_split(t, parts, axis)",
    "unbind": "write list(t), or np.unstack(t, axis=axis)",
    "narrow": "write t[start : start + length]",
    "select": "write t[i], or np.take(t, i, axis)",
    "index_select": "write np.take(t, indices, axis)",
    "gather": "write np.take_along_axis(t, indices, axis)",
    "masked_fill": "write np.where(mask, value, t)",
    "masked_select": "write t[mask]",
    "where": "write np.where(condition, t, other)",
    "topk": "write np.take(t, np.argsort(t)[-k:])",
    "sort": "write np.sort(t, axis)",
    "abs": "write abs(t), or np.abs(t)",
    "pow": "write t ** n",
    "neg": "write -t",
    "add": "write a + b",
    "sub": "write a - b",
    "mul": "write a * b",
    "div": "write a / b",
    "mm": "write a @ b",
    "bmm": "write a @ b",
    "matmul": "write a @ b",
    "mv": "write a @ b",
    "norm": "write np.linalg.norm(t)",
    "sin": "write np.sin(t)",
    "cos": "write np.cos(t)",
    "log1p": "write np.log1p(t)",
    "expm1": "write np.expm1(t)",
    "square": "write t ** 2",
    "rsqrt": "write t ** -0.5",
    "reciprocal": "write 1 / t",
    "clamp": "write t.clip(low, high)",
    "maximum": "write np.maximum(a, b)",
    "minimum": "write np.minimum(a, b)",
    "logsumexp": "write mg.logsumexp(t, axis)",
    "gelu": "write mg.gelu(t)",
    "softplus": "write mg.softplus(t)",
    "numel": "write t.size",
    "nelement": "write t.size",
    "dim": "write t.ndim",
    "ndimension": "write t.ndim",
    "clone": "write t.copy()",
    "float": "write t.astype(np.float32)",
    "double": "write t.astype(np.float64)",
    "half": "write t.astype(np.float16)",
    "long": "write t.astype(np.int64)",
    "int": "write t.astype(np.int64)",
    "bool": "write t != 0",
    "type": "write t.astype(dtype)",
    "to": f"{_NO_DEVICE}; for another dtype write t.astype(dtype)",
    "cpu": _NO_DEVICE,
    "cuda": _NO_DEVICE,
    "device": _NO_DEVICE,
    "is_cuda": _NO_DEVICE,
    "requires_grad_": "write t.requires_grad = True",
    "detach_": "write t = t.detach()",
    "retain_grad": "write loss.backward(retain_grads=True), or t.register_hook(hook)",
    "grad_fn": "write t.op, and t.inputs",
    "zero_": f"{_NOT_IN_PLACE}w.data = np.zeros(w.shape), or p.grad = None for gradients",
    "fill_": f"{_NOT_IN_PLACE}w.data = np.full(w.shape, value)",
    "copy_": f"{_NOT_IN_PLACE}w.data = array",
    "add_": f"{_NOT_IN_PLACE}t = t + other, or w += other inside mg.no_grad()",
    "sub_": f"{_NOT_IN_PLACE}t = t - other, or w -= other inside mg.no_grad()",
    "mul_": f"{_NOT_IN_PLACE}t = t * other, or w *= other inside mg.no_grad()",
    "div_": f"{_NOT_IN_PLACE}t = t / other, or w /= other inside mg.no_grad()",
    "clamp_": f"{_NOT_IN_PLACE}w.data = w.data.clip(low, high)",
    "scatter_": f"{_NOT_IN_PLACE}np.where(mask, values, t)",
    "uniform_": f"{_NOT_IN_PLACE}nn.init.uniform_(w, low, high)",
    "normal_": f"{_NOT_IN_PLACE}nn.init.normal_(w, mean, std)",
}

OF_PACKAGE = {
    "cat": "write np.concatenate(tensors, axis)",
    "from_numpy": "write mg.tensor(array)",
    "as_tensor": "write mg.tensor(array)",
    "zeros": "write mg.tensor(np.zeros(shape))",
    "ones": "write mg.tensor(np.ones(shape))",
    "empty": "write mg.tensor(np.empty(shape))",
    "full": "write mg.tensor(np.full(shape, value))",
    "eye": "write mg.tensor(np.eye(n))",
    "arange": "write mg.tensor(np.arange(n))",
    "zeros_like": "write np.zeros_like(t)",
    "ones_like": "write np.ones_like(t)",
    "rand": "write mg.tensor(mg.generator().random(shape))",
    "randn": "write mg.tensor(mg.generator().standard_normal(shape))",
    "randint": "write mg.generator().integers(low, high, shape)",
    "randperm": "write mg.generator().permutation(n)",
    "manual_seed": "write mg.seed(n)",
    "permute": "write np.transpose(t, axes)",
    "unsqueeze": "write np.expand_dims(t, axis)",
    "clamp": "write np.clip(t, low, high)",
    "mm": "write a @ b",
    "bmm": "write a @ b",
    "gather": "write np.take_along_axis(t, indices, axis)",
    "masked_fill": "write np.where(mask, value, t)",
    "chunk": "write np.array_split(t, parts, axis)",
    "unbind": "write list(t), or np.unstack(t, axis=axis)",
    "pow": "write t ** n",
    "mul": "write a * b",
    "add_": "write t = t + other",
    "nn": "write import nn",
    "optim": "write import nn; nn.Adam(net, lr=1e-3)",
    "autograd": "write mg.grad(outputs, inputs)",
    "func": "write mg.vjp, mg.jvp, mg.jacobian, mg.hessian or mg.hvp",
    "enable_grad": "recording is on outside of mg.no_grad()",
    "inference_mode": "write with mg.no_grad():",
    "set_grad_enabled": "write with mg.no_grad():",
    "save": "write nn.save(net, path)",
    "load": "write nn.load(net, path)",
    "device": _NO_DEVICE,
    "cuda": _NO_DEVICE,
    "float32": "dtypes are NumPy's: np.float32",
    "float64": "dtypes are NumPy's: np.float64",
    "float16": "dtypes are NumPy's: np.float16",
    "int64": "dtypes are NumPy's: np.int64",
    "long": "dtypes are NumPy's: np.int64",
}

OF_KEYWORDS = {"dim": "write axis=", "keepdim": "write keepdims="}


def advice(name: str) -> str:
    """A semicolon and what to write for a name of the package torch; "" for one not known."""
    return f"; {OF_PACKAGE[name]}" if name in OF_PACKAGE else ""


class Instead:
    """An attribute that a tensor does not have: reading it says what to write."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, tensor: Any, kind: type) -> NoReturn:
        raise AttributeError(f"Tensor has no {self._name!r}; {OF_TENSORS[self._name]}")


class Habits:
    """PyTorch's names on a tensor.  Attributes that exist are looked up as fast as without them."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        """The names that there are, without those of PyTorch."""
        return [name for name in object.__dir__(self) if name not in OF_TENSORS]


if not TYPE_CHECKING:  # so that type checkers still reject unknown names
    for _name in OF_TENSORS:
        setattr(Habits, _name, Instead(_name))
