"""All hostile cases, in the order of what they are after."""

from __future__ import annotations

from typing import Final

from tests.sandbox.firing import breaking_out, escaping, exhausting, spoiling, stealing
from tests.sandbox.firing.case import Case

HOSTILE: Final[tuple[Case, ...]] = (
    *stealing.CASES,
    *breaking_out.CASES,
    *escaping.CASES,
    *spoiling.CASES,
    *exhausting.CASES,
)
