"""Objects show themselves in one line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from energyknn._shared.showing import in_one_line, show_parts


@in_one_line
class Pair(NamedTuple):
    one: Any
    other: Any = 1


@in_one_line
@dataclass(frozen=True)
class Record:
    one: Any
    hidden: Any = field(default=None, repr=False)


CASES = {
    "a number": (0.5, "0.5"),
    "a short tuple": (("a", 1), "('a', 1)"),
    "an array": (np.zeros((5, 2)), "<5 x 2 float64>"),
    "a frame": (pd.DataFrame({"a": [1, 2]}), "<2 x 1 DataFrame>"),
    "a number of NumPy": (np.float64(2.5), "np.float64(2.5)"),
    "a long text": ("x" * 500, f"'{'x' * 57}...'"),
    "a long list": (list(range(900)), "<900 items>"),
    "arrays by name": ({"a": np.zeros(3)}, "<1 item>"),
    "nothing": (None, "None"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_value_is_shown_short(case):
    value, text = CASES[case]
    assert repr(Pair(value)) == f"Pair(one={text}, other=1)"
    assert repr(Record(value)) == f"Record(one={text})"


def test_what_takes_lines_of_its_own_is_named():
    class Tall:
        def __repr__(self):
            return "a\nb"

    assert repr(Record(Tall())) == "Record(one=<Tall>)"
    assert repr(Record([Tall()])) == "Record(one=<1 item>)"


def test_a_line_has_at_most_200_characters():
    line = show_parts("Many", {f"name_{number}": "x" * 90 for number in range(40)})
    assert len(line) <= 200
    assert line.endswith("...)")
