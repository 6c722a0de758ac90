"""Numbers as one line of bars, for terminals."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Bars between the least and the largest value; a blank for 0, ! where not finite.

    On a logarithmic scale, unless a value is negative.  Of more than `width` values each bar shows
    the largest of a group.

    >>> sparkline([1, 10, 100, 1000])
    '▁▃▆█'
    """
    group = -(-len(values) // width)
    groups = [values[k : k + group] for k in range(0, len(values), group)] if group else []
    tops = [max(part, key=lambda v: math.inf if math.isnan(v) else v) for part in groups]
    linear = any(v < 0 for v in tops)
    finite = [v for v in tops if math.isfinite(v)]
    heights = finite if linear else [math.log(v) for v in finite if v]
    low = min(heights, default=0.0)
    span = max(heights, default=0.0) - low

    def bar(v: float) -> str:
        if not math.isfinite(v):
            return "!"
        if v == 0 and not linear:
            return " "
        height = v if linear else math.log(v)
        return BARS[round((height - low) / span * 7) if span > 1e-9 else 3]

    return "".join(map(bar, tops))
