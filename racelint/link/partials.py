"""What calling a ``functools.partial`` calls in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from racelint.link.objects import Obj, Objs
from racelint.link.world import Cell


def unwrapped(partial: Obj, cell: Callable[[Cell], Objs]) -> Iterator[tuple[Obj, tuple[Obj, ...]]]:
    """The objects behind a partial that are none, each with the partials on the way to it, the outermost first.

    A partial may be made of another one, and, as far as the analysis can tell, of itself: ``self.f = partial(self.f)``.
    Each is looked into once. ``cell`` gives what may be in a cell.
    """
    seen = {partial}
    work: list[tuple[Obj, ...]] = [(partial,)]
    while work:
        way = work.pop()
        for inner in tuple(cell(("pf", way[-1].site))):
            if inner.kind != "partial":
                yield inner, way
            elif inner not in seen:
                seen.add(inner)
                work.append((*way, inner))
