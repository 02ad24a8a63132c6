"""``racelint cache``: what is kept from run to run."""

from __future__ import annotations

from pathlib import Path

import click

from racelint.cli.app import main
from racelint.cli.scope import cache_dir_option, cache_folder
from racelint.cli.speak import Failure, shown, write


@main.group()
def cache() -> None:
    """Show or remove what is kept from run to run: facts of files, what was found in projects, and fixes."""


@cache.command()
@cache_dir_option()
def info(cache_dir: Path | None) -> None:
    """Show where the cache is, and how much is in it."""
    folder = _folder(cache_dir)
    from racelint.cache import LIMIT_BYTES, Cache

    use = Cache(folder).use()
    write(f"{shown(str(folder))}\n{_amount(use.entries, use.size)}, at most {_megabytes(LIMIT_BYTES)}\n", None)


@cache.command()
@cache_dir_option()
def clean(cache_dir: Path | None) -> None:
    """Remove everything from the cache."""
    folder = _folder(cache_dir)
    from racelint.cache import Cache

    store = Cache(folder)
    gone = store.clean()
    if store.use().entries:
        raise Failure(f"not all of {shown(str(folder))} could be removed")
    write(f"removed {_amount(gone.entries, gone.size)} from {shown(str(folder))}\n", None)


def _folder(cache_dir: Path | None) -> Path:
    folder = cache_folder(cache_dir)
    if folder is None:
        raise click.UsageError("there is no folder for a cache; name one with --cache-dir")
    return folder


def _amount(entries: int, size: int) -> str:
    from racelint.report.text import plural

    return f"{plural(entries, 'file')}, {_megabytes(size)}"


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
