"""Paths of time against brute force: the same program with `detach`, or the limit, written at the boundaries.

Each program takes `pass_on(axis, position, last, value)`: called where a value goes on to the step of that position.
Run: PYTHONPATH=clone python -m pytest test_time.py
"""

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad.edits import clip_gradient

T, N, D = 6, 3, 3
rng = np.random.default_rng(0)
XS = rng.standard_normal((T, N, D))
M = {k: rng.standard_normal((D, D)) * 0.6 for k in "UVWABC"}


def params():
    return {k: mg.tensor(v, requires_grad=True, name=k) for k, v in M.items()}


def keep(axis, position, last, value):
    return value


def detaching(axes, k):
    def pass_on(axis, p, last, value):
        if (
            axis in axes
            and hasattr(value, "op")
            and value.op is not None
            and (last - p) // k != (last - p + 1) // k
        ):
            return value.detach()
        return value

    return pass_on


def limiting(axes, **limit):
    def pass_on(axis, p, last, value):
        if axis not in axes or not hasattr(value, "op") or value.op is None:
            return value
        return clip_gradient(
            value,
            max_norm=limit.get("max_norm"),
            max_value=limit.get("max_value"),
            rows=None,
            what=("x", 0),
        )

    return pass_on


def cutting(axes):
    return lambda axis, p, last, value: (
        value.detach() if axis in axes and getattr(value, "op", None) is not None else value
    )


# the programs: each returns loss, parameters.  `on(axis, position, last, value)` marks what goes to the next step.


def a_rk4(on):  # (a) state leaves the last inner step and enters the first of the next outer step
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for t in range(T):
        h = on("time", t, T - 1, h)
        with mg.time_step(t):
            for j in range(N):
                h = on("rk4", j, N - 1, h) if j else h
                with mg.time_step(j, "rk4"):
                    h = np.tanh(h @ p["U"] + XS[t, 0])
    return (h**2).sum(), p


def b_out_and_back(
    on,
):  # (b) inner -> outer level -> inner, within one outer step; inner state of its own
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for t in range(T):
        h = on("time", t, T - 1, h)
        with mg.time_step(t):
            a = np.tanh(h @ p["U"] + XS[t, 0])  # outer level
            z = a * 1.0
            for j in range(N):
                z = on("in", j, N - 1, z) if j else z
                with mg.time_step(j, "in"):
                    z = np.tanh(z @ p["V"] + a @ p["W"])  # outer-level a used in each inner step
            h = np.tanh(z @ p["A"]) + 0.1 * a  # outer level again
    return (h**2).sum(), p


def c_outer_value_next_loop(
    on,
):  # (c) made at outer level in step t, used by all inner steps of t + 1, one crossing
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for t in range(T):
        h_prev = on("time", t, T - 1, h)
        with mg.time_step(t):
            z = mg.tensor(np.zeros((2, D)))
            for j in range(N):
                z = on("in", j, N - 1, z) if j else z
                with mg.time_step(j, "in"):
                    z = np.tanh(z @ p["V"] + h_prev @ p["W"] + XS[t, j])
            h = np.tanh(z @ p["A"] + h_prev @ p["B"])
    return (h**2).sum(), p


def grid(order, diagonal=False, visit="row"):
    R, C = 4, 5

    def program(on):
        p = params()
        h = {}
        cells = [(i, j) for i in range(R) for j in range(C)]
        if visit == "col":
            cells.sort(key=lambda c: (c[1], c[0]))
        if visit == "anti":
            cells.sort(key=lambda c: (c[0] + c[1], c[0]))
        zero = mg.tensor(np.zeros((2, D)))
        # one crossing for all edges from one source into one step of the axis: `into` remembers
        into = {}

        def go(axis, pos, last, key):
            if key not in h:
                return zero
            if (axis, pos, key) not in into:
                into[axis, pos, key] = on(axis, pos, last, h[key])
            return into[axis, pos, key]

        outer_row = order == "row,col"
        for i, j in cells:
            left, up = go("col", j, C - 1, (i, j - 1)), go("row", i, R - 1, (i - 1, j))
            diag = zero
            if diagonal:
                axis, position, last = ("row", i, R - 1) if outer_row else ("col", j, C - 1)
                diag = go(axis, position, last, (i - 1, j - 1))
            blocks = [mg.time_step(i, "row"), mg.time_step(j, "col")]
            with blocks[0 if outer_row else 1], blocks[1 if outer_row else 0]:
                h[i, j] = np.tanh(left @ p["U"] + up @ p["V"] + diag @ p["W"] + XS[i, j % N])
        return (h[R - 1, C - 1] ** 2).sum() + (h[R - 1, 1] ** 2).sum(), p

    return program


