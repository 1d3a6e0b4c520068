"""Stub files of the package and its alias modules, made of the same table; `python -m tests.face.stubs` writes them."""

from pathlib import Path

import worker
from worker.aliases import MODULES, TYPES, WHERE

ROOT = Path(worker.__file__).parent


def files() -> dict[Path, str]:
    """What each stub file holds."""
    found = {_path(module): _text(names) for module, names in MODULES.items()}
    return {ROOT / "__init__.pyi": _listed(tuple(WHERE)), ROOT / "types.pyi": _listed(TYPES), **found}


def _path(module: str) -> Path:
    parts = module.split(".")
    is_package = any(other.startswith(f"{module}.") for other in MODULES)
    return ROOT.joinpath(*parts, "__init__.pyi") if is_package else ROOT.joinpath(*parts).with_suffix(".pyi")


def _text(names: tuple[str, ...]) -> str:
    lines = [
        f"from {WHERE[name]} import {name} as {name}" for name in sorted(names, key=lambda each: (WHERE[each], each))
    ]
    return "".join(f"{line}\n" for line in lines)


def _listed(names: tuple[str, ...]) -> str:
    in_ruffs_order = sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    listed = "".join(f'    "{name}",\n' for name in in_ruffs_order)
    return f"{_text(names)}\n__all__ = [\n{listed}]\n"


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
