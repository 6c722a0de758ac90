"""The options of pictures: the lecture kit, and help that names each."""

from __future__ import annotations

import inspect
import re
import typing

import numpy as np
import pytest

import minigrad as mg
import nn
from minigrad import render
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
