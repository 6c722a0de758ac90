"""Habits: expressions that users of PyTorch and NumPy type, and what comes of each.

`python -m tests.habits` prints the table.  An expression works and gives the right value, or the
error says what is wrong, or what to write.
"""

from __future__ import annotations

import ast
import linecache
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import minigrad as mg  # noqa: E402
import nn  # noqa: E402
from tests.doors import message  # noqa: E402

A = np.array([[0.3, -0.7, 1.1], [0.5, 0.2, -0.4]])
B = np.array([[0.9, 0.1, -0.3], [-1.2, 0.8, 0.6]])
U = np.array([0.4, -0.2, 1.3])
S = np.array([[3.0, 0.4, -0.2], [0.4, 2.0, 0.3], [-0.2, 0.3, 1.0]])
X = np.linspace(-1, 1, 30).reshape(5, 2, 3)
K = np.array([2, 0])
M = A > 0
WORKS, SAYS, BARE, WRONG = "works", "says what to write", "BARE", "WRONG"

# family → lines "expression  ->  what it gives", NumPy's expression of it after "=", or the words
# that the error must hold.  t, b (2, 3), u (3), s (3, 3), c () are tensors, k whole numbers, m a
# mask, x a sequence (5, 2, 3); capital letters are the arrays.
TABLE = """
attributes
t.shape -> = A.shape
t.dtype -> = A.dtype
t.ndim -> = 2
t.size -> = 6
t.T -> = A.T
t.mT -> = A.T
t.H -> no complex numbers
t.grad -> = None
t.data -> = A
t.requires_grad -> = True
t.is_leaf -> = True
t.grad_fn -> t.op
t.device -> no devices
t.is_cuda -> no devices
t.layout -> t.data
t.itemsize -> t.data
t.nbytes -> t.data
t.real -> np.real(t)
t.imag -> np.imag(t)
t.flat -> t.reshape(-1)
t.strides -> t.data
t.name -> = None
len(t) -> = 2
t.dim() -> t.ndim
t.numel() -> t.size
t.nelement() -> t.size
t.item() -> can only convert
c.item() -> = 0.6
t.tolist() -> = A.tolist()
t.numpy() -> = A
t.detach() -> = A
t.detach().numpy() -> = A
t.detach().cpu().numpy() -> no devices
t.cpu() -> no devices
t.cuda() -> no devices
t.to('cuda') -> no devices
t.to(np.float32) -> t.astype
t.float() -> t.astype(np.float32)
t.double() -> t.astype(np.float64)
t.half() -> t.astype(np.float16)
t.long() -> t.astype(np.int64)
t.int() -> t.astype
t.bool() -> t != 0
t.type(np.float32) -> t.astype
t.type_as(b) -> t.astype(other.dtype)
t.is_floating_point() -> t.dtype.kind
t.is_contiguous() -> t.data
t.contiguous() -> leave it out
t.stride() -> t.data
t.data_ptr() -> t.data
t.element_size() -> t.data
t.pin_memory() -> leave it out
t.share_memory_() -> leave it out
t.clone() -> t.copy()
t.copy() -> = A
t.astype(np.float32) -> = A.astype(np.float32)
t.requires_grad_() -> t.requires_grad = True
t.detach_() -> t = t.detach()
t.retain_grad() -> retain_grads=True
t.is_nonzero() -> bool(t)
t.get_device() -> no devices
float(c) -> = 0.6
int(c) -> = 0
bool(c) -> = True
str(t)[:6] -> = 'tensor'
f'{c:.2f}' -> = '0.60'
c.backward() -> = None
t.backward() -> (2, 3)
c.backward(retain_graph=True) -> leave it out
c.backward(gradient=1.0) -> grad=
t.register_hook(print).remove() -> = None

reductions
t.sum() -> = A.sum()
t.sum(0) -> = A.sum(0)
t.sum(-1) -> = A.sum(-1)
t.sum(axis=1) -> = A.sum(axis=1)
t.sum(dim=1) -> axis=
t.sum(dim=(0, 1)) -> axis=
t.sum(1, keepdim=True) -> keepdims=
t.sum(1, True) -> keepdims=True
t.sum(1, keepdims=True) -> = A.sum(1, keepdims=True)
t.mean(1) -> = A.mean(1)
t.mean(dim=-1, keepdim=True) -> axis=
t.mean(-1, True) -> keepdims=True
t.max() -> = A.max()
t.max(1) -> = A.max(1)
t.max(dim=1) -> axis=
t.max(1, True) -> keepdims=True
t.max(1).values -> t.argmax(axis)
t.max(1).indices -> t.argmax(axis)
t.min(dim=1) -> axis=
t.argmax(1) -> = A.argmax(1)
t.argmax(dim=1) -> axis=
t.argmin(dim=-1) -> axis=
t.prod(0) -> = A.prod(0)
t.prod(dim=0) -> axis=
t.std() -> = A.std()
t.std(unbiased=False) -> ddof=
t.std(dim=0) -> axis=
t.std(ddof=1) -> = A.std(ddof=1)
t.var(correction=1) -> ddof=
t.var(0) -> = A.var(0)
t.norm() -> np.linalg.norm(t)
t.norm(dim=1) -> np.linalg.norm(t)
t.cumsum(0) -> = A.cumsum(0)
t.cumsum(dim=0) -> axis=
t.cumprod(dim=1) -> axis=
t.logsumexp(1) -> mg.logsumexp
t.amax(1) -> np.amax(t)
t.median() -> np.median(t)
t.quantile(0.5) -> np.quantile
t.any() -> = A.any()
t.all(dim=1) -> axis=
t.count_nonzero() -> np.count_nonzero
t.softmax(-1) -> = np.exp(A) / np.exp(A).sum(-1, keepdims=True)
t.softmax(dim=-1) -> axis=
t.log_softmax(1) -> = A - np.log(np.exp(A).sum(1, keepdims=True))
t.log_softmax(dim=1) -> axis=
t.unique() -> np.unique(t)
t.nonzero() -> np.nonzero(t)
t.topk(2) -> np.argsort
t.sort() -> np.sort
t.argsort() -> = A.argsort()
t.argsort(descending=True) -> np.flip
t.kthvalue(1) -> np.sort
t.trace() -> = A.trace()

shapes
t.view(3, 2) -> t.reshape
t.view(-1) -> t.reshape
t.view_as(b) -> t.reshape
t.reshape(3, 2) -> = A.reshape(3, 2)
t.reshape((3, 2)) -> = A.reshape(3, 2)
t.reshape(-1) -> = A.reshape(-1)
t.reshape(4, 2) -> size 6 into shape (4,2)
t.reshape_as(b) -> t.reshape
t.flatten() -> = A.reshape(-1)
t.flatten(1) -> t.reshape(len(t), -1)
t.flatten(start_dim=1) -> t.reshape
t.ravel() -> = A.ravel()
t.squeeze() -> = A
t.squeeze(dim=0) -> axis=
t.unsqueeze(0) -> np.expand_dims
t.unsqueeze(-1) -> t[:, None]
t[None] -> = A[None]
t.permute(1, 0) -> t.transpose
t.transpose(1, 0) -> = A.transpose(1, 0)
t[None].transpose(0, 1) -> t.swapaxes(0, 1)
t.transpose(dim0=0, dim1=1) -> t.swapaxes
t.swapaxes(0, 1) -> = A.swapaxes(0, 1)
t.swapdims(0, 1) -> t.swapaxes
t.movedim(0, 1) -> np.moveaxis
t.expand(4, 2, 3) -> np.broadcast_to
t.expand_as(b) -> np.broadcast_to
t.repeat(2) -> = A.repeat(2)
t.repeat(2, 3) -> np.tile(t, (2, 3))
t.repeat_interleave(2) -> np.repeat
t.tile((2, 1)) -> np.tile
t.flip(0) -> np.flip
t.roll(1) -> np.roll
t.chunk(2) -> np.array_split
t.split(2) -> np.split
t.unbind(0) -> np.unstack
t.narrow(0, 0, 1) -> t[start : start + length]
t.unfold(0, 2, 1) -> sliding_window_view
t.tril() -> np.tril(t)
t.diag() -> np.diag(t)
t.diagonal() -> = A.diagonal()
t.unflatten(1, (3, 1)) -> t.reshape
t.resize(3, 2) -> np.resize
t.swapaxes_(0, 1) -> nothing changes in place

elementwise
t + b -> = A + B
2 * t -> = 2 * A
t @ b.T -> = A @ B.T
t ** 2 -> = A**2
-t -> = -A
abs(t) -> = abs(A)
t.abs() -> np.abs
t.exp() -> = np.exp(A)
t.log() -> = np.log(A)
t.sqrt() -> = np.sqrt(A)
t.tanh() -> = np.tanh(A)
t.sigmoid() -> = 1 / (1 + np.exp(-A))
t.relu() -> = np.maximum(A, 0)
t.sin() -> np.sin
t.cos() -> np.cos
t.pow(2) -> t ** n
t.square() -> t ** 2
t.rsqrt() -> t ** -0.5
t.reciprocal() -> 1 / t
t.neg() -> -t
t.sign() -> np.sign
t.floor() -> np.floor
t.ceil() -> np.ceil
t.round() -> = A.round()
t.trunc() -> np.trunc
t.frac() -> np.modf
t.clamp(0, 1) -> t.clip
t.clamp(min=0) -> t.clip
t.clip(0, 1) -> = A.clip(0, 1)
t.add(b) -> a + b
t.sub(b) -> a - b
t.mul(b) -> a * b
t.div(b) -> a / b
t.mm(s) -> a @ b
t.bmm(s) -> a @ b
t.matmul(s) -> a @ b
t.mv(u) -> a @ b
t.dot(u) -> = A.dot(U)
t.eq(b) -> a == b
t.gt(0) -> a > b
t.lt(0) -> a < b
t.equal(b) -> np.array_equal
t.isnan() -> np.isnan
t.maximum(b) -> np.maximum
t.erf() -> @mg.primitive
t.lerp(b, 0.5) -> a + weight * (b - a)
t.addmm(t, s) -> t + a @ b
t.logical_not() -> np.logical_not
t.gelu() -> mg.gelu
t.softplus() -> mg.softplus
t > 0 -> = A > 0
t == b -> = A == B
t // 1 -> = A // 1
t % 1 -> = A % 1
~m -> = ~M
m & m -> = M

indexing
t[0] -> = A[0]
t[:, 1] -> = A[:, 1]
t[..., -1] -> = A[..., -1]
t[0, 1].item() -> = A[0, 1]
t[[0, 1]] -> = A[[0, 1]]
t[k // 2] -> = A[K // 2]
t[m] -> = A[M]
t[t > 0] -> = A[A > 0]
t[::-1] -> = A[::-1]
t[0.5] -> only integers
t[5] -> index 5 is out of bounds
t[0] = 1.0 -> np.where
t[m] = 0 -> np.where
t[:, 0] += 1 -> np.where
del t[0] -> np.delete
t.gather(1, k) -> np.take_along_axis
t.scatter(1, k, b) -> np.where
t.scatter_(1, k, b) -> np.where
t.scatter_add(0, k, b) -> mg.one_hot
t.index_select(0, k) -> np.take
t.masked_fill(m, 0) -> np.where
t.masked_fill_(m, 0) -> np.where
t.masked_select(m) -> t[mask]
t.select(0, 1) -> t[i]
t.take(k) -> = A.take(K)
t.index_add(0, k, b) -> mg.one_hot
t.where(m, b) -> np.where
a, b2 = t; a -> = A[0]
[row for row in t][1] -> = A[1]

in place
t.add_(1) -> t = t + other
t.mul_(2) -> t = t * other
t.sub_(1) -> t = t - other
t.zero_() -> np.zeros
t.fill_(1) -> np.full
t.copy_(b) -> w.data = array
t.clamp_(0, 1) -> clip
t.exp_() -> t = t.exp()
t.relu_() -> t = t.relu()
t.normal_() -> nn.init.normal
t.uniform_(-1, 1) -> nn.init.uniform
t.abs_() -> nothing changes in place
t.unsqueeze_(0) -> nothing changes in place
t.data[0] = 1 -> read-only
t.data += 1 -> read-only
t += 1 -> with mg.no_grad()
t -= 0.1 -> with mg.no_grad()
t.sum().backward(); t.grad.zero_() -> p.grad = None
t.grad = None -> = None
t.data = B; t.data -> = B
t.requires_grad = False; t.requires_grad -> = False
t.detach().fill_(0) -> np.full

making
mg.tensor([1.0, 2.0]).dtype -> = np.dtype(np.float32)
mg.tensor([1, 2]).dtype -> = np.dtype(np.float32)
mg.tensor(A, dtype=np.float32).dtype -> = np.dtype(np.float32)
mg.tensor(A, device='cpu') -> no devices
mg.tensor(A, dtype='float32').dtype -> = np.dtype(np.float32)
mg.Tensor(2, 3) -> np.zeros
mg.zeros(2, 3) -> np.zeros
mg.ones((2, 3)) -> np.ones
mg.empty(2) -> np.empty
mg.full((2,), 1.0) -> np.full
mg.eye(3) -> np.eye
mg.arange(3) -> np.arange
mg.linspace(0, 1, 5) -> np.linspace
mg.zeros_like(t) -> np.zeros_like
mg.ones_like(t) -> np.ones_like
mg.rand(2, 3) -> mg.generator().random
mg.randn(2, 3) -> standard_normal
mg.randn_like(t) -> standard_normal
mg.randint(0, 5, (2,)) -> integers
mg.randperm(5) -> permutation
mg.normal(0, 1, (2,)) -> mg.generator().normal
mg.bernoulli(t) -> mg.generator()
mg.from_numpy(A) -> mg.tensor(array)
mg.as_tensor(A) -> mg.tensor(array)
mg.FloatTensor([1.0]) -> mg.tensor
mg.LongTensor([1]) -> mg.tensor
mg.manual_seed(0) -> mg.seed
mg.cuda.is_available() -> no devices
mg.device('cpu') -> no devices
mg.float32 -> np.float32
mg.long -> np.int64
mg.double -> np.float64
mg.bool -> np.bool
mg.pi -> np.pi
mg.inf -> np.inf
mg.is_tensor(t) -> isinstance
mg.set_default_dtype(mg.float64) -> np.float64
mg.complex64 -> np.complex64
mg.one_hot([1, 0], 3) -> = np.eye(3)[[1, 0]]

functions
mg.cat([t, b]) -> np.concatenate
mg.concat([t, b]) -> np.concatenate
mg.stack([t, b]) -> = np.stack([A, B])
mg.stack([t, b], dim=1) -> axis=
mg.concatenate([t, b], dim=1) -> axis=
mg.split(t, 2) -> = np.split(A, 2)
mg.chunk(t, 2) -> np.array_split
mg.unbind(t) -> np.unstack
mg.sum(t, dim=0) -> axis=
mg.mean(t, dim=1, keepdim=True) -> axis=
mg.softmax(t, dim=1) -> axis=
mg.log_softmax(t, dim=-1) -> axis=
mg.max(t, dim=1) -> axis=
mg.sort(t, dim=1) -> axis=
mg.argmax(t, dim=1) -> axis=
mg.cumsum(t, dim=0) -> axis=
mg.logsumexp(t, dim=1) -> axis=
mg.flip(t, dims=(0,)) -> axis=
mg.squeeze(t, dim=0) -> axis=
mg.median(t, dim=1) -> np.median
mg.relu(t) -> = np.maximum(A, 0)
mg.relu(t, inplace=True) -> leave it out
mg.sigmoid(input=t) -> it takes (x)
mg.add(t, b) -> a + b
mg.mul(t, b) -> a * b
mg.matmul(t, s) -> = A @ S
mg.mm(t, s) -> a @ b
mg.bmm(t, s) -> a @ b
mg.einsum('ij,jk->ik', t, s) -> = A @ S
mg.where(m, t, b) -> = np.where(M, A, B)
mg.where(t > 0, t, 0.0) -> = np.where(A > 0, A, 0)
mg.clamp(t, 0, 1) -> np.clip
mg.gather(t, 1, k) -> np.take_along_axis
mg.masked_fill(t, m, 0) -> np.where
mg.topk(t, 2) -> np.argsort
mg.norm(t) -> np.linalg.norm
mg.linalg.norm(t) -> np.linalg.norm
mg.unsqueeze(t, 0) -> np.expand_dims
mg.permute(t, (1, 0)) -> np.transpose
mg.transpose(t, 0, 1) -> = A
mg.tril(s) -> np.tril
mg.allclose(t, b) -> np.allclose
mg.isclose(t, t) -> np.isclose
mg.equal(t, t) -> np.array_equal
mg.numel(t) -> t.size
mg.erf(t) -> @mg.primitive
mg.abs(t) -> = abs(A)
mg.exp(t) -> = np.exp(A)
mg.pow(t, 2) -> t ** n
mg.lerp(t, b, 0.5) -> a + weight
mg.cdist(t, b) -> np.linalg.norm
mg.vmap(abs) -> whole arrays
mg.silu(t) -> = A / (1 + np.exp(-A))
mg.leaky_relu(t, 0.2) -> = np.where(A > 0, A, 0.2 * A)
mg.elu(t) -> = np.where(A > 0, A, np.expm1(A))

differentiation
with mg.no_grad(): t.data = A * 2 -> = None
with mg.enable_grad(): y = t * 2 -> outside of mg.no_grad()
with mg.inference_mode(): y = t -> mg.no_grad()
mg.set_grad_enabled(False) -> mg.no_grad()
mg.is_grad_enabled() -> mg.no_grad()
mg.autograd.grad(c, c) -> mg.grad
mg.grad((t * t).sum(), t)[0] -> = 2 * A
mg.grad((t * t).sum(), [t])[0] -> = 2 * A
mg.grad((t * t).sum(), t, retain_graph=True) -> leave it out
mg.autograd.functional.jacobian(abs, t) -> mg.grad
mg.func.vjp(abs, t) -> mg.vjp
mg.jacobian(np.tanh, u) -> = np.diag(1 - np.tanh(U) ** 2)
(t * 2).grad -> = None
mg.autograd.Function -> mg.grad
mg.save(t, 'x') -> nn.save
mg.load('x') -> nn.load
mg.compile(nn.Linear(2, 3))(A) -> TypeError
mg.nn -> import nn
mg.optim.Adam -> import nn
mg.utils.data -> nn.batches
mg.jit.script -> mg.compile
mg.fft.fft(t) -> complex
mg.distributed -> nn.Parallel

networks
nn.Linear(3, 4)(x).shape -> = (5, 2, 4)
nn.Linear(in_features=3, out_features=4) -> input_size=
nn.Linear(3, 4, bias=False).b -> = None
nn.Linear(3, 4, device='cuda') -> no devices
nn.Linear(3, 4).weight -> called W
nn.Linear(3, 4).bias -> called b
nn.Linear(3, 4).in_features -> input_size
nn.LSTM(3, 4)(x)[0].shape -> = (5, 2, 4)
nn.LSTM(3, 4)(x)[1][0].shape -> = (1, 2, 4)
nn.LSTM(3, 4, num_layers=2, bidirectional=True)(x)[1][1].shape -> = (4, 2, 4)
nn.LSTM(3, 4, batch_first=True)(X.swapaxes(0, 1))[0].shape -> = (2, 5, 4)
nn.LSTM(3, 4, proj_size=2) -> nn.Linear
nn.LSTM(input_size=3, hidden_size=4)(x)[0].shape -> = (5, 2, 4)
nn.LSTM(3, 4)(x, hx=None) -> state=
nn.LSTM(3, 4).flatten_parameters() -> leave it out
nn.LSTM(3, 4).weight_ih_l0 -> to_torch_state_dict
nn.GRU(3, 4)(x)[1].shape -> = (1, 2, 4)
nn.RNN(3, 4, nonlinearity='relu')(x)[0].shape -> = (5, 2, 4)
nn.LSTMCell(3, 4)(x[0])[0].shape -> = (2, 4)
nn.GRUCell(3, 4)(x[0], nn.GRUCell(3, 4).initial_state(2))[0].shape -> = (2, 4)
nn.Embedding(10, 4)([[1, 2], [3, 4]]).shape -> = (2, 2, 4)
nn.Embedding(num_embeddings=10, embedding_dim=4) -> count=
nn.Embedding(10, 4, padding_idx=0) -> padding=
nn.Dropout(0.5, inplace=True) -> leave it out
nn.Dropout(p=0.0)(t) -> = A
nn.LayerNorm(3)(t).shape -> = (2, 3)
nn.LayerNorm(3, elementwise_affine=False) -> leave it out
nn.BatchNorm1d(3) -> nn.BatchNorm
nn.BatchNorm(3)(t).shape -> = (2, 3)
nn.Conv1d(3, 4, 2)(x).shape -> = (4, 2, 4)
nn.Conv2d(3, 4, 2) -> recurrent networks
nn.MultiheadAttention(4, 2) -> recurrent networks
nn.Transformer() -> recurrent networks
nn.MaxPool2d(2) -> recurrent networks
nn.ReLU() -> mg.relu
nn.Tanh() -> mg.tanh
nn.Sigmoid() -> mg.sigmoid
nn.SiLU() -> mg.silu
nn.LeakyReLU(0.1) -> mg.leaky_relu
nn.Softmax(dim=1) -> mg.softmax
nn.Identity() -> lambda x: x
nn.Flatten() -> x.reshape(len(x), -1)
nn.Sequential(nn.Linear(3, 4), mg.tanh)(t).shape -> = (2, 4)
nn.Sequential(nn.Linear(3, 4), mg.tanh)[0].W.shape -> = (3, 4)
len(nn.Sequential(nn.Linear(3, 4), mg.tanh)) -> = 2
nn.Sequential(nn.Linear(3, 4)).append(mg.tanh) -> list
nn.ModuleList([nn.Linear(3, 4)]) -> plain list
nn.ModuleDict({}) -> plain dict
nn.ParameterList([]) -> plain list
nn.Parameter(A).requires_grad -> = True
nn.Parameter(mg.zeros(2)) -> np.zeros
nn.functional.relu(t) -> mg.relu
nn.functional.softmax(t, dim=1) -> mg.softmax
nn.relu(t) -> mg.relu
nn.utils.clip_grad_norm_(l, 1.0) -> mg.clip_grad_norm_
nn.utils.rnn.pad_sequence([t]) -> nn.pad
nn.pack_padded_sequence(x, [5, 5]) -> lengths=
nn.init.xavier_uniform_(l.W) -> nn.init.glorot
nn.init.kaiming_normal_(l.W) -> nn.init.he
nn.init.zeros_(l.b) -> nn.init.zeros
nn.init.orthogonal_(l.W) -> nn.init.orthogonal
nn.DataParallel(l) -> nn.Parallel

modules
len(list(l.parameters())) -> = 2
[name for name, p in l.named_parameters()] -> = ['W', 'b']
sum(p.numel() for p in l.parameters()) -> t.size
sum(p.size for p in l.parameters()) -> = 16
l.children() -> = []
len(l.modules()) -> = 1
l.buffers() -> = []
l.apply(type) is l -> = True
l.train() is l -> = True
l.eval().training -> = False
l.to('cuda') -> no devices
l.cuda() -> no devices
l.double() -> set_default_dtype
l.half() -> set_default_dtype
l.state_dict()['W'].shape -> = (3, 4)
l.load_state_dict(l.state_dict()) -> = None
l.load_state_dict(l.state_dict(), strict=False) -> leave it out
l.load_state_dict({'weight': 1}) -> W
l.zero_grad() -> = None
l.zero_grad(set_to_none=True) -> leave it out
l.requires_grad_(False) -> p.requires_grad = False
l.register_buffer('m', t) -> nn.Buffer
l.register_parameter('m', t) -> nn.Parameter
l.add_module('m', l) -> assign it
l.register_forward_hook(print) -> mg.Graph
l.get_parameter('W') -> named_parameters
l.share_memory() -> no devices
l.type(np.float32) -> set_default_dtype
l.forward(t).shape -> = (2, 4)
nn.save(l.state_dict(), 'x.npz') -> nn.save(net, path)
nn.Module()(t) -> forward
l.parameters(recurse=False) -> leave it out
l.state_dict(prefix='a') -> leave it out
nn.Sequential([l]) -> nn.Sequential(*modules)

losses
nn.mse_loss(t, B) -> = np.mean((A - B) ** 2)
nn.mse_loss(t, B, reduction='sum') -> number of examples
nn.MSELoss()(t, B) -> nn.mse_loss
nn.CrossEntropyLoss()(t, k) -> nn.cross_entropy
nn.cross_entropy(t, K) -> = -np.mean(np.log(np.exp(A) / np.exp(A).sum(1, keepdims=True))[[0, 1], K])
nn.cross_entropy(t, K, label_smoothing=0.1) -> log_softmax
nn.cross_entropy(t, K, ignore_index=2).shape -> = ()
nn.cross_entropy(t, B) -> -(target * mg.log_softmax(logits))
nn.NLLLoss() -> nn.nll_loss
nn.nll_loss(t.log_softmax(1), K).shape -> = ()
nn.BCELoss() -> binary_cross_entropy_with_logits
nn.BCEWithLogitsLoss() -> binary_cross_entropy_with_logits
nn.binary_cross_entropy_with_logits(t, M.astype(float)).shape -> = ()
nn.L1Loss() -> np.abs
nn.SmoothL1Loss() -> np.where
nn.HuberLoss() -> np.where
nn.KLDivLoss() -> np.log
nn.CTCLoss() -> nn.ctc_loss
nn.TripletMarginLoss() -> formula
nn.mse_loss(t, U) -> (2, 3)

optimisers
nn.SGD(l.parameters(), lr=0.1).param_groups[0]['lr'] -> = 0.1
nn.SGD(l.parameters(), lr=0.1, momentum=0.9, nesterov=True).defaults['momentum'] -> = 0.9
nn.Adam(l.parameters(), 0.1).param_groups[0]['lr'] -> = 0.1
nn.Adam(l, lr=0.1, betas=(0.9, 0.99)).step() -> = None
nn.AdamW(l, weight_decay=0.1).zero_grad() -> = None
nn.RMSprop(l, lr=0.1, alpha=0.9).step() -> = None
nn.Adam(l).zero_grad(set_to_none=True) -> leave it out
nn.Adam(l).lr -> param_groups
nn.Adam(l).lr = 2.0 -> param_groups
nn.Adam(l).state -> opt.slots
nn.Adam(l).add_param_group({}) -> 'params'
nn.Adam(l, fused=True) -> leave it out
nn.Adam(l).step(lambda: c) -> no closure
nn.StepLR(nn.SGD(l, lr=1.0), 1).step(3) -> without arguments
nn.Adagrad(l) -> nn.Optimizer
nn.LBFGS(l) -> nn.Optimizer
nn.optim.SGD(l) -> 'lr'
nn.Adam([{'params': l.parameters(), 'lr': 0.1}]).param_groups[0]['lr'] -> = 0.1
list(nn.Adam(l).state_dict())[0] -> = '0.lr'
nn.StepLR(nn.SGD(l, lr=1.0), step_size=1).get_last_lr() -> = [1.0]
r = nn.StepLR(nn.SGD(l, lr=1.0), 1, gamma=0.5); r.step(); r.get_last_lr() -> = [0.5]
nn.CosineAnnealingLR(nn.SGD(l, lr=1.0), T_max=4).get_last_lr() -> = [1.0]
nn.ReduceLROnPlateau(nn.SGD(l, lr=1.0)).step(1.0) -> = None
nn.StepLR(nn.SGD(l, lr=1.0), 1, last_epoch=-1) -> leave it out
nn.MultiStepLR(nn.SGD(l, lr=1.0), [1]) -> nn.LambdaLR
nn.OneCycleLR(nn.SGD(l, lr=1.0), 1.0) -> nn.LambdaLR
nn.lr_scheduler.StepLR -> nn.StepLR
mg.clip_grad_norm_(l.parameters(), 1.0) -> = 0.0
mg.clip_grad_norm_(l, max_norm=1.0) -> = 0.0
mg.clip_grad_value_(l, 0.5) -> = None
nn.DataLoader([1], batch_size=2) -> nn.batches

NumPy
np.tanh(t) -> = np.tanh(A)
np.sum(t, axis=0, keepdims=True) -> = A.sum(0, keepdims=True)
np.concatenate([t, B]) -> = np.concatenate([A, B])
np.stack([t, t], axis=-1) -> = np.stack([A, A], -1)
np.where(M, t, 0) -> = np.where(M, A, 0)
np.dot(t, S) -> = A @ S
np.einsum('ij->j', t) -> = A.sum(0)
np.linalg.norm(t, axis=1) -> = np.linalg.norm(A, axis=1)
np.linalg.inv(s) -> = np.linalg.inv(S)
np.linalg.svd(t, full_matrices=False).S -> = np.linalg.svd(A)[1]
np.linalg.eig(s) -> np.linalg.eigh
np.array(t) -> t.data
np.asarray(t) -> t.data
np.array([u[0], u[1]]) -> np.stack
np.float32(c) -> t.astype(np.float32)
np.maximum.reduce(t) -> = A.max(0)
np.add.at(t, 0, 1) -> np.stack
np.fft.fft(u) -> @mg.primitive
np.random.shuffle(t) -> np.where
np.sort(t) -> = np.sort(A)
np.argmax(t, axis=1) -> = A.argmax(1)
np.clip(t, 0, 1) -> = A.clip(0, 1)
np.zeros_like(t) -> = A * 0
np.full_like(t, 2.0) -> = A * 0 + 2
np.isnan(t).any() -> = False
np.allclose(t, A) -> = True
np.interp(0.5, [0, 1], [0, 2]) -> = 1.0
np.pad(t, 1) -> = np.pad(A, 1)
np.pad(t, 1, mode='mean') -> constant, edge
np.concatenate(t, b) -> np.concatenate([a, b])
t.register_hook(3) -> a function
t.requires_grad = 'yes' -> True or False
np.vectorize(abs)(u) -> whole arrays
np.apply_along_axis(sum, 0, t) -> whole arrays
t.fill(0) -> np.full_like
t.astype(int).dtype -> = np.dtype(int)
t.flags -> t.data
t.tobytes() -> t.data
t.nonzero -> np.nonzero
t.conj() -> np.conj
t.compress([1]) -> np.compress
t.partition(1) -> np.partition
np.sort(u).searchsorted(0.5) -> = 2
t.std(axis=0, ddof=1) -> = A.std(axis=0, ddof=1)
t.swapaxes(0, 1).shape -> = (3, 2)
t.transpose() -> = A.T
t.round(1) -> = A.round(1)
B + t -> = A + B
B @ t.T -> = B @ A.T
np.exp(1j * t) -> real numbers
np.add(t, 1, out=B) -> use the result
t.sum(out=B) -> use the result
"""


