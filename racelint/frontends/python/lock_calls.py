"""Regions that calls open and close: ``lock.acquire()`` and ``lock.release()``, ``stack.enter_context(lock)``."""

from __future__ import annotations

from collections.abc import Sequence

from racelint.frontends.python.builder import Builder
from racelint.model import facts as f

# Explicit acquisition of something lock-like, and what ends it. Whether the receiver is a lock is decided at link time.
ACQUIRE = {
    "acquire": ("release",),
    "lock": ("unlock", "release"),
    "rlock": ("runlock", "unlock"),
    "wlock": ("wunlock", "unlock"),
    "acquire_read": ("release_read", "release"),
    "acquire_write": ("release_write", "release"),
    "acquire_read_lock": ("release_read_lock", "release_lock"),
    "acquire_write_lock": ("release_write_lock", "release_lock"),
    "acquire_lock": ("release_lock",),
    "r_acquire": ("r_release",),
    "w_acquire": ("w_release",),
    "__enter__": ("__exit__",),
}
RELEASE = {name for names in ACQUIRE.values() for name in names}
ENTER = {"enter_context", "enter_async_context"}


def open_or_close(b: Builder, func: int, args: Sequence[int], line: int) -> None:
    """Open or close a lock region when the call looks like one."""
    node = b.nodes[func]
    if node.__class__ is f.Global or node.__class__ is f.Imported:
        _function(b, func, node.name or "", line)
        return
    if node.__class__ is not f.Attr:
        return
    name = node.name
    base: int = node.base
    if name in ACQUIRE:
        b.regions.append(f.Region(base, "acquire", line, name, len(b.events) - 1, True))
        b.held = (*b.held, len(b.regions) - 1)
    elif name in RELEASE:
        text = _text(b, base)
        for region in reversed(b.held):
            entry = b.regions[region]
            if entry.how == "acquire" and name in ACQUIRE[entry.method] and _text(b, entry.lock) == text:
                _left(b, region, line)
                break
    elif name in ENTER and args:
        b.regions.append(f.Region(args[0], "enter", line, name, len(b.events) - 1, True))
        b.held = (*b.held, len(b.regions) - 1)


def _function(b: Builder, func: int, called: str, line: int) -> None:
    """The same for functions that have a lock of their module taken: ``_acquire()``, ``_release()``."""
    name = called.strip("_")
    if name in ACQUIRE:
        b.regions.append(f.Region(func, "acquire", line, name, len(b.events) - 1, True))
        b.held = (*b.held, len(b.regions) - 1)
    elif name in RELEASE:
        for region in reversed(b.held):
            entry = b.regions[region]
            function = b.nodes[entry.lock].__class__ in (f.Global, f.Imported)
            if entry.how == "acquire" and function and name in ACQUIRE[entry.method]:
                _left(b, region, line)
                break


def _left(b: Builder, region: int, line: int) -> None:
    entry = b.regions[region]
    b.held = tuple(r for r in b.held if r != region)
    b.regions[region] = f.Region(entry.lock, entry.how, entry.line, entry.method, entry.call, False, entry.is_async)
    b.events.append(f.Release(region, line, b.block, b.held_index()))


def _text(b: Builder, index: int) -> str:
    """A canonical text of an access path, to match ``release()`` with its ``acquire()``."""
    node = b.nodes[index]
    match node:
        case f.Attr(base, name):
            return f"{_text(b, base)}.{name}"
        case f.Item(base, key):
            return f"{_text(b, base)}[{_text(b, key)}]"
        case f.Param(name) | f.Global(name):
            return name
        case f.Const(text):
            return text
        case _:
            return f"#{index}"
