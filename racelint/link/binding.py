"""What one call hands to one parameter of a function that it may run."""

from __future__ import annotations

from collections.abc import Sequence

from racelint.link.calls import targets
from racelint.link.objects import Site
from racelint.link.world import World
from racelint.model import facts as f

# Callees whose call does not list the arguments of the function that runs: ``sorted(rows, key=f)``.
INDIRECT = ("partial", "symbol", "member")


def argument(world: World, site: Site, fid: str, parameter: str) -> int:
    """The caller's node of what a call hands to one of a function's parameters; -1 when it hands it nothing."""
    functions, (where, at) = world.symbols.functions, site
    call = functions[where].facts.events[at]
    assert isinstance(call, f.Call)
    runs = [
        (callee, target)
        for callee in world.callees[where, at]
        for target in targets(world, callee)
        if target.name == fid
    ]
    if runs and all(callee.kind in INDIRECT for callee, _ in runs):
        return -1
    bound = any(target.kind == "bound" for _, target in runs)
    return functions[fid].signature.handed(call, bound=bound).get(parameter, -1)


def handed(world: World, site: Site, fid: str, parameter: str) -> int:
    """The node in the caller of what a parameter holds: an argument, or the object of the method; -1: unknown."""
    functions, (where, at) = world.symbols.functions, site
    info, caller = functions[fid], functions[where].facts
    params = info.facts.params
    receiver = info.is_method and bool(params) and params[0].name == parameter
    call = caller.events[at]
    if isinstance(call, f.Access):
        return _accessed(caller, call, info.signature.positional, parameter) if info.is_method else -1
    if not isinstance(call, f.Call):
        return -1
    given = argument(world, site, fid, parameter)
    if given >= 0 or not receiver:
        return given
    func = caller.nodes[call.func]
    if call.args and protocol(world, site):
        return call.args[0]
    return func.base if isinstance(func, f.Attr) else call.func  # a method that was handed over knows its own


def protocol(world: World, site: Site) -> bool:
    """Whether a call is of a function that calls a method of what it is given: ``len(x)``."""
    return any(world.protocols.first(callee.name) is not None for callee in world.callees.get(site, ()))


def accessed(caller: f.Function, access: f.Access) -> int:
    """The node of the object whose property an access reads or sets, or whose operator it runs."""
    slot = caller.nodes[access.target]
    return slot.base if access.kind in ("load", "store", "unset") and isinstance(slot, f.Attr) else access.target


def _accessed(caller: f.Function, access: f.Access, positional: Sequence[str], parameter: str) -> int:
    """What the function of a property, or the method behind an operator, gets of an access that runs it."""
    receiver = accessed(caller, access)
    given = (receiver, access.value) if access.kind == "store" else (receiver, access.key, access.value)
    return dict(zip(positional, given, strict=False)).get(parameter, -1)


def lists_all(world: World, site: Site, fid: str) -> bool:
    """Whether a call lists the arguments of a function itself, and all of them: of no partial, and no ``*args``."""
    call = world.symbols.functions[site[0]].facts.events[site[1]]
    kinds = {callee.kind for callee in world.callees.get(site, ()) if callee.name == fid}
    return isinstance(call, f.Call) and not call.star and kinds in ({"func"}, {"bound"})
