"""Check the locked requirements against known vulnerabilities: `python requirements/audit.py`.

pip-audit asks the package registry itself, which serves what is known of each version. Where it cannot be reached, or
serves no such data, the check is skipped and says so: exit code 0. A known vulnerability: exit code 1.
"""

# ruff: noqa: INP001, D103 (a program of one file, not a package with a reader outside: its names say what they do)

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, NoReturn

LOCKS = Path(__file__).resolve().parent
AUDITOR = "pip-audit==2.10.1"
AUDITED = ("deploy.txt", "dev.txt", "demo.txt")  # core.txt is part of each
SECONDS = 600  # for the installation, and for each lock


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        auditor = installed(Path(folder))
        found = [problem for lock in AUDITED for problem in audited(auditor, LOCKS / lock)]
    if found:
        raise SystemExit("Known vulnerabilities:\n" + "\n".join(dict.fromkeys(found)))
    print("No known vulnerability in the locks.")  # noqa: T201 - what it was asked


def installed(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-I", "-m", "pip", "install", "-qq", "--no-input", AUDITOR]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603 - ours
    if done.returncode:
        skip(f"{AUDITOR} cannot be installed: {last_line(done.stderr)}")
    return folder / "bin" / "pip-audit"


def audited(auditor: Path, lock: Path) -> list[str]:
    """What is known against the packages of a lock."""
    options = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    command = [auditor, "--requirement", lock, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603 - ours
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        skip(f"the registry cannot be asked: {last_line(done.stderr)}")
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if len(unknown) == len(packages):
        skip("the registry serves no data on vulnerabilities")
    if unknown:
        print(f"{lock.name}: nothing is known of {', '.join(unknown)}", file=sys.stderr)  # noqa: T201 - what it was asked
    return [
        f"{each['name']} {each['version']}: {known['id']}, fixed in {', '.join(known['fix_versions']) or 'no version'}"
        for each in packages
        for known in each.get("vulns", ())
    ]


def skip(reason: str) -> NoReturn:
    print(f"The audit is skipped: {reason}.")  # noqa: T201 - what it was asked
    raise SystemExit(0)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason was given"])[-1][:300]


if __name__ == "__main__":
    main()
