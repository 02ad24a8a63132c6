"""``python -m racelint``."""

from racelint.cli import main

main(prog_name="racelint")
