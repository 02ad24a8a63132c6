"""``racelint cache``: what is kept from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from racelint.cli.app import main
from racelint.cli.scope import cache_dir_option, cache_folder, store
from racelint.cli.speak import Failure, shown, write

if TYPE_CHECKING:
    from racelint.cache import Store


@main.group()
def cache() -> None:
    """Show or remove what is kept from run to run: facts of files, what was found in projects, and fixes."""


@cache.command()
@cache_dir_option()
def info(cache_dir: Path | str | None) -> None:
    """Show where the cache is, and how much is in it."""
    kept = _store(cache_dir)
    from racelint.cache import LIMIT_BYTES, Cache

    use = kept.use()
    limit = f", at most {_megabytes(LIMIT_BYTES)}" if isinstance(kept, Cache) else ""
    write(f"{shown(kept.place)}\n{_amount(use.entries, use.size)}{limit}\n", None)


@cache.command()
@cache_dir_option()
def clean(cache_dir: Path | str | None) -> None:
    """Remove everything from the cache."""
    kept = _store(cache_dir)
    gone = kept.clean()
    if kept.use().entries:
        raise Failure(f"not all of {shown(kept.place)} could be removed")
    write(f"removed {_amount(gone.entries, gone.size)} from {shown(kept.place)}\n", None)


def _store(cache_dir: Path | str | None) -> Store:
    place = cache_folder(cache_dir)
    if place is None:
        raise click.UsageError("there is no folder for a cache; name one with --cache-dir")
    return store(place)


def _amount(entries: int, size: int) -> str:
    from racelint.report.text import plural

    return f"{plural(entries, 'file')}, {_megabytes(size)}"


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
