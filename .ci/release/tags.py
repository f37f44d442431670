"""Tags: whether a compiled library runs wherever its wheel's tag says that it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import lief

MACHINES = {"x86_64": "X86_64", "aarch64": "AARCH64", "arm64": "ARM64"}
"""What the headers of a library call the machine of a tag."""

STANDARD_C = {"memchr", "memcmp", "memcpy", "memmove", "memset"}
"""What the library may ask of a C library that does not tell its symbols' versions (musl): there ever since."""


RENAMED = {"GLIBC_ABI_DT_RELR": "GLIBC_2.36"}
"""What is asked of glibc by another name than a version's."""
OF_MACOS = {"/usr/lib/libSystem.B.dylib", "@rpath/libspeedups.so"}
"""What a library for macOS may name: the system's own, and itself."""


def tag_flaws(library: bytes, tag: str) -> Iterator[str]:
    """Why the library does not run everywhere that a platform `tag` names."""
    lief.logging.disable()
    parsed = lief.parse(list(library))
    found = re.fullmatch(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)", tag)
    if found is None or found[4] not in MACHINES:
        raise ValueError(f"nobody here knows what the tag {tag} promises")
    version = (int(found[2]), int(found[3]))
    if found[1] == "macosx":
        yield from _macho_flaws(parsed, version, found[4])
    else:
        yield from _elf_flaws(parsed, found[1], version, found[4])


def _elf_flaws(library: object, kind: str, version: tuple[int, int], machine: str) -> Iterator[str]:
    if not isinstance(library, lief.ELF.Binary) or library.header.machine_type.name != MACHINES[machine]:
        yield f"is no ELF library for {machine}"
        return
    libc = "libc.so.6" if kind == "manylinux" else "libc.so"
    for name in {str(each) for each in library.libraries} - {libc}:
        yield f"needs {name}, of which the tag says nothing"
    asked = [
        str(symbol.name) for each in library.symbols_version_requirement for symbol in each.get_auxiliary_symbols()
    ]
    for name in asked:
        found = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", RENAMED.get(name, name))
        if kind != "manylinux" or found is None or (int(found[1]), int(found[2])) > version:
            yield f"needs {name}, which is not in every {kind}_{version[0]}_{version[1]}"
    if not asked:
        for name in {str(symbol.name) for symbol in library.imported_symbols} - STANDARD_C:
            yield f"needs {name}, and nobody here knows since when musl has it"


def _macho_flaws(parsed: object, version: tuple[int, int], machine: str) -> Iterator[str]:
    library = parsed.at(0) if isinstance(parsed, lief.MachO.FatBinary) else parsed
    if not isinstance(library, lief.MachO.Binary) or library.header.cpu_type.name != MACHINES[machine]:
        yield f"is no Mach-O library for {machine}"
        return
    for name in {str(each.name) for each in library.libraries} - OF_MACOS:
        yield f"needs {name}, of which the tag says nothing"
    least = tuple(library.build_version.minos[:2]) if library.build_version else None
    if least is None or least > version:
        yield f"needs macOS {'.'.join(map(str, least or ('unknown',)))}"