def e_act(on):  # (e) a different number of inner steps in each step, drawn from the data
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for t, n in enumerate([2, 5, 1, 3, 4, 2]):
        h = on("time", t, T - 1, h)
        with mg.time_step(t):
            ponder = []
            for j in range(n):
                h = on("ponder", j, n - 1, h) if j else h
                with mg.time_step(j, "ponder"):
                    h = np.tanh(h @ p["U"] + XS[t, 0] + 0.1 * j)
                ponder.append(h)
            h = sum(ponder[1:], ponder[0]) / n
    return (h**2).sum(), p


def e_act_timesteps(on):  # the same with loops over mg.timesteps, in both levels
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for t, x in mg.timesteps(XS[:, 0]):
        h = on("time", t, T - 1, h)
        n = [2, 5, 1, 3, 4, 2][t]
        for j, _u in mg.timesteps(np.linspace(0, 1, n), axis="ponder"):
            h = on("ponder", j, n - 1, h) if j else h
            h = np.tanh(h @ p["U"] + x + 0.1 * j)
    return (h**2).sum(), p


class Inner(nn.Cell):
    def __init__(self, p):
        self.p, self.input_size, self.state_size = p, D, D

    def forward(self, x, h_prev):
        h = np.tanh(x @ self.p["U"] + h_prev @ self.p["V"])
        return h, h


def unroll_by_hand(on, axis, cell, xs, state, reverse=False):
    """As nn.Unroll, with the marks."""
    order = range(len(xs)) if not reverse else range(len(xs) - 1, -1, -1)
    ys = [None] * len(xs)
    for k, j in enumerate(order):
        state = on(axis, k, len(xs) - 1, state) if k else state
        ys[j], state = cell.forward(xs[j], state)
    return ys, state


def g_hierarchical(
    carry, reverse=False
):  # (g) words in sentences; carry: the word state goes on to the next sentence
    def program(on, by_hand=False):
        p = params()
        words = Inner(p)
        unroll = nn.Unroll(words)

        class Outer(nn.Cell):
            def initial_state(self, batch_size=None):
                return (mg.tensor(np.zeros((2, D))), mg.tensor(np.zeros((2, D))))

            def forward(self, sentence, state):
                s_prev, w_prev = state
                start = w_prev if carry else mg.tensor(np.zeros((2, D)))
                xs = np.moveaxis(sentence, 1, 0) if isinstance(sentence, mg.Tensor) else sentence
                if by_hand:
                    _ys, w = unroll_by_hand(on, "words", words, list(xs), start, reverse)
                else:
                    _ys, w = unroll(xs, start, reverse=reverse)
                s = np.tanh(w @ p["A"] + s_prev @ p["B"])
                return s, (s, w)

        X = np.random.default_rng(1).standard_normal((T, 2, 4, D))
        outer = Outer()
        if by_hand:
            state = outer.initial_state()
            for t in range(T):
                state = tuple(on("doc", t, T - 1, s) for s in state) if t else state
                _, state = outer.forward(mg.tensor(X[t]), state)
            s = state[0]
        else:
            outer.check_input = lambda *a: None
            s, state = None, outer.initial_state()
            for _t, x in mg.timesteps(X, "doc"):
                s, state = outer.forward(x, state)
        return (s**2).sum(), p

    return program


