"""The options of pictures: the lecture kit, and help that names each."""

from __future__ import annotations

import inspect
import math
import re
import typing

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
from minigrad.render import look
from minigrad.render.options import Options, PictureOptions


def scalars() -> mg.Graph:
    a, b = (mg.tensor(v, requires_grad=True, name=n) for v, n in ((2.0, "a"), (-3.0, "b")))
    return mg.Graph(np.tanh(a * b + 5.0))


def test_every_option_is_typed_checked_and_named_by_help():
    names = set(typing.get_type_hints(PictureOptions))
    assert names == set(vars(Options()))
    names.remove("lang")  # of pages only
    for method in (mg.Graph.to_dot, mg.Graph.render, render.to_dot):
        assert all(re.search(rf"\b{name}\b", inspect.getdoc(method)) for name in names)
        assert "PictureOptions" in str(inspect.signature(method))


def test_a_title_stands_over_the_picture(drawing, network):
    assert 'label="A <title> &amp; more"' in network("rnn").to_dot(title="A <title> & more").source
    source = network("rnn").to_dot(title="A <title> & more", backward=True).source
    assert 'label="A <title> &amp; more"' in source
    assert "log scale" in source


def test_a_legend_names_the_kinds_that_are_there(drawing, network):
    source = network("lstm").to_dot(legend=True).source
    for words in ("input", "product", "nonlinearity", "memory", "loss, output"):
        assert f'label="{words}"' in source
    assert 'label="cell"' not in source
    assert drawing(source).overlaps() == []


def legend_of(source):
    """The words of a legend with the fill, the border and the text of their sample."""
    words = re.findall(r'cluster_legend_text(\d+) .*? label="([^"]*)"', source)
    samples = dict(re.findall(r"\tlegend(\d+) \[(.*)\]", source))
    return {text: samples[k] for k, text in words}


def test_the_legend_of_a_backward_picture_tells_dashes_pale_colours_and_numbers(drawing, network):
    source = network("lstm").to_dot(legend=True, backward=True).source
    found = legend_of(source)
    assert {"state", "memory", "input", "loss, output", "operation, initial state, constant"} <= {
        *found
    }
    assert not {"product", "nonlinearity"} & {*found}  # their colours are not there
    pale = found.pop("no gradient reaches it")
    assert 'fillcolor="#F5F6F7"' in pale
    assert all('fillcolor="#FFFFFF"' in sample for sample in found.values())
    assert "dashed" in found["gradient 0"]  # W_hh of step 0, where h is zero
    assert re.search(r"label=.*\d", found["share of this step"])
    assert drawing(source).overlaps() == []


def test_a_legend_tells_only_what_is_there():
    a, b = (mg.tensor(x, requires_grad=True, name=name) for name, x in (("a", 2.0), ("b", 3.0)))
    found = legend_of(
        mg.Graph(np.tanh(a * b)).to_dot(legend=True, backward=True, values=True).source
    )
    assert not {"gradient 0", "no gradient reaches it", "share of this use"} & {*found}
    assert re.search(r'label="[ab] = [23] \| ', found["value | gradient"])
    assert "share of this use" in legend_of(
        mg.Graph(a * b).to_dot(legend=True, backward=True).source
    )


def test_the_number_on_a_tap_is_the_joint_norm_of_its_shares_and_has_a_name(drawing):
    w, b = (mg.tensor(x, requires_grad=True, name=name) for name, x in (("w", 0.5), ("b", 0.1)))
    h = h_init = 1.0
    for t in range(2):
        with mg.time_step(t):
            h = np.tanh(h * w + b)
    graph = mg.Graph(h)
    source = graph.to_dot(view="cells", backward=True, legend=True).source
    taps = re.findall(r'-> weights .* label="(.*?)" .*tooltip="(.*?)"', source)
    h_0 = np.tanh(0.5 * h_init + 0.1)
    late = 1 - h.data**2  # what comes to the sum in step 1
    early = late * 0.5 * (1 - h_0**2)
    shares = [math.hypot(early * h_init, early), math.hypot(late * h_0, late)]
    assert [text for text, _ in taps] == [f"∂θ {share:.2g}" for share in shares]
    assert all(tip.startswith("∂θ: shares of all parameters of this cell") for _, tip in taps)
    assert "shares of all parameters of this cell" in legend_of(source)
    assert drawing(source).overlaps() == []
    forward = graph.to_dot(view="cells", legend=True).source
    assert "∂θ" not in forward
    assert "share" not in forward


