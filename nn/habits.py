"""What to write here for the names that users of PyTorch type from habit."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

_NOT_HERE = "minigrad is for recurrent networks; write it as an nn.Module with NumPy's functions"
_NO_DEVICE = "there are no devices: everything runs on the CPU"


def _each(names: str, text: str) -> dict[str, str]:
    """The same advice for several names; {} stands for the name."""
    return {name: text.format(name) for name in names.split()}


OF_PACKAGE = {
    **_each(
        "Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d MaxPool1d MaxPool2d "
        "MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d "
        "AdaptiveMaxPool1d AdaptiveMaxPool2d Transformer TransformerEncoder TransformerDecoder "
        "TransformerEncoderLayer TransformerDecoderLayer MultiheadAttention GroupNorm RMSNorm "
        "InstanceNorm1d InstanceNorm2d LocalResponseNorm Bilinear Upsample Fold Unfold "
        "PixelShuffle PixelUnshuffle EmbeddingBag AdaptiveLogSoftmaxWithLoss AdaptiveAvgPool3d "
        "AdaptiveMaxPool3d ChannelShuffle FractionalMaxPool2d LPPool1d LPPool2d MaxUnpool1d "
        "MaxUnpool2d InstanceNorm3d UpsamplingNearest2d UpsamplingBilinear2d conv2d conv3d "
        "max_pool1d max_pool2d avg_pool1d avg_pool2d adaptive_avg_pool1d adaptive_avg_pool2d "
        "interpolate group_norm instance_norm rms_norm embedding_bag bilinear grid_sample unfold "
        "fold pixel_shuffle multi_head_attention_forward",
        _NOT_HERE,
    ),
    **_each("BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm", "write nn.BatchNorm(size)"),
    **_each("LazyLinear LazyConv1d LazyBatchNorm1d", "sizes are given: nn.Linear(2, 3)"),
    **_each("Dropout1d Dropout2d Dropout3d AlphaDropout", "write nn.Dropout(p)"),
    **_each("ZeroPad1d ZeroPad2d ConstantPad1d ConstantPad2d", "write np.pad(x, widths)"),
    **_each("ReflectionPad1d ReflectionPad2d", "write np.pad(x, widths, 'reflect')"),
    **_each("ReplicationPad1d ReplicationPad2d", "write np.pad(x, widths, 'edge')"),
    **_each("DataParallel DistributedDataParallel", "write nn.Parallel()"),
    **_each("RNNBase RNNCellBase", "write a subclass of nn.Cell, and nn.Unroll(cell)"),
    **_each("Softmax2d Softmin", "write mg.softmax(x, axis=-1)"),
    **_each("ReLU6 Hardtanh", "write lambda x: x.clip(0, 6)"),
    **_each("Hardsigmoid Hardswish", "write (x / 6 + 0.5).clip(0, 1)"),
    **_each("Hardshrink Softshrink Threshold", "write np.where(np.abs(x) > 0.5, x, 0)"),
    **_each("Softsign", "write x / (1 + np.abs(x))"),
    **_each("Tanhshrink", "write x - np.tanh(x)"),
    **_each("Mish", "write x * np.tanh(mg.softplus(x))"),
    **_each("GLU", "write a * mg.sigmoid(b), with a, b = np.split(x, 2, -1)"),
    **_each("LogSigmoid logsigmoid", "write -mg.softplus(-x)"),
    **_each("PReLU RReLU", "write mg.leaky_relu(x, slope)"),
    **_each("SELU CELU", "write mg.elu(x, alpha)"),
    **_each("CosineSimilarity PairwiseDistance", "write np.linalg.norm(a - b, axis=-1)"),
    **_each(
        "MarginRankingLoss HingeEmbeddingLoss CosineEmbeddingLoss TripletMarginLoss MultiMarginLoss "
        "MultiLabelMarginLoss SoftMarginLoss GaussianNLLLoss PoissonNLLLoss",
        "losses are functions: write the formula with NumPy's functions, and .mean()",
    ),
    **_each("L1Loss l1_loss", "write np.abs(y - target).mean()"),
    **_each(
        "SmoothL1Loss smooth_l1_loss HuberLoss huber_loss",
        "write np.where(abs(d) < 1, d**2 / 2, abs(d) - 0.5).mean(), with d = y - target",
    ),
    **_each("KLDivLoss kl_div", "write (p * (np.log(p) - log_q)).sum(axis=-1).mean()"),
    **_each("binary_cross_entropy", "write nn.binary_cross_entropy_with_logits(logits, target)"),
    "Unflatten": "write x.reshape(shape)",
    **_each("hardtanh relu6", "write x.clip(0, 6)"),
    **_each("hardsigmoid hardswish", "write (x / 6 + 0.5).clip(0, 1)"),
    **_each("softsign", "write x / (1 + np.abs(x))"),
    **_each("mish", "write x * np.tanh(mg.softplus(x))"),
    **_each("glu", "write a * mg.sigmoid(b), with a, b = np.split(x, 2, -1)"),
    "CTCLoss": "losses are functions: nn.ctc_loss(log_p, targets)",
    "ELU": "the function mg.elu is a layer too",
    "SiLU": "the function mg.silu is a layer too",
    "LeakyReLU": "the function mg.leaky_relu is a layer too",
    **_each("tanh exp abs pad", "write np.{}(x)"),
    **_each("gumbel_softmax normalize", "write the formula with NumPy's functions"),
    **_each(
        "relu sigmoid softmax log_softmax softplus gelu elu silu leaky_relu one_hot",
        "write mg.{}(x)",
    ),
    **_each("selu celu", "write mg.elu(x, alpha)"),
    "dropout": "write nn.Dropout(p)",
    "linear": "write x @ W + b, or nn.Linear(2, 3)",
    "embedding": "write nn.Embedding(count, size)",
    "layer_norm": "write nn.LayerNorm(size)",
    "batch_norm": "write nn.BatchNorm(size)",
    "conv1d": "write nn.Conv1d(input_size, output_size, kernel_size)",
    "scaled_dot_product_attention": "write nn.attend(scores, values)",
    "clip_grad_norm_": "write mg.clip_grad_norm_(net, max_norm)",
    "clip_grad_value_": "write mg.clip_grad_value_(net, value)",
    **_each("pad_sequence pack_sequence", "write nn.pad(sequences)"),
    **_each(
        "pack_padded_sequence pad_packed_sequence",
        "write net(xs, lengths=lengths): nothing is packed",
    ),
    **_each(
        "Adagrad Adadelta Adamax NAdam RAdam ASGD LBFGS Rprop SparseAdam Adafactor Muon",
        "write a subclass of nn.Optimizer with update(p, dp, slots, group)",
    ),
    **_each(
        "MultiStepLR ConstantLR MultiplicativeLR PolynomialLR CyclicLR OneCycleLR ChainedScheduler "
        "CosineAnnealingWarmRestarts",
        "write nn.LambdaLR(optimizer, lambda step: factor)",
    ),
    **_each("lr_scheduler", "schedules stand in nn: nn.StepLR(optimizer, 10)"),
    **_each("DataLoader Dataset TensorDataset", "write nn.batches(arrays, size)"),
    **_each("no_grad grad", "write mg.{}"),
    "Tanh": "the function mg.tanh is a layer too: nn.Sequential(nn.Linear(2, 3), mg.tanh)",
    "ReLU": "the function mg.relu is a layer too: nn.Sequential(nn.Linear(2, 3), mg.relu)",
    "Sigmoid": "the function mg.sigmoid is a layer too: nn.Sequential(nn.Linear(2, 3), mg.sigmoid)",
    "GELU": "the function mg.gelu is a layer too: nn.Sequential(nn.Linear(2, 3), mg.gelu)",
    "Softplus": "the function mg.softplus is a layer too",
    "Softmax": "write mg.softmax(x, axis=-1)",
    "LogSoftmax": "write mg.log_softmax(x, axis=-1)",
    "Identity": "write lambda x: x",
    "Flatten": "write x.reshape(len(x), -1)",
    "ModuleList": "a plain list works: self.layers = [nn.Linear(2, 3), nn.Linear(3, 1)]",
    "ModuleDict": "a plain dict works: self.layers = {'in': nn.Linear(2, 3)}",
    "ParameterList": "a plain list works: self.weights = [nn.Parameter(w)]",
    "ParameterDict": "a plain dict works: self.weights = {'a': nn.Parameter(w)}",
    "CrossEntropyLoss": "losses are functions: nn.cross_entropy(logits, target)",
    "NLLLoss": "losses are functions: nn.nll_loss(log_p, target)",
    "MSELoss": "losses are functions: nn.mse_loss(y, target)",
    "BCEWithLogitsLoss": "write nn.binary_cross_entropy_with_logits(logits, target)",
    "BCELoss": "write nn.binary_cross_entropy_with_logits(logits, target)",
    "functional": "functions stand in nn (nn.cross_entropy) and in mg (mg.relu, mg.softmax)",
    "utils": "write mg.clip_grad_norm_(net, max_norm), nn.pad(sequences), nn.save(net, path)",
    "optim": "optimisers stand in nn: nn.Adam(net, lr=1e-3)",
    "LinearLR": "write nn.WarmupLR(optimizer, steps, start=0.1)",
    "SequentialLR": "write nn.WarmupLR(optimizer, steps, then=lambda step: 0.9**step)",
    "CosineLR": "write nn.CosineAnnealingLR(optimizer, T_max, eta_min)",
    "PlateauLR": "write nn.ReduceLROnPlateau(optimizer)",
}

OF_MODULES = {
    "to": "there are no devices; for another dtype call mg.set_default_dtype first",
    "cuda": "there are no devices: everything runs on the CPU",
    "cpu": "there are no devices: everything runs on the CPU",
    "double": "call mg.set_default_dtype(np.float64) before the module is made",
    "float": "call mg.set_default_dtype(np.float32) before the module is made",
    "half": "call mg.set_default_dtype(np.float16) before the module is made",
    "register_buffer": "assign it: self.mean = nn.Buffer(mean)",
    "register_parameter": "assign it: self.w = nn.Parameter(w)",
    "add_module": "assign it: setattr(self, name, module)",
    "requires_grad_": "write p.requires_grad = False for each p in net.parameters()",
    **_each("bfloat16 type to_empty", "call mg.set_default_dtype before the module is made"),
    **_each("ipu xpu mtia share_memory", _NO_DEVICE),
    **_each(
        "register_forward_hook register_forward_pre_hook register_full_backward_hook "
        "register_full_backward_pre_hook register_backward_hook",
        "look at the graph instead: mg.Graph(loss).find(scope=name), or t.register_hook(hook)",
    ),
    **_each(
        "weight_ih_l0 weight_hh_l0 weight_ih weight_hh all_weights",
        "write nn.to_torch_state_dict(net); here they are W_xh and W_hh",
    ),
    **_each("bias_ih_l0 bias_hh_l0 bias_ih bias_hh", "they are one here, their sum: b_h"),
    **_each("running_mean running_var num_batches_tracked", "look in net.named_buffers()"),
    **_each("get_parameter", "write dict(net.named_parameters())[name]"),
    **_each("get_buffer", "write dict(net.named_buffers())[name]"),
    **_each("get_submodule", "write dict(net.named_modules())[name]"),
    **_each("register_module append extend insert", "assign it, or keep modules in a list"),
    **_each("flatten_parameters", "there is nothing to flatten; leave it out"),
    **_each("reset_parameters", "make the module anew"),
    **_each("in_features num_embeddings", "write net.input_size, embedding.count"),
    **_each("out_features embedding_dim", "write net.output_size, embedding.size"),
    **_each("padding_idx", "write embedding.padding"),
    **_each("proj_size", "there are no projections: add nn.Linear(2, 3)"),
    "compile": "write mg.compile(loss_fn)",
    "extra_repr": "write a method describe(self)",
    "weight": "the weights of a layer are called W here (W_xh, W_hh in cells)",
    "bias": "the bias of a layer is called b here (b_h in cells)",
}

OF_INIT = {
    **_each("xavier_uniform_ xavier_uniform", "write w.data = nn.init.glorot(*w.shape)"),
    **_each("xavier_normal_ xavier_normal", "write w.data = nn.init.glorot(*w.shape)"),
    **_each(
        "kaiming_uniform_ kaiming_normal_ kaiming_uniform", "write w.data = nn.init.he(*w.shape)"
    ),
    **{
        f"{name}_": f"write w.data = nn.init.{name}(*w.shape)"
        for name in ("zeros", "ones", "uniform", "normal", "orthogonal")
    },
    "constant_": "write w.data = nn.init.constant(*w.shape, value=0.1)",
    "eye_": "write w.data = np.eye(n)",
    "trunc_normal_": "write w.data = nn.init.normal(*w.shape).clip(-2, 2)",
    "calculate_gain": "write the gain: np.sqrt(2) for relu, 5 / 3 for tanh",
    **_each("dirac_ sparse_", "write the array: w.data = array"),
}

OF_OPTIMIZERS = {
    "add_param_group": "give all groups when it is made: nn.SGD([{'params': a}, {'params': b}])",
    "state": "write opt.slots",
    "groups": "write opt.param_groups",
    **_each("register_step_pre_hook register_step_post_hook", "call it before or after opt.step()"),
}

OF_KEYWORDS = {
    **_each("device", f"{_NO_DEVICE}; leave it out"),
    **_each("dtype", "call mg.set_default_dtype(np.float64) before"),
    **_each("in_features in_channels num_inputs", "write input_size="),
    **_each("out_features out_channels", "write output_size="),
    **_each("num_embeddings", "write count="),
    **_each("embedding_dim normalized_shape num_features", "write size="),
    "padding_idx": "write padding=",
    "proj_size": "there are no projections: add nn.Linear(2, 3)",
    "elementwise_affine": "LayerNorm always has a gain and b; leave it out",
    **_each("affine track_running_stats", "leave it out"),
    "max_norm": "rows are not rescaled; leave it out",
    "inplace": "nothing changes in place; leave it out",
    **_each("input", "give it first, without a name"),
    **_each("hx h_0 hidden", "write state="),
    "reduction": "the mean is taken; for a sum multiply by the number of examples",
    **_each("size_average reduce", "the mean is taken; leave it out"),
    "label_smoothing": "mix it with the mean of -mg.log_softmax(logits) over the classes",
    "pos_weight": "write the formula with mg.softplus",
    "strict": "names are always compared; leave it out",
    "set_to_none": "gradients become None; leave it out",
    "recurse": "children() and members are those directly below; leave it out",
    **_each("prefix keep_vars remove_duplicate", "names start at this module; leave it out"),
    **_each("epoch metrics", "schedules count their steps: leave it out"),
    "closure": "call loss.backward() before opt.step()",
    **_each("foreach fused capturable differentiable maximize", "leave it out"),
    **_each(
        "last_epoch verbose", "leave it out; schedules have state_dict() and load_state_dict()"
    ),
    "batch_size": "write size=",
    "num_workers": "leave it out",
    "enforce_sorted": "rows may have any order; leave it out",
    "total_length": "leave it out",
    **_each("error_if_nonfinite", "norms that are not finite always raise; leave it out"),
}


OF_CALLS = {  # the beginnings of Python's errors about positional arguments
    "Optimizer.step() takes": "call loss.backward() before opt.step(), which takes no closure",
    "LRScheduler.step() takes": "schedules count their steps: call it without arguments",
}


def advice(habits: dict[str, str], name: str) -> str:
    """A semicolon and what to write instead of a name, or "" for a name that is not known."""
    return f"; {habits[name]}" if name in habits else ""


def explain(error: TypeError, keywords: Iterable[str]) -> None:
    """Add what to write to a TypeError about a keyword that a function does not have."""
    text = str(error)
    for name in keywords:
        if name in OF_KEYWORDS and text.endswith(f"unexpected keyword argument {name!r}"):
            error.args = (f"{text}; {OF_KEYWORDS[name]}",)
    for start, said in OF_CALLS.items():
        if text.startswith(start):
            error.args = (f"{text}; {said}",)


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


METHODS = (
    *("__init__", "zero_grad", "load_state_dict", "state_dict", "step", "train"),
    *("parameters", "named_parameters", "buffers", "named_buffers", "modules"),
)


def explained(value: Any) -> Any:
    """A function or class of the package, whose errors about unknown keywords say what to write."""
    if inspect.isfunction(value):
        function = explaining(value)
        function.__module__ = "nn"  # where pickle finds it again
        return function
    if inspect.isclass(value):
        for name in METHODS:
            method = vars(value).get(name)
            if inspect.isfunction(method) and not hasattr(method, "__wrapped__"):
                setattr(value, name, explaining(method))
    return value
