"""What to write here for the names and keywords that users of PyTorch type from habit."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

_NO_DEVICE = "there are no devices: everything runs on the CPU"
_NOT_IN_PLACE = "nothing changes in place: write "
_NOT_KEPT = "tensors keep no such thing; leave it out"


def _each(names: str, text: str) -> dict[str, str]:
    """The same advice for several names; {} stands for the name."""
    return {name: text.format(name) for name in names.split()}


def _renamed(pairs: str, text: str) -> dict[str, str]:
    """Advice for names that NumPy spells otherwise: "acos arccos, atan arctan"."""
    return {a: text.format(b) for a, b in (pair.split() for pair in pairs.split(","))}


OF_TENSORS = {
    **_each(
        "absolute arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh deg2rad exp2 expm1 "
        "fix floor isfinite isinf isnan isneginf isposinf log10 log1p log2 logical_not nan_to_num "
        "negative positive rad2deg sign signbit sin sinc sinh tan trunc count_nonzero angle imag "
        "fliplr flipud rot90 tril triu diag diagflat unique median nanmean nansum "
        "isreal nonzero argwhere amax amin corrcoef cov histogram hsplit vsplit dsplit partition "
        "frexp conj real bincount compress resize",
        "write np.{}(t)",
    ),
    **_each(
        "arctan2 bitwise_and bitwise_or bitwise_xor copysign fmax fmin fmod gcd lcm heaviside "
        "hypot kron ldexp logaddexp logaddexp2 logical_and logical_or logical_xor nextafter "
        "remainder float_power floor_divide inner outer vdot cross isclose allclose",
        "write np.{}(a, b)",
    ),
    **_each("cholesky det matrix_power slogdet svd qr solve lstsq", "write np.linalg.{}(t)"),
    **_each("quantile nanquantile", "write np.{}(t, q)"),
    **_each("moveaxis diff broadcast_to", "write np.{}(t, ...)"),
    **_each("cummax cummin", "write mg.{}(t, axis)"),
    **_each("logcumsumexp", "write mg.{}(t, axis)"),
    **_renamed(
        "acos arccos,acosh arccosh,asin arcsin,asinh arcsinh,atan arctan,atanh arctanh,sgn sign,"
        "msort sort",
        "write np.{}(t)",
    ),
    **_renamed("inverse inv,pinverse pinv,symeig eigh,logdet slogdet", "write np.linalg.{}(t)"),
    **_renamed(
        "eq ==,ne !=,not_equal !=,lt <,le <=,gt >,ge >=,less <,less_equal <=,greater >,"
        "greater_equal >=,subtract -,multiply *,divide /,true_divide /,bitwise_left_shift <<,"
        "bitwise_right_shift >>",
        "write a {} b",
    ),
    **_each(
        "data_ptr element_size itemsize nbytes is_contiguous storage storage_offset stride strides "
        "layout flags base ctypes untyped_storage tobytes tofile dump dumps byteswap getfield",
        "look at the array: t.data",
    ),
    **_each(
        "pin_memory is_pinned share_memory_ is_shared record_stream resolve_conj resolve_neg "
        "as_subclass output_nr is_inference",
        _NOT_KEPT,
    ),
    **_each("is_sparse is_complex is_conj is_quantized is_meta is_nested", "it is always False"),
    **_each(
        "to_sparse to_dense coalesce dequantize int_repr q_scale to_mkldnn sparse_mask sparse_dim",
        "there are no sparse and no quantised tensors",
    ),
    **_each("stft istft H mH adjoint eig cfloat cdouble chalf", "there are no complex numbers"),
    **_each("erf erfc erfinv lgamma digamma polygamma igamma", "give it a rule with @mg.primitive"),
    **_each("new_zeros new_ones new_empty", "write mg.tensor(np.zeros(shape, t.dtype))"),
    **_each("new_tensor new_full new", "write mg.tensor(data, dtype=t.dtype)"),
    **_each("is_cpu get_device ipu xpu is_xpu is_mps to_device", _NO_DEVICE),
    **_each("map_ map2_ apply_ set_ resize_ resize_as_ swap_dims_", _NOT_IN_PLACE + "t = ..."),
    "atan2": "write np.arctan2(a, b)",
    "equal": "write np.array_equal(a, b)",
    "frac": "write np.modf(t)[0]",
    "aminmax": "write t.min(), t.max()",
    "tensor_split": "write np.array_split(t, parts, axis)",
    "i0": "give it a rule with @mg.primitive",
    "is_floating_point": "write t.dtype.kind == 'f'",
    "is_nonzero": "write bool(t)",
    "is_same_size": "write a.shape == b.shape",
    "is_signed": "write t.dtype.kind in 'if'",
    "type_as": "write t.astype(other.dtype)",
    "values": "t.max(axis) and np.sort(t) give the values alone; positions: t.argmax(axis)",
    "indices": "t.max(axis) and np.sort(t) give the values alone; positions: t.argmax(axis)",
    "bitwise_not": "write ~t",
    "index": "write t[indices]",
    **_each("select_scatter slice_scatter diagonal_scatter", "write np.where(mask, values, t)"),
    **_each("cholesky_solve triangular_solve lu_solve", "write np.linalg.solve(a, b)"),
    **_each("cholesky_inverse", "write np.linalg.inv(l @ l.T)"),
    "reshape_as": "write t.reshape(other.shape)",
    "repeat_interleave": "write np.repeat(t, repeats, axis)",
    "swapdims": "write t.swapaxes(a, b)",
    "movedim": "write np.moveaxis(t, source, destination)",
    "unflatten": "write t.reshape(shape)",
    "unfold": "write np.lib.stride_tricks.sliding_window_view(t, size, axis)",
    "as_strided": "write np.lib.stride_tricks.sliding_window_view(t, size, axis)",
    "diag_embed": "write np.expand_dims(t, -1) * np.eye(n)",
    "ger": "write np.outer(a, b)",
    "addr": "write t + np.outer(a, b)",
    "addmm": "write t + a @ b",
    "addmv": "write t + a @ b",
    "addbmm": "write t + (a @ b).sum(axis=0)",
    "baddbmm": "write t + a @ b",
    "addcmul": "write t + value * a * b",
    "addcdiv": "write t + value * a / b",
    "lerp": "write a + weight * (b - a)",
    "xlogy": "write np.where(a == 0, 0, a * np.log(b))",
    "logit": "write np.log(p / (1 - p))",
    "dist": "write np.linalg.norm(a - b)",
    "renorm": "write t / np.linalg.norm(t, axis=axis, keepdims=True)",
    "matrix_exp": "give it a rule with @mg.primitive",
    "clamp_min": "write np.maximum(t, low)",
    "clamp_max": "write np.minimum(t, high)",
    "prelu": "write mg.leaky_relu(t, slope)",
    "hardshrink": "write np.where(np.abs(t) > 0.5, t, 0)",
    "histc": "write np.histogram(t, bins)",
    "kthvalue": "write np.sort(t, axis)[..., k - 1]",
    "mode": "write np.unique(t)",
    "take_along_dim": "write np.take_along_axis(t, indices, axis)",
    "split_with_sizes": "write np.split(t, np.cumsum(sizes)[:-1], axis)",
    "unique_consecutive": "write np.unique(t)",
    "nanmedian": "write np.nanmedian(t.data)",
    "scatter": "write np.where(mask, values, t), or mg.one_hot(indices, n)",
    "scatter_add": "write mg.one_hot(indices, n).T @ values",
    "scatter_reduce": "write mg.one_hot(indices, n).T @ values",
    "index_add": "write t + mg.one_hot(indices, n).T @ values",
    "index_fill": "write np.where(mask, value, t)",
    "index_copy": "write np.where(mask, values, t)",
    "index_put": "write np.where(mask, values, t)",
    "masked_scatter": "write np.where(mask, values, t)",
    "fill": "write np.full_like(t, value)",
    "flat": "write t.reshape(-1)",
    "put": "write np.where(mask, values, t)",
    "setfield": "write np.where(mask, values, t)",
    "setflags": "arrays are read-only for life; write t.copy()",
    "bernoulli": "write mg.generator().random(t.shape) < t.data",
    "multinomial": "write mg.generator().choice(n, size, p=t.data)",
    "sum_to_size": "write t.sum(axis, keepdims=True)",
    "retains_grad": "write loss.backward(retain_grads=True)",
    "register_post_accumulate_grad_hook": "write t.register_hook(hook)",
    **_each("bfloat16 byte char short", "write t.astype(dtype)"),
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
    "uniform_": f"{_NOT_IN_PLACE}w.data = nn.init.uniform(*w.shape, low=a, high=b)",
    "normal_": f"{_NOT_IN_PLACE}w.data = nn.init.normal(*w.shape, std=std)",
}

METHODS = "exp log sqrt tanh sigmoid relu cumsum cumprod round clip squeeze transpose swapaxes t"
IN_PLACE = {
    **{f"{name}_": f"{_NOT_IN_PLACE}t = t.{name}()" for name in METHODS.split()},
    **{
        f"{name}_": text.replace("write ", f"{_NOT_IN_PLACE}t = ", 1)
        for name, text in OF_TENSORS.items()
        if text.startswith("write ") and not name.endswith("_")
    },
    **_each(
        "random_ exponential_ geometric_ cauchy_ log_normal_ bernoulli_",
        _NOT_IN_PLACE + "w.data = mg.generator().normal(size=w.shape)",
    ),
    "fill_diagonal_": _NOT_IN_PLACE + "t = np.where(np.eye(n) > 0, value, t)",
}
OF_TENSORS = {**IN_PLACE, **OF_TENSORS}

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
    **_each("FloatTensor DoubleTensor HalfTensor", "write mg.tensor(data, dtype=np.float32)"),
    **_each("LongTensor IntTensor ByteTensor BoolTensor", "write mg.tensor(np.array(data))"),
    **_each("int32 int16 int8 uint8 bool complex64 complex128", "dtypes are NumPy's: np.{}"),
    **_renamed(
        "double float64,half float16,float float32,int int32,short int16",
        "dtypes are NumPy's: np.{}",
    ),
    **_each("pi e inf nan newaxis", "write np.{}"),
    **_each("finfo iinfo result_type can_cast promote_types", "write np.{}"),
    **_each(
        "allclose array_equal asarray tril_indices triu_indices vander logspace broadcast_shapes",
        "write np.{}(...)",
    ),
    **_each("cuda backends mps xpu set_default_device get_default_device", _NO_DEVICE),
    **_each("amp autocast GradScaler set_float32_matmul_precision", "dtypes stay as they are"),
    **_each("set_num_threads get_num_threads", "the BLAS of NumPy counts threads: OMP_NUM_THREADS"),
    **_each("distributed multiprocessing", "write nn.Parallel()"),
    **_each("jit fx export onnx", "write mg.compile(loss_fn), nn.to_onnx(net, path)"),
    **_each("sparse quantization nested", "there are no sparse and no quantised tensors"),
    **_each("fft stft istft complex polar view_as_real", "there are no complex numbers"),
    **_each("distributions special", "write the formula with NumPy's functions"),
    **_each("vmap", "write the function on whole arrays"),
    **_each("rand_like", "write mg.tensor(mg.generator().random(t.shape))"),
    **_each("randn_like", "write mg.tensor(mg.generator().standard_normal(t.shape))"),
    **_each("normal poisson binomial", "write mg.generator().{}(...)"),
    **_renamed("hamming_window hamming,hann_window hanning,kaiser_window kaiser", "write np.{}(n)"),
    "matrix_rank": "write np.linalg.matrix_rank(t)",
    **_each(
        "conv2d conv3d max_pool1d max_pool2d max_pool3d avg_pool1d adaptive_avg_pool1d bilinear "
        "group_norm instance_norm rms_norm embedding_bag pixel_shuffle grid_sampler",
        "minigrad is for recurrent networks; write it with NumPy's functions",
    ),
    "detach": "write t.detach()",
    "t": "write t.T",
    "rnn_tanh": "write nn.RNN(input_size, hidden_size)",
    "rnn_relu": "write nn.RNN(input_size, hidden_size, nonlinearity='relu')",
    "lstm_cell": "write nn.LSTMCell(input_size, hidden_size)",
    "gru_cell": "write nn.GRUCell(input_size, hidden_size)",
    "get_rng_state": "write mg.generator().bit_generator.state",
    "set_rng_state": "write mg.generator().bit_generator.state = state",
    "initial_seed": "write mg.seed(n)",
    "use_deterministic_algorithms": "runs are repeated exactly after mg.seed(n)",
    "randint_like": "write mg.generator().integers(low, high, t.shape)",
    "kl_div": "write (p * (np.log(p) - log_q)).sum(axis=-1).mean()",
    "linalg": "write np.linalg.norm(t), np.linalg.solve(a, b), ...",
    "is_tensor": "write isinstance(t, mg.Tensor)",
    "is_grad_enabled": "recording is on outside of mg.no_grad()",
    "Generator": "write np.random.default_rng(seed)",
    "Size": "shapes are tuples",
    "dtype": "dtypes are NumPy's: np.dtype",
    "set_printoptions": "write np.set_printoptions",
    "set_default_tensor_type": "write mg.set_default_dtype(np.float64)",
    "utils": "write nn.batches(arrays, size), mg.clip_grad_norm_(net, max_norm)",
    "empty_like": "write np.zeros_like(t)",
    "concat": "write np.concatenate(tensors, axis)",
    "range": "write mg.tensor(np.arange(n))",
    "scalar_tensor": "write mg.tensor(x)",
    "broadcast_tensors": "write np.broadcast_arrays(a, b)",
    "bucketize": "write np.digitize(t, bins)",
    "cdist": "write np.linalg.norm(a[:, None] - b, axis=-1)",
    "cosine_similarity": "write np.vecdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))",
    "chain_matmul": "write np.linalg.multi_dot([a, b, c])",
    "std_mean": "write t.std(ddof=1), t.mean()",
    "var_mean": "write t.var(ddof=1), t.mean()",
    "trapz": "write np.trapezoid(y, x)",
    "row_stack": "write np.vstack(tensors)",
    "rsub": "write b - a",
    "dropout": "write nn.Dropout(p)",
    "embedding": "write nn.Embedding(count, size)",
    "layer_norm": "write nn.LayerNorm(size)",
    "batch_norm": "write nn.BatchNorm(size)",
    "conv1d": "write nn.Conv1d(input_size, output_size, kernel_size)",
    "lstm": "write nn.LSTM(input_size, hidden_size)",
    "gru": "write nn.GRU(input_size, hidden_size)",
    "ctc_loss": "write nn.ctc_loss(log_p, targets)",
    "binary_cross_entropy_with_logits": "write nn.binary_cross_entropy_with_logits(x, target)",
    "selu": "write 1.0507 * mg.elu(t, 1.6733)",
    "celu": "write alpha * mg.elu(t / alpha)",
    "is_anomaly_enabled": "write with mg.detect_anomaly():",
    "set_anomaly_enabled": "write with mg.detect_anomaly():",
}

OF_KEYWORDS = {
    **_each("dim dims", "write axis="),
    **_each("dim0 dim1", "write t.swapaxes(a, b)"),
    "dim2": "write axis2=",
    "keepdim": "write keepdims=",
    "unbiased": "write ddof=1 for unbiased=True, ddof=0 for unbiased=False",
    "correction": "write ddof=",
    "descending": "write np.flip(np.sort(t, axis), axis)",
    "start_dim": "write t.reshape(shape)",
    "end_dim": "write t.reshape(shape)",
    "inplace": "nothing changes in place; leave it out",
    "out": "use the result, as in t = t + 1",
    "input": "give it first, without a name",
    "other": "give it second, without a name",
    "tensor": "give it first, without a name",
    "p": "write ord=",
    "retain_graph": "a second backward is exact; leave it out",
    "only_inputs": "mg.grad never writes .grad; leave it out",
    "gradient": "write grad=",
    "device": f"{_NO_DEVICE}; leave it out",
    **_each("pin_memory layout memory_format non_blocking", f"{_NOT_KEPT}"),
    "generator": "write mg.seed(n) before",
    "approximate": "mg.gelu is the tanh form; leave it out",
    "requires_grad": "write mg.tensor(array, requires_grad=True)",
}


def advice(name: str) -> str:
    """A semicolon and what to write for a name of the package torch; "" for one not known."""
    known = {**OF_TENSORS, **OF_PACKAGE}
    return f"; {known[name]}" if name in known else ""


def unknown_keyword(function: str, keywords: Iterable[str]) -> TypeError:
    """What to say of a keyword that a method of a tensor does not have."""
    name = next(iter(keywords))
    problem = f"{function}() got an unexpected keyword argument {name!r}"
    return TypeError(f"{problem}; {OF_KEYWORDS[name]}" if name in OF_KEYWORDS else problem)


def explain(error: Exception, keywords: Iterable[str]) -> None:
    """Add what to write to a TypeError about a keyword that a function does not have."""
    text = str(error)
    for name in keywords:
        if name in OF_KEYWORDS and text.endswith(f"unexpected keyword argument {name!r}"):
            error.args = (f"{text}; {OF_KEYWORDS[name]}",)


def explaining(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose error about an unknown keyword says what to write."""

    @functools.wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return function(*args, **keywords)
        except TypeError as error:
            explain(error, keywords)
            raise

    return call


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
