"""The mean of a stored stream, read in four ways.

python examples/read_store/read.py STORE
"""

from __future__ import annotations

import fileinput
import subprocess
import sys
from pathlib import Path

import numpy as np

from randstream import read_store
from randstream.errors import RandstreamError

AWK = '!/^#/ { sum += $1; count++ } END { printf "%.6f\\n", sum / count }'


def main(store: Path) -> None:
    """Print the mean of the only stream in `store`, read in four ways."""
    numbers = read_store(store)
    if not len(numbers):
        sys.exit(f"{store} holds no number yet")
    print(f"randstream {numbers.mean():.6f}")
    segments = sorted(store.rglob("*.numbers"))
    with fileinput.input(segments) as lines:
        print(f"numpy      {np.loadtxt(lines).mean():.6f}")
    try:
        import pandas as pd
    except ImportError:
        print("pandas     not installed")
    else:
        frames = [pd.read_csv(segment, comment="#", header=None, names=["number"]) for segment in segments]
        print(f"pandas     {pd.concat(frames)['number'].mean():.6f}")
    awk = subprocess.run(["awk", AWK, *segments], capture_output=True, text=True, check=True)
    print(f"awk        {awk.stdout.strip()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the folder of a store: read.py STORE")
    try:
        main(Path(sys.argv[1]))
    except (RandstreamError, OSError) as error:
        sys.exit(str(error))
