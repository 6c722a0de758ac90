"""What is said about vanishing, exploding, gates and cures is true: see `tests/claims.py`."""

from __future__ import annotations

import pytest

from tests import claims


@pytest.fixture(scope="module")
def rows() -> dict[str, claims.Row]:
    return {row.sentence: row for row in claims.table()}


@pytest.mark.parametrize("sentence", [claim.sentence for claim in claims.CLAIMS])
def test_every_claim_holds_in_every_run(rows: dict[str, claims.Row], sentence: str) -> None:
    row = rows[sentence]
    assert row.runs >= len(claims.SEEDS)
    assert row.failing == []
