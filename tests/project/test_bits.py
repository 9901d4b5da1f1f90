"""The same bits on every machine: x86-64 wrote them down, and others must find them again."""

from __future__ import annotations

import json

import pytest
from golden_bits import PATH, hash_models, hash_searches

GOLDEN = json.loads(PATH.read_text(encoding="utf-8"))


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["blocked", "brute", "flat", "sklearn"])
def test_a_search_has_the_bits_of_every_machine(engine):
    found = hash_searches(engine)
    assert found == {name: GOLDEN[name] for name in found}


@pytest.mark.medium
def test_scores_and_predictions_have_the_bits_of_every_machine():
    found = hash_models()
    assert found == {name: GOLDEN[name] for name in found}
    assert len(found) + len(hash_searches("brute")) == len(GOLDEN)