class Habit(NamedTuple):
    """One line: an expression (or statements before one), and what is wanted."""

    family: str
    text: str
    wanted: str


def rows() -> Iterator[Habit]:
    """The lines of the table."""
    for part in TABLE.strip().split("\n\n"):
        family, *lines = part.splitlines()
        for line in lines:
            text, _, wanted = line.rpartition(" -> ")
            yield Habit(family, text, wanted)


def names() -> dict[str, Any]:
    """What the expressions are about, made anew."""
    leaves = {name.lower(): mg.tensor(v, requires_grad=True) for name, v in LEAVES.items()}
    others = {"k": mg.tensor(K), "m": mg.tensor(M), "l": nn.Linear(3, 4, rng=0)}
    arrays = {"A": A.copy(), "B": B.copy(), "U": U, "S": S, "X": X, "K": K, "M": M}
    return {**arrays, **leaves, **others, "mg": mg, "nn": nn, "np": np}


LEAVES = {"t": A, "b": B, "u": U, "s": S, "x": X, "c": np.array(0.6)}


def evaluate(text: str) -> Any:
    """The value of the last expression; None after a statement."""
    space = names()
    linecache.cache["<habit>"] = (len(text), None, [text], "<habit>")  # errors quote the line
    body = ast.parse(text).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "<habit>", "exec"), space)
    return eval(compile(ast.Expression(last.value), "<habit>", "eval"), space) if last else None


