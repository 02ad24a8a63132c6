"""Whether changed modules of a release can still be imported: the release is installed, unlike anywhere else here."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from racelint.fix.write import Change

# Seconds an import may take.
PATIENCE = 120


def still_import(package: str, version: str, changes: Iterable[Change], folder: Path) -> bool | None:
    """Whether every changed module imports as it did before; None where the release cannot be installed and imported.

    ``folder`` keeps the environment for the next time.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--only-binary", ":all:", f"{package}=={version}"]
        if subprocess.run(install, capture_output=True).returncode:
            # Pure packages of old times have no wheel.
            install = [*install[:5], "setuptools<81", "wheel", f"{package}=={version}"]
            subprocess.run(install, capture_output=True)
    where = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], capture_output=True, text=True
    )
    packages = Path(where.stdout.strip())
    answers = {answer for change in changes if (answer := _imports(python, packages, change)) is not None}
    return False if False in answers else True if answers else None


def _imports(python: Path, packages: Path, change: Change) -> bool | None:
    relative = change.display.removeprefix("src/")
    target = packages / relative
    module = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if not target.exists() or not _loads(python, module):
        return None
    kept = target.with_suffix(".kept")
    shutil.copy2(target, kept)
    try:
        target.write_bytes(change.new)
        return _loads(python, module)
    finally:
        kept.replace(target)


def _loads(python: Path, module: str) -> bool:
    command = [str(python), "-B", "-c", f"import importlib; importlib.import_module({module!r})"]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE).returncode == 0
