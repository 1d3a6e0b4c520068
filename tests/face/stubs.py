"""Stub files of the alias modules, made of the same table; `python -m tests.face.stubs` writes them."""

from pathlib import Path

import worker
from worker.aliases import MODULES, WHERE

ROOT = Path(worker.__file__).parent


def files() -> dict[Path, str]:
    """What each stub file holds."""
    return {_path(module): _text(names) for module, names in MODULES.items()}


def _path(module: str) -> Path:
    parts = module.split(".")
    is_package = any(other.startswith(f"{module}.") for other in MODULES)
    return ROOT.joinpath(*parts, "__init__.pyi") if is_package else ROOT.joinpath(*parts).with_suffix(".pyi")


def _text(names: tuple[str, ...]) -> str:
    lines = [
        f"from {WHERE[name]} import {name} as {name}" for name in sorted(names, key=lambda each: (WHERE[each], each))
    ]
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
