"""Every line with a comment `wrong` is a mistake that a type checker has to find, and no other line is.

Nothing runs this file: `tests/test_typing.py` gives it to mypy and to pyright.
"""

import numpy as np

import minigrad as mg
import nn

x = mg.tensor([1.0, 2.0], requires_grad=True)
y = np.tanh(x)
z = mg.tanh(x)
xs = np.ones((5, 1, 2))
graph = mg.Graph(z)
net = nn.LSTM(2, 4)
cell = nn.GRUCell(2, 4)

# names that are not there
mg.sigmod(x)  # wrong: sigmoid
mg.cat([x, x])  # wrong: concatenate
x.mena()  # wrong: mean
x.backwards()  # wrong: backward
x.gard  # wrong: grad
z.foo  # wrong: the result of an operation is a Tensor
(x + x).bar  # wrong: so is that of an operator
x.sum().view  # wrong: so is that of a method
graph.rendr("a.svg")  # wrong: render
graph.nodes.append(x)  # wrong: nodes is a tuple
nn.crossentropy(z, z)  # wrong: cross_entropy
nn.Linaer(2, 3)  # wrong: Linear
net.paramters()  # wrong: parameters

# arguments that are not there
mg.tensor([1.0], requires_grads=True)  # wrong: requires_grad
mg.softmax(x, axes=0)  # wrong: axis
x.sum(axes=0)  # wrong: axis
graph.render("a.svg", veiw="ops")  # wrong: view
graph.to_dot(backwards=True)  # wrong: backward
nn.LSTM(2, 4, layers=2)  # wrong: num_layers
nn.Linear(2, 3, biases=False)  # wrong: bias
nn.Adam(net.parameters(), learning_rate=0.1)  # wrong: lr

# arguments that are missing
mg.tensor()  # wrong: data
mg.grad(z)  # wrong: inputs
mg.clip_grad_norm_(net)  # wrong: max_norm
nn.LSTM(2)  # wrong: hidden_size
nn.mse_loss(z)  # wrong: target
graph.truncate()  # wrong: k

# arguments of another type
graph.render("a.svg", view="opps")  # wrong: ops, affine or cells
graph.render(3)  # wrong: a path
graph.truncate("3")  # wrong: int
graph.clip_edges(max_norm="1")  # wrong: float
mg.time_step("a")  # wrong: int
mg.clip_grad_norm_(net, max_norm="big")  # wrong: float
nn.LSTM("2", 4)  # wrong: int
nn.GRU(2, 4, reset="between")  # wrong: before or after
nn.RNN(2, 4, nonlinearity="sigmoid")  # wrong: tanh or relu
nn.Dropout("half")  # wrong: float

# functions, as NumPy's: their options, their operands, their results
mg.tanh()  # wrong: x
mg.tanh(x, x)  # wrong: one argument
mg.tanh(x, axis=0)  # wrong: no option
mg.tanh("text")  # wrong: numbers
mg.sum(x, keep=True)  # wrong: keepdims
mg.mean(x, initial=0.0)  # wrong: a mean has none
mg.softmax(x, axis="last")  # wrong: int
mg.concatenate(3)  # wrong: a sequence
mg.clip(x, lower=0.0)  # wrong: min
mg.einsum(x, "i->")  # wrong: the subscripts come first
mg.split(x, 2).shape  # wrong: a tuple of tensors
mg.maximum(x, x).foo  # wrong: a Tensor
mg.arctan2(x, x)  # wrong: np.arctan2
x + "text"  # wrong: numbers
x.relu(slope=0.1)  # wrong: no option
x.register_hook(3)  # wrong: a function


@mg.primitive
def double(t: mg.Tensor) -> mg.Tensor:
    """Twice t."""
    return 2 * t


double(x, 3)  # wrong: one argument
double(x).foo  # wrong: a Tensor

# results of another type
integer: int = mg.tanh(x)  # wrong: a Tensor
word: str = graph.gradient_flow()  # wrong: a GradientFlow
