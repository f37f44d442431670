"""Count the points within the unit circle among the first POINTS points of standard input; write the count to FILE.

simulate.py POINTS FILE
"""

import sys
from itertools import islice
from pathlib import Path

points, file = int(sys.argv[1]), Path(sys.argv[2])
numbers = (float(line) for line in islice(sys.stdin, 2 * points))
hits = sum(x * x + y * y <= 1.0 for x, y in zip(numbers, numbers, strict=True))
unfinished = file.with_suffix(".part")
unfinished.write_text(f"{hits}\n")
unfinished.rename(file)  # the file appears only once it holds the count
for _ in sys.stdin:
    pass  # the stream is endless, and the rest is not needed
