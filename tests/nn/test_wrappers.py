"""Zoneout, recurrent dropout, residual and learned initial states, on cells of every kind."""

import numpy as np
import pytest

import minigrad as mg
import nn

XS = np.random.default_rng(0).standard_normal((6, 3, 4)).astype(np.float32)
CELLS = {
    "RNN": lambda: nn.RNNCell(4, 4),
    "LSTM": lambda: nn.LSTMCell(4, 4),
    "GRU": lambda: nn.GRUCell(4, 4),
}


@pytest.mark.parametrize("kind", CELLS)
def test_residual_adds_the_input(kind):
    cell = CELLS[kind]()
    y, state = nn.Unroll(cell)(XS)
    z, same = nn.Unroll(nn.Residual(cell))(XS)
    assert np.array_equal(z.data, XS + y.data)
    assert np.array_equal(mg.Graph(z.sum()).time_steps, range(6))
    assert type(state) is type(same)
    with pytest.raises(ValueError, match=r"must have the same shape, found \(3, 4\) and \(3, 5\)"):
        nn.Unroll(nn.Residual(nn.RNNCell(4, 5)))(XS)


@pytest.mark.parametrize("kind", CELLS)
def test_zoneout_keeps_units_in_training_and_their_mean_in_evaluation(kind):
    cell = CELLS[kind]()
    zoned = nn.Zoneout(cell, 0.5, rng=0)
    state = cell.initial_state(3)
    first = nn.LSTMState(*[s + 0.1 for s in state]) if kind == "LSTM" else state + 0.1
    y, new = zoned(XS[0], first)
    _, plain = cell(XS[0], first)
    leaves = (
        [(new.h, plain.h, first.h), (new.c, plain.c, first.c)]
        if kind == "LSTM"
        else [(new, plain, first)]
    )
    assert y is leaves[0][0]
    for s, moved, kept in leaves:
        same = s.data == kept.data
        assert np.array_equal(np.where(same, kept.data, moved.data), s.data)
        assert 0 < same.sum() < same.size
    zoned.eval()
    _, new = zoned(XS[0], first)
    leaf = new.c if kind == "LSTM" else new
    mean = (plain.c.data + first.c.data) / 2 if kind == "LSTM" else (plain.data + first.data) / 2
    np.testing.assert_allclose(leaf.data, mean, atol=1e-6)


def test_zoneout_with_a_probability_for_each_leaf():
    cell = nn.Zoneout(nn.LSTMCell(4, 4), nn.LSTMState(h=0.0, c=0.999999), rng=0)
    _, state = nn.Unroll(cell)(XS)
    assert not state.c.data.any()
    with pytest.raises(ValueError, match=r"Zoneout: p must be in \[0, 1\)"):
        nn.Zoneout(nn.RNNCell(1, 1), 1.5)


@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_dropout_has_one_mask_for_a_whole_sequence(kind):
    cell = CELLS[kind]()
    layer = nn.Unroll(nn.RecurrentDropout(cell, 0.5, rng=0))
    y, (_, mask) = layer(XS)
    assert set(np.unique(mask.data)) == {0.0, 2.0}
    s, ys = cell.initial_state(3), []
    for x in XS:
        dropped = nn.LSTMState(s.h * mask, s.c) if kind == "LSTM" else s * mask
        y_t, s = cell(x, dropped)
        ys.append(y_t.data)
    assert np.array_equal(y.data, np.stack(ys))
    assert not np.array_equal(layer(XS)[1][1].data, mask.data)
    layer.eval()
    assert np.array_equal(layer(XS)[0].data, nn.Unroll(cell)(XS)[0].data)
    with pytest.raises(ValueError, match="one leaf 'q' in the state is needed; there are h"):
        nn.RecurrentDropout(cell, of="q")


@pytest.mark.parametrize("kind", CELLS)
def test_a_learned_initial_state_gets_the_gradient_of_all_rows(kind):
    layer = nn.Unroll(nn.LearnedInitialState(CELLS[kind]()))
    y, _ = layer(XS)
    y[0].sum().backward()
    cell = layer.cell
    names = [name for name, _ in layer.named_parameters() if name.endswith("_init")]
    assert names == (["cell.h_init", "cell.c_init"] if kind == "LSTM" else ["cell.h_init"])
    assert cell.h_init.shape == (4,)
    assert cell.h_init.grad.data.any()
    assert mg.gradcheck(lambda: layer(XS.astype(np.float64))[0], layer)
    vector, _ = layer(XS[:, 0])
    np.testing.assert_allclose(vector.data, y.data[:, 0], atol=1e-6)


def test_wrappers_nest_and_take_lengths():
    cell = nn.LearnedInitialState(nn.Zoneout(nn.Residual(nn.GRUCell(4, 4)), 0.1, rng=0))
    y, state = nn.Unroll(nn.RecurrentDropout(cell, 0.2, rng=1))(XS, lengths=[6, 3, 1])
    assert not y.data[3:, 1].any()
    assert y.shape == (6, 3, 4)
    assert state.mask.shape == (3, 4)
    with pytest.raises(TypeError, match="Residual: an nn.Cell is needed, found GRU"):
        nn.Residual(nn.GRU(4, 4))


def test_a_stack_has_a_learned_state_for_each_layer():
    cell = nn.LearnedInitialState(nn.Stacked([nn.GRUCell(4, 3), nn.LSTMCell(3, 2)]))
    assert [name for name, _ in cell.named_parameters()][-3:] == ["h_init", "h_init_2", "c_init"]
    assert nn.check_cell(cell).ok
    y, _ = nn.Unroll(cell)(XS)
    y.sum().backward()
    assert all(p.grad is not None for p in cell.parameters())


def test_a_given_state_draws_no_random_numbers():
    cell = nn.RecurrentDropout(nn.LSTMCell(3, 4), p=0.5, rng=0)
    state = cell.initial_state(2)
    before = cell.rng.bit_generator.state
    cell(np.ones((2, 3)), state)
    assert cell.rng.bit_generator.state == before
    with pytest.raises(ValueError, match=r"state.mask \(2, 4\) is needed, found \(2, 5\)"):
        cell(np.ones((2, 3)), (state.h, np.ones((2, 5))))
