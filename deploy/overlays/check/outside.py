#!/usr/bin/env python3
"""Outside: what runs outside of the check's pod, as seen in there: says when it may begin, and ends when it has."""

from __future__ import annotations

import sys
import time
from pathlib import Path

ENDED = Path("/report/ended")
"""The command's exit status, as soon as it has one."""

print("=== outside", flush=True)
while not (ENDED.exists() and (status := ENDED.read_text(encoding="ascii").strip())):
    time.sleep(0.05)
sys.exit(int(status))
