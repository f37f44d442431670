"""The numbers that every peer sends: the same stream, from the same fast encoder as randstream's own producer."""

from collections.abc import Iterator

from randstream import NumberStream

RUN = 16384


def batches(count: int) -> Iterator[bytes]:
    """The stream as text, `count` lines at a time, for ever."""
    stream = NumberStream("benchmark", "peer", "bits64")
    offset = 0
    while True:
        if count >= RUN:
            yield stream.lines(offset, count)
            offset += count
            continue
        run = stream.lines(offset, RUN // count * count)
        offset += RUN // count * count
        lines = run.splitlines(keepends=True)
        if count == 1:
            yield from lines
        else:
            yield from (b"".join(lines[first : first + count]) for first in range(0, len(lines), count))
