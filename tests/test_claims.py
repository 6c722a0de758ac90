"""What is said about vanishing, exploding, gates and cures is true: see `tests/claims.py`."""

from __future__ import annotations

import pytest

import demos
from tests import claims, sentences


@pytest.fixture(scope="module")
def rows() -> dict[str, claims.Row]:
    return {row.sentence: row for row in claims.table()}


@pytest.mark.parametrize("sentence", claims.SENTENCES)
def test_every_claim_holds_in_every_run(rows: dict[str, claims.Row], sentence: str) -> None:
    row = rows[sentence]
    assert row.runs >= len(claims.SEEDS)
    assert row.failing == []


def test_every_sentence_about_these_things_says_what_holds_it() -> None:
    told = [sentence for _, sentence in sentences.found()]
    assert [sentence for sentence in told if sentences.holder(sentence) is None] == []
    gone = [part for part in sentences.HOLDERS if not any(part in sentence for sentence in told)]
    assert gone == []


def test_what_holds_a_sentence_exists() -> None:
    others = {sentences.NAMES, sentences.PAGE, sentences.DEFINITION}
    assert set(sentences.HOLDERS.values()) <= {*claims.SENTENCES, *demos.NAMES, *others}


def test_a_new_sentence_is_found_in_both_languages() -> None:
    text = "A GRU never forgets.\n\n| GRU không bao giờ quên | x |\n\n```python\nforget()\n```\n"
    found = list(sentences.sentences(text))
    assert found == ["A GRU never forgets.", "| GRU không bao giờ quên | x |"]
    assert [sentences.holder(sentence) for sentence in found] == [None, None]
