"""Coverage-guided fuzzing: `python -m tests.fuzz SECONDS [TARGET...]`. What it finds is written to build/fuzz/.

Each target runs in a process of its own, from the corpus in this folder; what it learns is kept in build/fuzz/ as well.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
RESULTS = Path("build/fuzz")
MOST_BYTES = 4096


def fuzz(name: str, arguments: list[str]) -> None:
    """Run one target in this process, for ever or as libFuzzer's `arguments` say."""
    import atheris

    with atheris.instrument_imports(include=["randstream"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def run(name: str, *arguments: str) -> bool:
    """Run one target in a process; whether all was well. Tells how much it has tried, or what it found."""
    learned, found = RESULTS / name, RESULTS / "found"
    for folder in (learned, found):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", "target", name, f"-artifact_prefix={found}/{name}-"]
    done = subprocess.run([*command, f"-max_len={MOST_BYTES}", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"fuzz {name}: FAILED\n{done.stdout}{done.stderr}")
        return False
    runs = re.findall(r"number_of_executed_units: ([0-9]+)", done.stderr)
    print(f"fuzz {name}: {''.join(runs)} runs, nothing found", flush=True)
    return True


def main() -> int:
    """1 if a target found something."""
    first, *rest = sys.argv[1:]
    if first == "target":
        fuzz(rest[0], rest[1:])
        return 0
    names = rest or sorted(path.name for path in CORPUS.iterdir())
    limit = f"-max_total_time={max(1, round(float(first) / len(names)))}"
    found = [
        name for name in names if not run(name, limit, "-print_final_stats=1", str(RESULTS / name), str(CORPUS / name))
    ]
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
