"""Compiles the speed-ups when a wheel or an editable installation is made. Without a C compiler there are none."""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SpeedupsHook(BuildHookInterface):  # type: ignore[type-arg] # its configuration has no fields here
    """Compiles the C of `speedups/` to one `libspeedups.so`, beside it, with $CC (or cc), $CFLAGS and $LDFLAGS."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        if self.target_name != "wheel":
            return
        folder = Path(self.root, "src/randstream/speedups")
        sources = sorted(folder.glob("*.c"))
        library = folder / "libspeedups.so"
        unfinished = library.with_suffix(".tmp")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        # No a * b + c with a single rounding, which makes other numbers; sqrt as an instruction, which sets no errno.
        flags = shlex.split("-std=c11 -O3 -Wall -Wextra -ffp-contract=off -fno-math-errno -shared -fPIC -o")
        ours = [shlex.split(os.environ.get(name, "")) for name in ("CFLAGS", "LDFLAGS")]
        try:
            subprocess.run([*compiler, *ours[0], *flags, unfinished, *sources, *ours[1]], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            self.app.display_warning(f"no speed-ups; all works without them, numbers at half the speed: {error}")
            return
        unfinished.replace(library)
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["pure_python"] = False