def found(habit: Habit) -> tuple[str, str]:
    """The verdict on a line, and the value or the message."""
    before = mg.get_default_dtype()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value = evaluate(habit.text)
    except Exception as error:
        words = " <- ".join(message(error))
        says = not habit.wanted.startswith("= ") and habit.wanted in words
        return SAYS if says else BARE, words
    finally:
        mg.set_default_dtype(before)
    if habit.wanted.startswith("= ") and same(value, habit.wanted[2:]):
        return WORKS, repr(value)
    return WRONG, repr(value)


def same(value: Any, wanted: str) -> bool:
    """Whether a value is what NumPy's expression gives."""
    with np.errstate(all="ignore"):
        right = eval(wanted, names())
    if isinstance(right, list | tuple) and isinstance(value, tuple | list):
        return len(value) == len(right) and all(map(equal, value, right))
    return equal(value, right)


def equal(a: Any, b: Any) -> bool:
    """Equal as arrays, up to rounding; or equal as they are."""
    a = a.data if isinstance(a, mg.Tensor) else a
    if isinstance(b, np.ndarray | float):
        return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-6, equal_nan=True)
    return bool(a == b) or a is b


def main() -> None:
    """Print each line with its verdict, and how many there are of each in each family."""
    counts: Counter[str] = Counter()
    for habit in rows():
        verdict, words = found(habit)
        counts[verdict] += 1
        mark = " " if verdict in (WORKS, SAYS) else "!"
        print(f"{mark} {habit.family:15}  {habit.text:58.58}  {verdict:18}  {words[:150]!r}")
    print(
        f"{sum(counts.values())} expressions: " + ", ".join(f"{n} {v}" for v, n in counts.items())
    )


if __name__ == "__main__":
    main()
