"""Run: the check in its pod. Then prints the report's files, each below a mark: the log is all that outlives a pod."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

MARK = "=== "
FILES = {"--report": "check.json", "--junit": "check.xml"}
FOLDER = Path("/report")

command = [sys.executable, "-P", "-m", "randstream", "check"]
command += [f"{option}={FOLDER / name}" for option, name in FILES.items()]
os.environ["PATH"] += ":/check"  # outside is there
check = subprocess.Popen([*command, *sys.argv[1:]], stderr=subprocess.STDOUT)
signal.signal(signal.SIGTERM, lambda *_: check.terminate())
status = check.wait()
for name in FILES.values():
    if (file := FOLDER / name).exists():
        print(f"{MARK}{name}\n{file.read_text(encoding='utf-8').rstrip()}")
sys.exit(status)
