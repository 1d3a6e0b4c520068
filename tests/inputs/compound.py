"""OLE files, as [MS-CFB] has them: what Outlook's messages are, and old office documents."""

import struct
from dataclasses import dataclass, field
from typing import Union

Tree = dict[str, Union[bytes, "Tree"]]
"""Names, and the streams or the storages that have them."""

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT, _NOWHERE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
_STORAGE, _STREAM, _ROOT = 1, 2, 5


@dataclass
class _Entry:
    name: str
    kind: int
    start: int = 0
    size: int = 0
    child: int = _NOWHERE
    right: int = _NOWHERE

    def packed(self) -> bytes:
        name = self.name.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<BBIII", self.kind, 1, _NOWHERE, self.right, self.child)
        return (
            name.ljust(64, b"\0")
            + struct.pack("<H", len(name))
            + links
            + bytes(36)
            + struct.pack("<IQ", self.start, self.size)
        )


@dataclass
class _Writer:
    sectors: list[bytes] = field(default_factory=list[bytes])
    chains: list[int] = field(default_factory=list[int])
    mini: bytes = b""
    mini_chains: list[int] = field(default_factory=list[int])
    entries: list[_Entry] = field(default_factory=list[_Entry])

    def put(self, content: bytes) -> int:
        count, start = -(-len(content) // _SECTOR), len(self.sectors)
        self.sectors += [content[at * _SECTOR :][:_SECTOR].ljust(_SECTOR, b"\0") for at in range(count)]
        self.chains += [*range(start + 1, start + count), _END] if count else []
        return start if count else _END

    def put_stream(self, content: bytes) -> int:
        if len(content) >= _CUTOFF:
            return self.put(content)
        count, start = -(-len(content) // _MINI), len(self.mini_chains)
        self.mini += content.ljust(count * _MINI, b"\0")
        self.mini_chains += [*range(start + 1, start + count), _END] if count else []
        return start if count else _END

    def add(self, tree: Tree) -> int:
        """Add what is in a storage; returns the first of it."""
        following = _NOWHERE
        for name, held in sorted(tree.items(), key=lambda item: (len(item[0]), item[0].upper()), reverse=True):
            if isinstance(held, bytes):
                entry = _Entry(name, _STREAM, self.put_stream(held), len(held), right=following)
            else:
                entry = _Entry(name, _STORAGE, child=self.add(held), right=following)
            self.entries.append(entry)
            following = len(self.entries) - 1
        return following


def compound(tree: Tree) -> bytes:
    """Write an OLE file."""
    writer = _Writer()
    root = _Entry("Root Entry", _ROOT)
    writer.entries.append(root)
    root.child = writer.add(tree)
    root.start, root.size = writer.put(writer.mini), len(writer.mini)
    chains = struct.pack(f"<{len(writer.mini_chains)}I", *writer.mini_chains)
    mini_fat = writer.put(chains.ljust(-(-len(chains) // _SECTOR) * _SECTOR, b"\xff"))
    packed = b"".join(each.packed() for each in writer.entries)
    directory = writer.put(packed.ljust(-(-len(packed) // _SECTOR) * _SECTOR, b"\0"))
    used = len(writer.chains)
    count = next(each for each in range(1, 100) if each * 128 >= used + each)
    fat = [*writer.chains, *[_FAT] * count]
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(count * _SECTOR, b"\xff")
    places = [*range(used, used + count)]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIII", 0, count, directory, 0, _CUTOFF)
    header += struct.pack("<IIII", mini_fat, len(chains) // _SECTOR + 1, _END, 0)
    header += struct.pack("<109I", *places, *[_FREE] * (109 - count))
    return header + b"".join(writer.sectors) + table