def h_attention(on):  # (h) an inner loop looks at all steps of another axis
    p = params()
    h = mg.tensor(np.zeros((2, D)))
    memory = []
    for t, x in mg.timesteps(XS[:, 0], "enc"):
        h = on("enc", t, T - 1, h) if t else h
        h = np.tanh(h @ p["U"] + x)
        memory.append(h)
    H = np.stack(memory)
    s = h
    for t, x in mg.timesteps(XS[:4, 1], "dec"):
        s = on("dec", t, 3, s) if t else s
        q = s
        for j, u in mg.timesteps(XS[t], "hop"):
            q = on("hop", j, N - 1, q) if j else q
            a = mg.softmax((H * q).sum(-1), axis=0)
            q = np.tanh((a[..., None] * H).sum(0) @ p["V"] + q @ p["W"] + u)
        s = np.tanh(q @ p["A"] + s @ p["B"] + x)
    return (s**2).sum(), p


def i_joined(
    on,
):  # (i) two loops that go on with each other on one mg.Axis, each with an inner loop; the second reversed inside
    p = params()
    h = mg.tensor(np.ones((2, D)))
    axis, inside = mg.Axis("time"), mg.Axis("inner")
    k = 0
    for start in (0, 3):
        for t, x in mg.timesteps(XS[start : start + 3, 0], axis, start=start):
            h = on("time", k, T - 1, h) if k else h
            k += 1
            n = 0
            for _j, u in mg.timesteps(XS[t], inside, reverse=True):
                h = on("inner", n, N - 1, h) if n else h
                n += 1  # noqa: SIM113
                h = np.tanh(h @ p["U"] + x + u)
    return (h**2).sum(), p


def i_reversed(on):
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for k, t in enumerate(reversed(range(T))):
        h = on("time", k, T - 1, h) if k else h
        with mg.time_step(t):
            for n, j in enumerate(reversed(range(N))):
                h = on("in", n, N - 1, h) if n else h
                with mg.time_step(j, "in"):
                    h = np.tanh(h @ p["U"] + XS[t, j])
    return (h**2).sum(), p


def losses(on):  # a loss in each inner step, summed over both loops: no state
    p = params()
    h, loss = mg.tensor(np.ones((2, D))), 0
    for t in range(T):
        h = on("time", t, T - 1, h)
        with mg.time_step(t):
            own = 0
            for j in range(N):
                h = on("in", j, N - 1, h) if j else h
                with mg.time_step(j, "in"):
                    h = np.tanh(h @ p["U"] + XS[t, j])
                    own = own + (h**2).sum()
            loss = loss + own / N
    return loss, p


def three_deep(on):
    p = params()
    h = mg.tensor(np.ones((2, D)))
    for i in range(3):
        h = on("i", i, 2, h)
        with mg.time_step(i, "i"):
            for j in range(3):
                h = on("j", j, 2, h) if j else h
                with mg.time_step(j, "j"):
                    for k in range(3):
                        h = on("k", k, 2, h) if k else h
                        with mg.time_step(k, "k"):
                            h = np.tanh(h @ p["U"] + XS[i, j] + 0.1 * k)
    return (h**2).sum(), p


PROGRAMS = {
    "a rk4": (a_rk4, ["time"], ["rk4"]),
    "b out and back": (b_out_and_back, ["time"], ["in"]),
    "c outer value": (c_outer_value_next_loop, ["time"], ["in"]),
    "d grid row,col": (grid("row,col"), ["row"], ["col"]),
    "d grid col,row": (grid("col,row"), ["col"], ["row"]),
    "d grid by columns": (grid("row,col", visit="col"), ["row"], ["col"]),
    "d grid by antidiagonals": (grid("row,col", visit="anti"), ["row"], ["col"]),
    "d diagonal": (grid("row,col", True), ["row"], ["col"]),
    "d diagonal col,row": (grid("col,row", True, "col"), ["col"], ["row"]),
    "e act": (e_act, ["time"], ["ponder"]),
    "e act timesteps": (e_act_timesteps, ["time"], ["ponder"]),
    "h attention": (h_attention, ["enc", "dec"], ["hop"]),
    "i joined": (i_joined, ["time"], ["inner"]),
    "i reversed": (i_reversed, ["time"], ["in"]),
    "losses": (losses, ["time"], ["in"]),
    "three deep": (three_deep, ["i"], ["j"]),
    "three deep, innermost": (three_deep, ["i"], ["k"]),
}


