"""The dynamic symbols of a shared library, read from its file: loading XSched's shim to ask it
would put it to work. 64-bit little-endian ELF, by its specification (gabi, chapters 4 and 5)."""

import struct
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"
#: e_shoff, then after what does not matter e_shentsize and e_shnum.
HEADER = struct.Struct("<40xQ10xHH")
#: sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, and three more
SECTION = struct.Struct("<IIQQQQIIQQ")
#: st_name, st_info, st_other, st_shndx, st_value, st_size
SYMBOL = struct.Struct("<IBBHQQ")
SHT_DYNSYM, SHN_UNDEF = 11, 0


@dataclass(frozen=True)
class Symbols:
    """Names, without their versions."""

    exported: frozenset[str]
    needed: frozenset[str]


def symbols(path: Path) -> Symbols:
    """Raises ValueError for a file that is no such library, OSError for one that cannot be read."""
    # Mapped, for PyTorch's are of gigabytes.
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        if data[: len(MAGIC)] != MAGIC:
            raise ValueError(f"{path} is no 64-bit library")
        try:
            return _read(data)
        except (struct.error, IndexError) as error:
            raise ValueError(f"{path} is cut off: {error}") from error


def _read(data: mmap) -> Symbols:
    at, size, number = HEADER.unpack_from(data)
    sections = [SECTION.unpack_from(data, at + size * index) for index in range(number)]
    exported: set[str] = set()
    needed: set[str] = set()
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != SHT_DYNSYM:
            continue
        names = sections[link][4]
        for name, _, _, section, _, _ in SYMBOL.iter_unpack(data[offset : offset + length]):
            begin = names + name
            word = data[begin : data.find(b"\0", begin)].decode(errors="replace")
            (needed if section == SHN_UNDEF else exported).add(word)
    return Symbols(frozenset(exported), frozenset(needed))