def test_the_number_on_a_tap_has_room():
    W = mg.tensor(np.eye(2) * 1e-20, requires_grad=True, name="W")
    x, h = mg.tensor(np.ones((1, 2))), None
    for t in range(3):
        with mg.time_step(t):
            h = np.tanh(x @ W if h is None else x + h @ W)
    source = mg.Graph(h.sum()).to_dot(view="cells", backward=True).source
    left = float(re.search(r'bb="(.*?),', source)[1])
    places = re.findall(r'-> weights .*lp="(.*?),.* label="(∂θ .*?)"', source)
    ends = [
        (float(x) - (half := look.text_width(text, 11) / 2), float(x) + half) for x, text in places
    ]
    assert len(ends) == 3
    assert ends[0][0] >= left
    assert all(ends[k][1] < ends[k + 1][0] for k in range(2))


def test_the_note_of_cells_that_differ_tells_the_least_and_the_most(monkeypatch):
    h, w = np.ones(2), mg.tensor(0.5, requires_grad=True, name="w")
    for t in range(3):
        with mg.time_step(t):
            h = w * h
            for _ in range(t):
                h = np.tanh(h) + 1.0
    graph = mg.Graph(h.sum())
    assert "cell: 1 to 5 operations" in graph.to_dot(view="cells").source
    both = graph.to_dot(view="cells", time="both").source
    assert len(re.findall("cell: ", both)) == 1
    monkeypatch.setenv("MINIGRAD_LANG", "vi")
    assert "cell: 1 đến 5 phép tính" in graph.to_dot(view="cells").source


def test_labels_give_other_names(drawing, network):
    source = (
        network("lstm")
        .to_dot(view="cells", backward=True, labels={"h": "H", "x": "X", "l0.W_hh": "U"})
        .source
    )
    labels = {node.label for node in drawing(source).nodes.values()}
    assert {"X₀", "X₁", "X₂"} <= labels
    assert "‖∂L/∂H₁‖" in source
    assert "‖∂L/∂U‖" in source
    assert "∂h" not in source


def test_values_are_data_and_gradient_of_numbers_shape_and_mean_of_arrays(drawing, network):
    graph = scalars()
    source = graph.to_dot(values=True, backward=True).source
    a, b = (graph.parameters[name] for name in "ab")
    da, db = mg.grad(graph.outputs[0], [a, b])
    labels = {node.label for node in drawing(source).nodes.values()}
    assert f"a = 2 | {da.item():.4g}" in labels
    assert f"b = -3 | {db.item():.4g}" in labels
    assert any(label.startswith("×\n-6 | ") for label in labels)
    shapes = network("rnn").to_dot(values=True).source
    assert re.search(r"tanh\\n2×4 mean -?[\d.]+", shapes)


def test_blocks_are_modules_and_one_of_them_can_be_opened(drawing):
    class Cell(nn.Cell):
        """h = φ(attention(x)) of two modules."""

        def __init__(self):
            self.state_size = 4
            self.encode, self.mix = nn.Linear(3, 4), nn.Linear(4, 4)

        def forward(self, x, h):
            h = np.tanh(self.encode(x) + self.mix(h))
            return h, h

    ys, _ = nn.Unroll(Cell())(np.ones((3, 2, 3)))
    graph = mg.Graph((ys[-1] ** 2).mean())

    def labels(**options):
        source = graph.to_dot(view="blocks", **options).source
        return [node.label.split("\n")[0] for node in drawing(source).nodes.values()]

    assert labels().count("encode") == labels().count("mix") == 3
    assert labels(blocks="mix").count("encode") == 3
    assert labels(blocks="mix").count("mix") == 0


def test_a_picture_in_a_notebook_is_as_wide_as_its_cell(network):
    svg = network("lstm")._repr_mimebundle_()["image/svg+xml"]
    assert re.search(r'<svg style="max-width: [\d.]+pt; height: auto" width="100%"\s+viewBox=', svg)


def test_a_pdf_has_no_margin(network, tmp_path):
    path = tmp_path / "picture.pdf"
    graph = network("rnn")
    graph.render(path)
    page = re.search(rb"/MediaBox \[ 0 0 (\S+) (\S+) \]", path.read_bytes())
    bb = re.search(r' bb="([^"]*)"', graph.to_dot().source)[1]
    left, bottom, right, top = map(float, bb.split(","))
    assert float(page[1]) - (right - left) == pytest.approx(17.28, abs=1)
    assert float(page[2]) - (top - bottom) == pytest.approx(17.28, abs=1)


def test_none_is_the_default_of_every_option(network):
    graph = network("rnn")
    asked = dict.fromkeys(vars(Options()))
    assert graph.to_dot(**asked).source == graph.to_dot().source


@pytest.mark.parametrize(
    "options", [{"title": 3}, {"labels": {"h": 1}}, {"labels": 3}, {"blocks": 1}, {"legend": "yes"}]
)
def test_a_wrong_value_names_its_option(network, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}: .* is needed"):
        network("rnn").to_dot(**options)