def grads(loss_or_graph, p):
    for x in p.values():
        x.grad = None
    loss_or_graph.backward()
    return {k: np.zeros_like(x.data) if x.grad is None else x.grad.data for k, x in p.items()}


def same(found, wanted):
    for k in wanted:
        np.testing.assert_allclose(found[k], wanted[k], rtol=1e-12, atol=1e-15, err_msg=k)


@pytest.mark.filterwarnings("ignore:cut")
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 100])
def test_truncate(name, k):
    program, outer, inner = PROGRAMS[name]
    loss, p = program(keep)
    graph = mg.Graph(loss)
    same(
        grads(graph.truncate(k), p), grads(*(lambda l, q: (l, q))(*program(detaching(outer, k))))
    )  # the default: outermost
    loss2, q = program(detaching(inner, k))
    same(grads(graph.truncate(k, axis=inner), p), grads(loss2, q))
    loss3, q = program(detaching(outer + inner, k))
    same(grads(graph.truncate(k, axis=outer + inner), p), grads(loss3, q))
    if k == 100:
        loss0, q = program(keep)
        same(grads(graph.truncate(k), p), grads(loss0, q))


@pytest.mark.filterwarnings("ignore:cut")
@pytest.mark.parametrize("name", PROGRAMS)
def test_cut_and_clip(name):
    program, outer, inner = PROGRAMS[name]
    loss, p = program(keep)
    graph = mg.Graph(loss)
    for axes, edited, clipped in [
        (outer, graph.cut(), graph.clip_edges(max_norm=0.01)),
        (inner, graph.cut(axis=inner), graph.clip_edges(max_norm=0.01, axis=inner)),
    ]:
        loss2, q = program(cutting(axes))
        same(grads(edited, p), grads(loss2, q))
        loss2, q = program(limiting(axes, max_norm=0.01))
        same(grads(clipped, p), grads(loss2, q))
    both = graph.clip_edges(max_value=0.02).clip_edges(max_norm=0.01, axis=inner)

    def on(axis, k, last, v):
        v = limiting(outer, max_value=0.02)(axis, k, last, v)
        return limiting(inner, max_norm=0.01)(axis, k, last, v)

    loss2, q = program(on)
    same(grads(both, p), grads(loss2, q))


