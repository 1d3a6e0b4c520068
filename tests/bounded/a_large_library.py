"""Takes as much address space as a library of documents does, or more."""

import mmap

TAKEN = mmap.mmap(-1, 400 * 2**20)
