"""The commands that set racelint up: a first configuration for a project, and completion for a shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import ShellComplete, get_completion_class

from racelint.cli.app import COMPLETE_VARIABLE, main
from racelint.cli.speak import Failure, shown, write

if TYPE_CHECKING:
    from racelint.starter import Detected

SHELLS = ("bash", "zsh", "fish")


@main.command()
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to set up [default: the nearest with a configuration or version control root].",
)
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
def init(project: Path | None, force: bool) -> None:
    """Write a commented configuration for a project.

    It names what racelint knows of what the project imports, and leaves out folders of generated or foreign code. It
    goes to the end of pyproject.toml where there is one, else into racelint.toml.
    """
    from racelint import config, discover, starter
    from racelint.fix.write import NotWritten

    if project is not None and not project.is_dir():
        raise click.UsageError(f"--project is not a folder: {shown(str(project))}")
    folder = project.resolve() if project is not None else config.find_project([], Path.cwd())
    detected = starter.detect(folder, discover.is_test)
    own, shared = folder / config.CONFIG_NAME, folder / config.PYPROJECT_NAME
    path = shared if shared.is_file() and not os.path.lexists(own) else own
    try:
        written = _write_shared(path, detected, force) if path is shared else _write_own(path, detected, force)
    except (NotWritten, starter.CannotExtend) as error:
        raise Failure(shown(f"{path.name}: {error}")) from None
    if not written:
        write(f"nothing to do: {shown(str(path))} says what would be written\n", None)
        return
    lines = [
        f"wrote {'[tool.racelint] to ' if path is shared else ''}{shown(str(path))}",
        *(f"knows {belief.name}: {belief.why}" for belief in detected.beliefs),
        *(f"leaves out {pattern}" for pattern in detected.exclude),
        "next: racelint entrypoints shows what runs concurrently, racelint check what can go wrong",
    ]
    write("".join(f"{line}\n" for line in lines), None)


def _write_own(path: Path, detected: Detected, force: bool) -> bool:
    """Write ``racelint.toml``; False when it is what would be written. Raises NotWritten."""
    from racelint import starter
    from racelint.fix import write as files

    new = starter.settings(detected).encode()
    if not os.path.lexists(path):
        files.create(path, path.name, new)
        return True
    old = _read(path)
    if old == new:
        return False
    if not force:
        raise files.NotWritten("is there already; --force replaces it")
    files.write_all([files.Change(path, path.name, old, new)], path.parent)
    return True


def _write_shared(path: Path, detected: Detected, force: bool) -> bool:
    """Write the section of ``pyproject.toml``; False when it is there as it would be written.

    Raises NotWritten and CannotExtend.
    """
    from racelint import starter
    from racelint.fix import write as files

    old = _read(path)
    added = starter.section(old, detected)
    base = old
    if starter.has_section(old):
        if old.endswith(added):
            return False
        if not force:
            raise files.NotWritten("has a [tool.racelint] section already; --force replaces it")
        base = starter.without_section(old)
    files.write_all([files.Change(path, path.name, old, starter.with_section(base, added))], path.parent)
    return True


def _read(path: Path) -> bytes:
    from racelint.files import SETTINGS_BYTES, read_regular
    from racelint.fix.write import NotWritten

    try:
        return read_regular(path, SETTINGS_BYTES)
    except OSError as error:
        raise NotWritten(f"cannot be read: {error.strerror or error}") from None


@main.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: racelint completion bash > ~/.local/share/bash-completion/completions/racelint
    zsh:  racelint completion zsh > ~/.zfunc/_racelint   (a folder on fpath)
    fish: racelint completion fish > ~/.config/fish/completions/racelint.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # all of SHELLS are known to click
    # The script is printed for the machine that will read it: that this one has an old bash, or none, is no reason.
    write(ShellComplete.source(kind(main, {}, "racelint", COMPLETE_VARIABLE)) + "\n", None)
