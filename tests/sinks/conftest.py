"""What the tests of sinks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.sinks.feeding import Pipe


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.reading.close()
    pipe.writing.close()
