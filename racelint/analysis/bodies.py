"""Functions with what their parameters hold: what their events do there is asked once, however often they are walked.

A function is walked again and again: from other entry points, under other locks, after more has been started. Which
places its events touch, whom they call and with what depends on none of that, so a ``Body`` keeps it for all of these
walks (summaries of procedures: Sharir and Pnueli, "Two approaches to interprocedural data flow analysis", 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from racelint.analysis.arguments import Params
from racelint.analysis.effects import Touch
from racelint.analysis.locks import Lock
from racelint.link.call_sites import Event
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Bindings, Obj
from racelint.model import facts as f

# Locks with the region of the function that holds them; -1: a caller does.
Held: TypeAlias = tuple[tuple[Lock, int], ...]
NONE: frozenset[Event] = frozenset()
NOTHING: frozenset[Obj] = frozenset()


class Called(msgspec.Struct, eq=False):
    """A function ``fid`` that an event runs.

    ``doubt``: the steps to it that are not resolved exactly. ``target`` is it as it was found through ``callee``; with
    ``own`` its parameters hold ``params`` (the receiver of a property), else what the call gives them: they are bound
    when it is followed first. ``fresh``: they hold something that others may get to see meanwhile, ``captures``: its
    closure does. ``above``: it is a coroutine that is handed back, and runs if somebody further up awaits it;
    ``on_loop``: one that an event loop of this thread runs. ``walked``: the caller's locks where it runs, when it is a
    generator that is not walked at the call. ``regions`` are those that hold them.
    """

    target: Obj
    callee: Obj | None
    doubt: int
    bindings: Bindings
    params: Params | None = None
    fresh: bool = True
    captures: bool = False
    above: bool = False
    regions: tuple[int, ...] | None = None
    walked: Held | None = None
    on_loop: bool = False


class Step(msgspec.Struct, eq=False):
    """An event of a function. What nobody asked for yet is None.

    ``locks``: those of the regions around it, ``last``: of one that ends with it. ``around``: what earlier rounds of
    its loops may have started, ``gained``: what its callees start, ``ends``: what has ended after it. ``begun``: what
    is handed to something that begins here; with ``publishes`` others have it at once. ``shown``: objects that callees
    let others see; ``stores``: it may store fresh ones somewhere. ``needed``: walks look at it in any case.
    """

    index: int
    event: f.Event
    site: Event
    locks: Held
    last: Held
    around: frozenset[Event] = NONE
    begins: bool = False
    needed: bool = False
    publishes: bool = False
    ends: frozenset[Event] | None = None
    gained: frozenset[Event] | None = None
    shown: frozenset[Obj] = NOTHING
    begun: frozenset[Obj] | None = None
    stores: bool = True
    touches: tuple[Touch, ...] | None = None
    handed_out: tuple[Touch, ...] | None = None
    lets_go: tuple[Touch, ...] | None = None
    callees: tuple[Called, ...] | None = None

    @property
    def idle(self) -> bool:
        """Whether it turned out to do nothing that a walk has to know."""
        if self.needed or self.last or self.ends or self.gained or self.shown:
            return False
        event = self.event
        if type(event) is f.Access:
            return not (self.touches or self.stores or self.callees or self.lets_go)
        if type(event) is f.Call:
            return not (self.touches or self.callees)
        return type(event) is not f.Return or (self.handed_out == () and not self.lets_go)


class Body:
    """A function whose parameters hold certain objects; ``every`` gives its events that can be reached then."""

    __slots__ = ("_every", "_kept", "evaluator")

    def __init__(self, evaluator: Evaluator, every: Iterable[Step]) -> None:
        self.evaluator = evaluator
        self._every = every
        self._kept: tuple[Step, ...] | None = None

    def steps(self) -> Iterable[Step]:
        """What happens in it, in order; once all of it was seen, what does nothing is left out."""
        return self._all() if self._kept is None else self._kept

    def _all(self) -> Iterator[Step]:
        kept = []
        for step in self._every:
            yield step
            if not step.idle:
                kept.append(step)
        self._kept = tuple(kept)
        self._every = ()
