"""What a call tells its callee: the objects each parameter holds this time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from racelint.analysis.branches import TRUTH, asked, names
from racelint.analysis.freshness import current
from racelint.link.evaluate import Evaluator
from racelint.link.objects import Obj
from racelint.link.texts import as_object, default_of, text_of
from racelint.link.world import World
from racelint.model import facts as f

# A parameter that may hold more objects than this is not told apart.
LIMIT = 4
KINDS = ("inst", "ext", "func", "bound", "class", "partial", "opaque")

# Parameter names with what they hold; a parameter that is known to hold nothing of interest has an empty tuple.
Params: TypeAlias = tuple[tuple[str, tuple[Obj, ...]], ...]
# The receiver of a wrapper that takes it as the first of ``*args``, and what follows, by position.
HIDDEN_SELF = "\0self"
HIDDEN = "\0{}"


class Arguments:
    """Binds arguments of calls to parameters."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._asked: dict[str, frozenset[str]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._defaults: dict[str, dict[str, tuple[Obj, ...]]] = {}

    def bind(self, callee: Obj, caller: Evaluator, call: f.Call, published: Collection[Obj] = ()) -> Params:
        """Parameters of a project function (or bound method) that hold something worth telling apart."""
        world = self.world
        info = world.symbols.functions[callee.name]
        facts = info.facts
        found = dict(self.receiver(callee, published))
        offset = len(found)
        given = self.handed(callee, call)
        for name, arg in given.items():
            objs = {current(world, obj, published): None for obj in caller.eval(arg) if obj.kind in KINDS}
            if 0 < len(objs) <= LIMIT:
                found[name] = tuple(sorted(objs, key=lambda obj: obj.uid)) if len(objs) > 1 else tuple(objs)
            elif not objs and name in self._names_of(callee.name) and (text := text_of(caller, arg)) is not None:
                found[name] = (as_object(world, text),)
            elif not objs and name[0] == HIDDEN[0]:
                found[name] = ()
            elif not objs:
                constant = self._constant(caller, arg)
                if constant is None:
                    constant = self._not_theirs(callee.name, name)
                if constant is not None and self._matters(callee.name, name):
                    found[name] = constant
        if any(name == "*" for name, _ in call.kwargs):
            others = info.signature.positional[len(call.args) + offset :]
            found.update(self._passed_on(callee.name, caller, call, others))
        elif not call.star:
            defaults = self._left_out(callee.name)
            found.update((name, objs) for name, objs in defaults.items() if name not in given and name not in found)
        if callee.kind == "bound" and facts.params and facts.params[0].kind == "star" and callee.owner is not None:
            found[HIDDEN_SELF] = (current(world, callee.owner, published),)
        return tuple(sorted(found.items())) if len(found) > 1 else tuple(found.items())

    def _passed_on(
        self, fid: str, caller: Evaluator, call: f.Call, names: Sequence[str]
    ) -> Iterator[tuple[str, tuple[Obj, ...]]]:
        """What a wrapper that passes ``*args`` on was given for the parameters ``names`` of the callee, by position."""
        stars = {param.name for param in caller.info.facts.params if param.kind == "star"}
        if not any(name == "*" and caller.nodes[node] == f.Param(star) for name, node in call.kwargs for star in stars):
            return
        receiver = caller.params.get(HIDDEN_SELF)
        if receiver is not None and names and self.world.symbols.functions[fid].cls is not None:
            yield names[0], receiver
        left = names[receiver is not None :]
        for position, name in enumerate(left):
            objs = caller.params.get(HIDDEN.format(position))
            if objs or (objs is not None and (objs := self._not_theirs(fid, name)) is not None):
                yield name, objs
        if any(param.kind == "star" for param in self.world.symbols.functions[fid].facts.params):
            if receiver is not None and not names:
                yield HIDDEN_SELF, receiver
            position = len(left)
            while (objs := caller.params.get(HIDDEN.format(position))) is not None:
                yield HIDDEN.format(position - len(left)), objs
                position += 1

    def handed(self, callee: Obj, call: f.Call) -> dict[str, int]:
        """The parameters of a function to which a call hands something, with the caller's nodes of that."""
        signature = self.world.symbols.functions[callee.name].signature
        bound = bool(self.receiver(callee))
        given = signature.handed(call, bound=bound)
        if signature.star is not None and not call.star:
            rest = call.args[len(signature.positional) - bound :]
            given.update((HIDDEN.format(position), arg) for position, arg in enumerate(rest))
        return given

    def receiver(self, callee: Obj, published: Collection[Obj] = ()) -> Params:
        """What is known when the call does not list the callee's own arguments: the object it is bound to."""
        params = self.world.symbols.functions[callee.name].facts.params
        if callee.kind != "bound" or callee.owner is None or not params or params[0].kind != "positional":
            return ()
        return ((params[0].name, (current(self.world, callee.owner, published),)),)

    def _left_out(self, fid: str) -> dict[str, tuple[Obj, ...]]:
        """What parameters hold when a call leaves them out, where other calls give them something."""
        found = self._defaults.get(fid)
        if found is None:
            found = self._defaults[fid] = {}
            info = self.world.symbols.functions[fid]
            outer = Evaluator(self.world, self.world.symbols.functions[self.world.scope_of(info)])
            for param in info.facts.params:
                text = default_of(outer, info, param.name) if param.name in self._names_of(fid) else None
                if text is not None:
                    found[param.name] = (as_object(self.world, text),)
                elif param.default >= 0 and self._matters(fid, param.name):
                    objs = tuple(sorted(outer.eval(param.default), key=lambda obj: obj.uid))
                    found[param.name] = objs or self._constant(outer, param.default) or ()
        return found

    def _constant(self, caller: Evaluator, node: int) -> tuple[Obj, ...] | None:
        """What a constant is known by, also when it is handed on by a function that was given one; else None."""
        value = caller.nodes[node]
        if node in caller.truths:
            return (self.world.heap.make("const", str(caller.truths[node])),)
        if type(value) is f.Const:
            return (self.world.heap.make("const", value.text),) if value.text in TRUTH else ()
        if type(value) is f.Param:
            given = caller.params.get(value.name)
            return given if given is None or all(obj.kind == "const" for obj in given) else None
        return None

    def _not_theirs(self, fid: str, name: str) -> tuple[Obj, ...] | None:
        """What a parameter holds when nothing is known about the argument: not the containers that others hand over."""
        every = self.world.get(("p", fid, name))
        kept = [obj for obj in every if obj.kind != "ext" or self.world.container_row(obj.name) is None]
        if len(kept) == len(every) or len(kept) > LIMIT:
            return None
        return tuple(sorted(kept, key=lambda obj: obj.uid))

    def _matters(self, fid: str, name: str) -> bool:
        """Whether it makes a difference that a parameter is a constant: others are objects, or branches look at it."""
        return bool(self.world.get(("p", fid, name))) or name in self._asked_of(fid)

    def _asked_of(self, fid: str) -> frozenset[str]:
        found = self._asked.get(fid)
        if found is None:
            found = self._asked[fid] = asked(self.world.symbols.functions[fid].facts)
        return found

    def _names_of(self, fid: str) -> frozenset[str]:
        found = self._names.get(fid)
        if found is None:
            found = self._names[fid] = names(self.world.symbols.functions[fid].facts)
        return found
