"""``python -m racelint``."""

import os
import sys


def forget_current_folder() -> None:
    """Import nothing from the current folder: ``python -m`` would do so first, and that folder is often the project."""
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.path and sys.path[0] not in (own, "") and not os.path.isfile(sys.path[0]):
        if os.path.exists(".") and os.path.samefile(sys.path[0], "."):
            del sys.path[0]


forget_current_folder()

from racelint.cli import main  # noqa: E402

main(prog_name="racelint")
