from __future__ import annotations

import pytest

import libcors._middleware


@pytest.fixture(autouse=True)
def every_line_is_due() -> None:
    """What one test logged, the next may log again."""
    libcors._middleware._logged.clear()
