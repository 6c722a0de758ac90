"""Modules: names, sharing, modes, state dictionaries, calls with arrays, printing."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
import nn


class Net(nn.Module):
    def __init__(self):
        self.embed = nn.Embedding(5, 3)
        self.rnns = {"a": nn.RNNCell(3, 4), "b": [nn.GRUCell(4, 4)]}
        self.out = nn.Linear(4, 5)
        self.scale = nn.Parameter([1.0])
        self.seen = nn.Buffer(np.zeros(2))

    def forward(self, x):
        return self.out(x)


def test_names_follow_the_order_of_assignment():
    names = [name for name, _ in Net().named_parameters()]
    assert names[:4] == ["embed.W", "rnns.a.W_xh", "rnns.a.W_hh", "rnns.a.b_h"]
    assert names[4:] == [
        "rnns.b.0.W_xh",
        "rnns.b.0.W_hh",
        "rnns.b.0.b_h",
        "rnns.b.0.b_hn",
        "out.W",
        "out.b",
        "scale",
    ]
    net = Net()
    assert [p.name for p in net.parameters()] == names
    outer = nn.Sequential(net)
    assert net.out.W.name == "0.out.W"
    assert net.out.full_name == "0.out"
    assert [path for path, _ in outer.named_modules()][:3] == ["", "0", "0.embed"]


def test_a_shared_parameter_keeps_its_first_name_and_appears_once():
    net = nn.Module()
    net.embed = nn.Embedding(4, 4)
    net.out = nn.Linear(4, 4, bias=False)
    net.out.W = net.embed.W
    assert [name for name, _ in net.named_parameters()] == ["embed.W"]
    assert net.embed.W.name == "embed.W"
    tied = nn.Module()
    tied.whole = net
    assert [name for name, _ in tied.named_parameters()] == ["whole.embed.W"]
    assert net.out.W.name == "whole.embed.W"
    assert list(tied.state_dict()) == ["whole.embed.W"]


def test_modes_and_gradients_reach_every_module():
    net = Net()
    assert net.training
    net.eval()
    assert not any(module.training for _, module in net.named_modules())
    assert net.train() is net
    assert all(module.training for _, module in net.named_modules())
    net(np.ones((2, 4))).sum().backward()
    assert net.out.W.grad is not None
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_arrays_are_cast_and_scopes_named():
    net = Net()
    y = net(np.ones((2, 4)))
    assert y.dtype == np.float32
    assert y.scope == "Net.out"
    mg.set_default_dtype(np.float64)
    try:
        assert nn.Linear(2, 1)(np.ones((1, 2), np.float32)).dtype == np.float64
    finally:
        mg.set_default_dtype(np.float32)


def test_the_state_goes_out_and_in():
    net, other = Net(), Net()
    net.seen.data = [3.0, 4.0]
    state = net.state_dict()
    assert list(state)[-1] == "seen"
    other.load_state_dict(state)
    assert all(np.array_equal(value, state[name]) for name, value in other.state_dict().items())
    assert not other.seen.requires_grad
    assert "seen" not in dict(other.named_parameters())


def test_a_state_that_does_not_fit_is_listed_in_full_and_nothing_is_loaded():
    net = Net()
    before = net.state_dict()
    state = {name: np.ones(value.shape) for name, value in before.items()}
    state["more"] = state.pop("out.b")
    state["out.W"] = np.ones((4, 6))
    state["scale"] = np.array(["a"])
    with pytest.raises(ValueError, match="nothing was loaded") as error:
        net.load_state_dict(state)
    for line in (
        "missing: out.b (5,)",
        "unexpected: more (5,)",
        "shape of out.W: (4, 5) is needed, found (4, 6)",
        "dtype of scale: numbers are needed, found <U1",
    ):
        assert line in str(error.value)
    assert all(value.base is before[name].base for name, value in net.state_dict().items())


def test_printing_and_the_summary():
    text = repr(Net())
    assert "rnns.a: RNNCell(3, 4)" in text
    assert "y = x W + b" in text
    assert "W (4, 5)  b (5,)" in text
    table = nn.summary(Net())
    assert table.splitlines()[0] == "Net()"
    assert table.splitlines()[-1].split() == ["total", "187", "(756", "bytes)"]


def test_copies_and_pickles_are_whole():
    net = nn.LSTM(3, 4)
    net.l0.W_hh.requires_grad = False
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        x = np.ones((2, 1, 3))
        assert np.array_equal(other(x)[0].data, net(x)[0].data)
        assert other.l0.W_xh is not net.l0.W_xh
        assert not other.l0.W_xh.data.flags.writeable
        assert [p.name for p in other.parameters()] == [p.name for p in net.parameters()]
        assert (other.l0.W_xh.requires_grad, other.l0.W_hh.requires_grad) == (True, False)


def test_a_frozen_parameter_is_not_trained():
    net = nn.Linear(2, 1)
    net.b.requires_grad = False
    opt = nn.Adam(net)
    before = net.b._array
    net(np.ones((1, 2))).sum().backward()
    opt.step()
    assert net.b._array is before


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.Module()(1), TypeError, r"Module has no forward"),
        (
            lambda: nn.Cell().initial_state(2),
            TypeError,
            "Cell: set self.state_size, or write initial_state",
        ),
        (lambda: nn.Linear(2, 1)([1.0, 2.0]), TypeError, "x must hold floats, found list"),
        (
            lambda: nn.Linear(2, 1)(np.ones((1, 2), int)),
            TypeError,
            r"found int64; write np.asarray\(x, np.float32",
        ),
        (
            lambda: nn.LayerNorm(2)([1.0, 2.0]),
            TypeError,
            "LayerNorm: x must hold floats, found list",
        ),
        (lambda: nn.Linear(2, 1)(None), TypeError, "x must hold floats, found NoneType"),
        (
            lambda: nn.RNNCell(2, 1)([[1.0, 2.0]]),
            TypeError,
            "RNNCell: x must be a tensor or an array, found list",
        ),
        (
            lambda: nn.Linear(2, 1).load_state_dict(None),
            TypeError,
            "a state_dict.. gave is needed, found NoneType",
        ),
    ],
)
def test_bad_calls_are_named(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_what_is_assigned_to_a_child_has_its_full_name():
    net = nn.Module()
    net.a, net.many = nn.Linear(2, 1), []
    net.a.extra = nn.Parameter(2.0)
    net.a.deep = nn.Linear(1, 1)
    net.many.append(nn.Parameter(3.0))
    assert [(name, p.name) for name, p in net.named_parameters()] == [
        (name, name) for name in ("a.W", "a.b", "a.extra", "a.deep.W", "a.deep.b", "many.0")
    ]
    assert net.a.deep.full_name == "a.deep"


def test_a_module_may_have_a_name_and_a_path_of_its_own():
    class Named(nn.Cell):
        def __init__(self):
            self.name, self.path, self.state_size = "mine", "data", 2

        def forward(self, x, h_prev):
            return h_prev, h_prev + x

    cell = Named()
    y, _ = nn.Unroll(cell)(np.ones((3, 1, 2)))
    assert (cell.name, cell.path, y.scope) == ("mine", "data", "Unroll")


def test_modules_children_and_buffers():
    net = Net()
    assert [type(module).__name__ for module in net.modules()] == [
        "Net",
        "Embedding",
        "RNNCell",
        "GRUCell",
        "Linear",
    ]
    assert [name for name, _ in net.named_children()] == ["embed", "rnns.a", "rnns.b.0", "out"]
    assert net.children() == net.modules()[1:]
    assert [(name, b.shape) for name, b in net.named_buffers()] == [("seen", (2,))]
    assert net.buffers() == [net.seen]
    seen = []
    assert net.apply(seen.append) is net
    assert seen[-1] is net
    assert len(seen) == 5


def test_a_module_that_is_replaced_leaves_its_name():
    net = nn.Module()
    first, second = nn.Linear(2, 1), nn.Linear(2, 1)
    net.a = first
    net.b = first
    net.a = second
    assert (second.W.name, first.W.name) == ("a.W", "b.W")
    assert [name for name, _ in net.named_parameters()] == ["a.W", "a.b", "b.W", "b.b"]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({1: nn.Parameter(1.0), "1": nn.Parameter(2.0)}, "would be called 'parts.1'"),
        (
            {"a.W": nn.Parameter(1.0), "a": nn.Linear(1, 1)},
            "would be called 'parts.a.W', and one would be lost",
        ),
        ({"x\0y": nn.Parameter(1.0)}, r"the name 'parts.x\\x00y' cannot be saved"),
        ({"\ud800": nn.Parameter(1.0)}, "cannot be saved"),
    ],
)
def test_names_that_would_lose_a_parameter_are_refused(parts, text):
    net = nn.Module()
    with pytest.raises(ValueError, match=text):
        net.parts = parts
    assert not hasattr(net, "parts")
    net.parts = {}
    net.parts.update(parts)  # nobody sees this
    with pytest.raises(ValueError, match=text):
        net.state_dict()


def test_parameters_of_different_dtypes_are_named():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net[1].b = nn.Parameter(np.zeros(1))
    with pytest.raises(TypeError, match=r"found float32 in 0.W and float64 in 1.b"):
        net(np.ones((1, 2)))


def test_modules_may_be_nested_deeply():
    net = nn.Linear(1, 1)
    for _ in range(400):
        outer = nn.Module()
        outer.inner = net
        net = outer
    name = "inner." * 400 + "W"
    assert next(name for name, _ in net.named_parameters()) == name
    assert net.parameters()[0].name == name
    net.load_state_dict(net.state_dict())
    assert len(repr(net.eval()).splitlines()) == 403


@pytest.mark.parametrize("count", [2000, 4000])
def test_building_a_long_network_is_linear(count, monkeypatch):
    from nn import module

    steps = 0
    part = module._part

    def counted(*args):
        nonlocal steps
        steps += 1
        return part(*args)

    monkeypatch.setattr(module, "_part", counted)
    net = nn.Sequential(*[nn.LayerNorm(1) for _ in range(count)])
    assert len(net.parameters()) == 2 * count
    assert steps <= 20 * count


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.Tanh(), r"nn has no 'Tanh'; the function mg.tanh is a layer too"),
        (lambda: nn.CrossEntropyLoss(), r"write|losses are functions: nn.cross_entropy"),
        (lambda: nn.nothing, r"nn has no 'nothing'$"),
        (lambda: nn.Linear(1, 1).to("cuda"), "Linear has no attribute 'to'; there are no devices"),
        (lambda: nn.Linear(1, 1).weight, "the weights of a layer are called W here"),
        (lambda: nn.Linear(1, 1).nothing, "Linear has no attribute 'nothing'$"),
    ],
)
def test_names_of_pytorch_say_what_to_write(call, text):
    with pytest.raises(AttributeError, match=text):
        call()
