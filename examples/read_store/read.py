"""The mean of a stored stream, read in four ways.

python examples/read_store/read.py STORE/WORKER-STREAM
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from randstream import read_store

AWK = '!/^#/ { sum += $1; count++ } END { printf "%.6f\\n", sum / count }'


def main(folder: Path) -> None:
    """Print the mean of the stream in `folder`, read in each way."""
    segments = sorted(folder.glob("*.numbers"))
    print(f"randstream {read_store(folder).mean():.6f}")
    print(f"numpy      {np.concatenate([np.loadtxt(segment) for segment in segments]).mean():.6f}")
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
    main(Path(sys.argv[1]))