@pytest.mark.filterwarnings("ignore:cut")
@pytest.mark.parametrize("carry", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_hierarchical(carry, reverse, k):
    program = g_hierarchical(carry, reverse)
    loss, p = program(keep)
    graph = mg.Graph(loss)
    names = list(graph.axes)
    assert len(names) == 2
    assert graph.axes[names[1]].parent is graph.axes["doc"]
    for axes, chosen in [(["doc"], None), (["words"], names[1]), (["doc", "words"], names)]:
        loss2, q = program(detaching(axes, k), by_hand=True)
        same(grads(graph.truncate(k, axis=chosen), p), grads(loss2, q))
        loss2, q = program(limiting(axes, max_norm=0.01), by_hand=True)
        same(
            grads(
                graph.clip_edges(max_norm=0.01, **({} if chosen is None else {"axis": chosen})), p
            ),
            grads(loss2, q),
        )


def test_unroll_in_unroll():
    """nn.Unroll inside nn.Unroll: two axes, states named by role on both, titles the unrolled cells' scopes."""
    p = params()
    words = Inner(p)

    class Doc(nn.Cell):
        def __init__(self):
            self.words = nn.Unroll(words)

        def initial_state(self, *batch):
            return mg.tensor(np.zeros((2, D)), name="s_init")

        def forward(self, x, s_prev):
            _, s = self.words(
                x, s_prev
            )  # the outer state is the last inner one: one node, two roles
            return s, s

    X = np.random.default_rng(1).standard_normal((3, 4, 2, D))
    doc = Doc()
    _ys, s = nn.Unroll(doc)([mg.tensor(x) for x in X], mg.tensor(np.zeros((2, D))))
    graph = mg.Graph((s**2).sum())
    assert len(graph.axes) == 2
    outer, _inner = graph.axes
    found = {(st.axis is graph.axes[outer], st.name): [*st.nodes] for st in graph.states}
    assert found[True, "h"] == [(t,) for t in range(3)], found
    assert found[False, "h"] == [(t, j) for t in range(3) for j in range(4)], found
    assert len(graph.states) == 2


@pytest.mark.parametrize("k", [1, 2, 3])
def test_diagonals_by_columns_with_a_predicate(k):
    """truncate(axis="col") does not cut diagonals; two lines do."""
    program = grid("row,col", True)
    loss, p = program(keep)
    graph = mg.Graph(loss)

    def window(node):
        return (4 - node.coordinates["col"]) // k

    cutgraph = graph.cut(
        lambda e: (
            e.source.t is not None
            and e.source.op
            and e.target.t is not None
            and window(e.source) != window(e.target)
        )
    )
    R, C = 4, 5
    p2 = params()
    h = {}
    zero = mg.tensor(np.zeros((2, D)))

    def win(j):
        return (C - 1 - j) // k

    def get(i, j, jj):
        if (i, j) not in h:
            return zero
        return h[i, j].detach() if win(j) != win(jj) else h[i, j]

    for i in range(R):
        for j in range(C):
            h[i, j] = np.tanh(
                get(i, j - 1, j) @ p2["U"]
                + get(i - 1, j, j) @ p2["V"]
                + get(i - 1, j - 1, j) @ p2["W"]
                + XS[i, j % N]
            )
    same(grads(cutgraph, p), grads((h[R - 1, C - 1] ** 2).sum() + (h[R - 1, 1] ** 2).sum(), p2))


@pytest.mark.parametrize("name", PROGRAMS)
def test_grad_by_step_adds_up_and_equals_a_copy_of_the_parameter_for_each_step(name):
    program, outer, inner = PROGRAMS[name]
    loss, p = program(keep)
    graph = mg.Graph(loss)
    if len(outer) > 1:
        return
    if "U" not in graph.parameters:
        return
    total = grads(graph, p)["U"]
    table = graph.grad_by_step("U")
    np.testing.assert_allclose(table.sum(0), total, rtol=1e-12)
    if name in ("b out and back",):
        return  # U is used at the outer level only
    if "innermost" in name:
        return
    uses = [e.target for e in graph.users[p["U"]]]
    if any(inner[0] not in graph.coordinates(u) for u in uses):
        return
    fine = graph.grad_by_step("U", axis=inner[0])
    assert fine.shape[:2] == (
        len(table),
        max(len({c[inner[0]] for c in [graph.coordinates(u) for u in uses]}), 1),
    )
    np.testing.assert_allclose(fine.sum(1), table, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", PROGRAMS)
def test_states_tell_their_own_gradient(name):
    program, _outer, inner = PROGRAMS[name]
    loss, _p = program(keep)
    graph = mg.Graph(loss)
    for state in graph.states:
        for node in state.nodes.values():
            assert node in {*graph.nodes}
    for axis in [None, inner]:
        flow = graph.gradient_flow(axis=axis, jacobians=False)
        from minigrad.flow import state_lines

        for line, path in zip(
            state_lines(graph, "x", axis), flow.states if hasattr(flow, "states") else flow.paths
        ):
            wanted = [
                np.linalg.norm(mg.grad(loss, node, allow_unused=True)[0].data)
                for node in line.states
            ]
            np.testing.assert_allclose(path.total, wanted, rtol=1e-10)


@pytest.mark.filterwarnings("ignore:cut")
def test_traced_backward_pass():
    """(j) create_graph: the traced nodes stand at the places of the forward nodes; the second pass can be truncated."""
    loss, p = a_rk4(keep)
    (dU,) = mg.grad(loss, p["U"], create_graph=True)
    graph = mg.Graph((dU**2).sum())
    assert {tuple(n.coordinates) for n in graph.nodes if n._scope is not None and n.op} >= {
        ("time", "rk4")
    }
    full = mg.grad((dU**2).sum(), p["U"])[0].data
    eps = 1e-6
    E = np.random.default_rng(3).standard_normal((D, D))

    def first(U):
        M_U, M["U"] = M["U"], U
        try:
            loss, q = a_rk4(keep)
            return (mg.grad(loss, q["U"])[0].data ** 2).sum()
        finally:
            M["U"] = M_U

    numeric = (first(M["U"] + eps * E) - first(M["U"] - eps * E)) / (2 * eps)
    assert np.isclose((full * E).sum(), numeric, rtol=1e-5)
    assert all(
        e.source._scope is None
        or e.source._scope.name != "backward"
        or e.target._scope.name == "backward"
        for e in graph.state_edges
    )
    back = [
        e
        for e in graph.state_edges
        if e.source._scope is not None and e.source._scope.name == "backward"
    ]
    assert not back  # a gradient goes from later to earlier positions: no state


def torch_program(barrier):
    import torch

    torch.tensor(M["U"], requires_grad=True)
    V = torch.tensor(M["V"], requires_grad=True)
    W = torch.tensor(M["W"], requires_grad=True)
    A = torch.tensor(M["A"], requires_grad=True)
    B = torch.tensor(M["B"], requires_grad=True)
    h = torch.ones(2, D, dtype=torch.float64)
    for t in range(T):
        h_prev = barrier("time", t, T - 1, h)
        z = torch.zeros(2, D, dtype=torch.float64)
        for j in range(N):
            z = barrier("in", j, N - 1, z) if j else z
            z = torch.tanh(z @ V + h_prev @ W + torch.tensor(XS[t, j]))
        h = torch.tanh(z @ A + h_prev @ B)
    (h**2).sum().backward()
    return {"V": V.grad, "W": W.grad, "A": A.grad, "B": B.grad}


@pytest.mark.filterwarnings("ignore:cut")
@pytest.mark.parametrize("k", [1, 2, 3, 100])
@pytest.mark.parametrize("axis", ["time", "in"])
def test_against_torch(axis, k):
    pytest.importorskip("torch")
    wanted = torch_program(
        lambda a, q, last, v: (
            v.detach() if a == axis and (last - q) // k != (last - q + 1) // k else v
        )
    )
    loss, p = c_outer_value_next_loop(keep)
    found = grads(mg.Graph(loss).truncate(k, axis=axis), p)
    for name, g in wanted.items():
        np.testing.assert_allclose(
            found[name], np.zeros((D, D)) if g is None else g.numpy(), rtol=1e-12, atol=1e-15
        )


# labels


def coords():
    return mg.tensor(0.0).coordinates


def test_labels_are_restored_in_whatever_order():
    a, b = mg.timesteps(np.zeros(3), "a"), mg.timesteps(np.zeros(3), "b")
    next(a)
    next(b)
    assert coords() == {"a": 0, "b": 0}
    next(a)
    assert coords() == {"a": 1}
    next(b)
    assert coords() == {"a": 1, "b": 1}
    a.close()
    assert coords() == {}
    next(b)
    assert coords() == {"b": 2}
    b.close()
    assert coords() == {}

    def abandoned():
        with mg.time_step(5, "g"):
            yield

    g = abandoned()
    next(g)
    with mg.time_step(1):
        assert coords() == {"g": 5, "time": 1}
        g.close()
        assert coords() == {}
    assert coords() == {}
    for _ in mg.timesteps(np.zeros(3)):
        for _ in mg.timesteps(np.zeros(3)):
            assert coords() == {"time": 0, "time_2": 0}
            break
        assert coords() == {"time": 0}
        break
    assert coords() == {}
    for (t, _), (s, _) in zip(mg.timesteps(np.zeros(3)), mg.timesteps(np.zeros(3))):
        assert coords() == {"time": t, "time_2": s}
    assert coords() == {}


def test_an_inner_loop_is_one_axis_and_two_calls_in_one_step_are_two():
    w = mg.tensor(np.eye(2), requires_grad=True, name="w")

    def loop(h):
        for _, x in mg.timesteps(np.ones((2, 2)), "rk4"):
            h = np.tanh(h @ w + x)
        return h

    h = mg.tensor(np.zeros(2))
    for t, _ in mg.timesteps(np.zeros(4)):
        h = loop(loop(h)) if t % 2 == 0 else loop(h)
    graph = mg.Graph(h.sum())
    assert list(graph.axes) == ["time", "rk4", "rk4_2"]
    assert {a.parent for a in graph.axes.values()} == {None, graph.axes["time"]}


def test_pickle_keeps_paths():
    loss, _p = a_rk4(keep)
    graph = mg.Graph(loss)
    again = pickle.loads(pickle.dumps(graph))
    assert list(again.axes) == ["time", "rk4"]
    assert again.axes["rk4"].parent is again.axes["time"]
    assert len(again.state_edges) == len(graph.state_edges)


def test_at_position_coordinates():
    loss, _p = a_rk4(keep)
    graph = mg.Graph(loss)
    assert graph.time_steps == tuple(range(T))
    assert {n.coordinates.get("rk4") for n in graph.at(3) if n.op} == {0, 1, 2}
    assert {n.t for n in graph.at(1, "rk4")} == set(range(T))
    assert all(n.coordinates == {"time": 3, "rk4": 1} for n in graph.at({"time": 3, "rk4": 1}))
    last = loss.inputs[0].inputs[0]
    assert [p for _, p in graph.place(last)] == [T - 1, N - 1]


# states of any cell


class LS(NamedTuple):
    h: Any
    c: Any


class HS(NamedTuple):
    h: Any
    hyper: LS


@pytest.mark.parametrize("kind", ["tensor", "tuple", "named", "dict", "nested", "view"])
def test_states_of_any_cell(kind):
    p = params()

    def z(*s):
        return mg.tensor(np.zeros(s))

    class C(nn.Cell):
        input_size = D

        def initial_state(self, batch_size=None):
            b = z(batch_size, D)
            return {
                "tensor": b,
                "tuple": (b, b),
                "named": LS(b, b),
                "dict": {"h": b, "c": b},
                "nested": HS(b, LS(b, b)),
                "view": LS(b, b),
            }[kind]

        def forward(self, x, s):
            def f(v, k):
                return np.tanh(v @ p[k] + x)

            if kind == "tensor":
                y = f(s, "U")
                return y, y
            if kind == "tuple":
                a, b = s
                return a, (f(a + b, "U"), f(b - a, "V"))
            if kind == "named":
                return s.h, LS(f(s.h + s.c, "U"), f(s.c, "V"))
            if kind == "dict":
                return s["h"], {"h": f(s["h"] + s["c"], "U"), "c": f(s["c"], "V")}
            if kind == "nested":
                return s.h, HS(
                    f(s.h + s.hyper.c, "U"), LS(f(s.hyper.h, "V"), f(s.hyper.c + s.hyper.h, "W"))
                )
            both = np.tanh(
                np.concatenate([s.h, s.c], -1) @ np.ones((2 * D, 2 * D)) * 0.1
                + np.concatenate([x @ p["U"], x], -1)
            )
            h, c = both[:, :D], both[:, D:]
            return h, LS(h, c)

    ys, s = nn.Unroll(C())(XS[:, :2], None)
    from nn.structure import named_leaves as leaves

    graph = mg.Graph(sum((v**2).sum() for _, v in leaves(s)) + (ys**2).sum())
    wanted = {
        "tensor": {"h"},
        "tuple": {"s0", "s1"},
        "named": {"h", "c"},
        "dict": {"h", "c"},
        "nested": {"h", "hyper.h", "hyper.c"},
        "view": {"h", "c"},
    }[kind]
    assert {st.name for st in graph.states} == wanted
    for st in graph.states:
        assert [*st.nodes] == [(t,) for t in range(T)], (st.name, [*st.nodes])


@pytest.mark.parametrize("kind", ["variable", "dict", "tuple", "view", "list of layers", "if"])
def test_states_of_hand_written_loops(kind):
    p = params()
    h = mg.tensor(np.ones((2, D)))
    c = h * 1
    s = {"h": h, "c": c}
    layers = [h, h, h]
    hc = h[:1], h[1:]
    y = h
    for t, x in mg.timesteps(XS[:, 0]):

        def f(v, k="U"):
            return np.tanh(v @ p[k] + x)  # noqa: B023

        if kind == "variable":
            h = np.tanh(h @ p["U"] + x)
            y = h
        elif kind == "dict":
            s["h"], s["c"] = np.tanh(s["h"] @ p["U"] + x), np.tanh(s["c"] @ p["V"] + s["h"])
            y = s["h"] + s["c"]
        elif kind == "tuple":
            h, c = np.tanh(h @ p["U"] + x), np.tanh(c @ p["V"] + h)
            y = h + c
        elif kind == "view":
            h = np.tanh(np.concatenate(hc) @ p["U"] + x)
            hc = h[:1], h[1:]
            y = h
        elif kind == "list of layers":
            layers = [np.tanh(v @ p["U"] + x) for v in layers]
            y = sum(layers)
        elif t % 2:
            h = np.tanh(h @ p["U"] + x)
            y = h
        else:
            h = np.tanh(h @ p["V"] - x)
            y = h
    graph = mg.Graph((y**2).sum())
    found = {st.name: [*st.nodes] for st in graph.states}
    steps = [(t,) for t in range(T)]
    assert all(v == steps for v in found.values()), found
    assert (
        len(found)
        == {"variable": 1, "dict": 2, "tuple": 2, "view": 1, "list of layers": 3, "if": 1}[kind]
    ), found
    if kind in ("variable", "view", "if"):
        assert set(found) == {"h"}
    if kind == "tuple":
        assert set(found) == {"h", "c"}


def test_grid_states_are_lanes():
    loss, _p = grid("row,col")(keep)
    graph = mg.Graph(loss)
    rows = [s for s in graph.states if s.axis.name == "row"]
    assert {len(s.nodes) for s in rows} == {4}, [(s.name, [*s.nodes]) for s in rows]
    assert sorted(s.name for s in rows) == [f"h[col={j}]" for j in range(5)]
    cols = [s for s in graph.states if s.axis.name == "col"]
    assert len(cols) == 1
    assert len(cols[0].nodes) == 20


def test_a_cell_of_two_directions_is_told_per_use_and_in_sum():
    cell = nn.GRUCell(2, 3)
    xs = np.random.default_rng(1).standard_normal((5, 3, 2)).astype(np.float32)
    y, _ = nn.Bidirectional(cell, cell)(xs)
    graph = mg.Graph((y**2).sum())
    (whole,) = mg.grad((y**2).sum(), cell.W_hh)
    with pytest.raises(ValueError, match="choose one with axis=: forwards, backwards"):
        graph.grad_by_step(cell.W_hh)
    parts = [graph.grad_by_step(cell.W_hh, axis=name) for name in ("forwards", "backwards")]
    both = graph.grad_by_step(cell.W_hh, axis=["forwards", "backwards"])
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(both.sum(0), whole.data, rtol=1e-5, atol=1e-6)
