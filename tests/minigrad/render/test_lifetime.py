from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import minigrad as mg
import nn


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"backward": True},
        {"view": "affine", "fit": "slide"},
        {"view": "cells", "time": "both"},
        {"steps": "0:1", "backward": True},
    ],
    ids=str,
)
def test_a_drawn_graph_is_freed_with_its_last_user(options: dict[str, Any]) -> None:
    gc.collect()
    gc.disable()
    try:
        y, _ = nn.LSTM(3, 4, num_layers=2, bidirectional=True)(np.ones((4, 2, 3)))
        graph = mg.Graph((y**2).mean())
        watched = [weakref.ref(node) for node in graph.nodes]
        graph.to_dot(**options)
        del y, _, graph
        assert [ref() for ref in watched if ref() is not None] == []
    finally:
        gc.enable()
