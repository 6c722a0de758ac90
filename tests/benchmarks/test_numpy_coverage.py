"""No call pattern of NumPy is differentiated wrongly or drops out of the graph unnoticed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from benchmarks.numpy_coverage import FAMILIES, judge

HAS_NO_RULE = {"np.i0(x)"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_pattern_is_correct_or_refused(family):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        verdicts = {text: judge(text, "minigrad") for text in FAMILIES[family]}
    refused = set(FAMILIES[family]) if family == "has to refuse" else HAS_NO_RULE
    assert {text for text, verdict in verdicts.items() if verdict == "wrong"} == set()
    assert {text for text, verdict in verdicts.items() if verdict == "refused"} == refused & set(
        FAMILIES[family]
    )
