"""Looks each package of the given locks up in the advisory database: `make audit`. Exit status 1: one is vulnerable.

Where the database cannot be reached, or does not know a package, that is said by name: nobody shall take it for good.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "ProxyError")
LIMIT_SECONDS = 300


def main() -> int:
    """Audit, tell; 1 if anything is vulnerable or the audit itself fails."""
    command = [Path(sys.executable).with_name("pip-audit"), "--disable-pip", "--require-hashes", "--format", "json"]
    locks = [word for lock in sys.argv[1:] for word in ("--requirement", lock)]
    try:
        done = subprocess.run(
            [*command, "--progress-spinner", "off", *locks],
            capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print("SKIPPED: pip-audit: the advisory database does not answer in time")
        return 0
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if any(sign in done.stderr for sign in UNREACHABLE):
            print("SKIPPED: pip-audit: the advisory database cannot be reached")
            return 0
        print(done.stderr, file=sys.stderr)
        return 1
    unknown = sorted({each["name"] for each in packages if "skip_reason" in each})
    if unknown:
        print(f"SKIPPED: pip-audit: the advisory database that is reached does not know {', '.join(unknown)}")
    vulnerable = [each for each in packages if each.get("vulns")]
    for each in vulnerable:
        told = ", ".join(f"{v['id']} (fixed in {' or '.join(v['fix_versions']) or 'none'})" for v in each["vulns"])
        print(f"{each['name']} {each['version']}: {told}")
    print(f"pip-audit: {len(packages) - len(unknown)} packages looked up, {len(vulnerable)} vulnerable")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
