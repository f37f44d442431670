"""What is fuzzed: a module for each target, with one function. It takes any bytes, and raises if something happens that
never may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.fuzz.targets.admin import fuzz_admin
from tests.fuzz.targets.border import fuzz_border
from tests.fuzz.targets.decoder import fuzz_decoder
from tests.fuzz.targets.dns import fuzz_dns
from tests.fuzz.targets.line import fuzz_line
from tests.fuzz.targets.receiver import fuzz_receiver
from tests.fuzz.targets.recovery import fuzz_recovery
from tests.fuzz.targets.settings import fuzz_settings

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "admin": fuzz_admin,
    "border": fuzz_border,
    "decoder": fuzz_decoder,
    "dns": fuzz_dns,
    "line": fuzz_line,
    "receiver": fuzz_receiver,
    "recovery": fuzz_recovery,
    "settings": fuzz_settings,
}
