"""What one call hands to one parameter of a function that it may run."""

from __future__ import annotations

from racelint.link.calls import targets
from racelint.link.objects import Site
from racelint.link.world import World
from racelint.model import facts as f


def argument(world: World, site: Site, fid: str, parameter: str) -> int:
    """The caller's node of what a call hands to one of a function's parameters; -1 when it hands it nothing."""
    functions, (where, at) = world.symbols.functions, site
    call = functions[where].facts.events[at]
    assert isinstance(call, f.Call)
    bound = any(
        target.kind == "bound" and target.name == fid
        for callee in world.callees[where, at]
        for target in targets(world, callee)
    )
    return functions[fid].signature.handed(call, bound=bound).get(parameter, -1)


def handed(world: World, site: Site, fid: str, parameter: str) -> int:
    """The node in the caller of what a parameter holds: an argument, or the object of the method; -1: unknown."""
    functions, (where, at) = world.symbols.functions, site
    info, caller = functions[fid], functions[where].facts
    params = info.facts.params
    receiver = info.is_method and bool(params) and params[0].name == parameter
    call = caller.events[at]
    if not isinstance(call, f.Call):
        return call.target if receiver and isinstance(call, f.Access) else -1  # a property
    given = argument(world, site, fid, parameter)
    if given >= 0 or not receiver:
        return given
    func = caller.nodes[call.func]
    return func.base if isinstance(func, f.Attr) else call.func  # a method that was handed over knows its own


def lists_all(world: World, site: Site, fid: str) -> bool:
    """Whether a call lists the arguments of a function itself, and all of them: of no partial, and no ``*args``."""
    call = world.symbols.functions[site[0]].facts.events[site[1]]
    kinds = {callee.kind for callee in world.callees.get(site, ()) if callee.name == fid}
    return isinstance(call, f.Call) and not call.star and kinds in ({"func"}, {"bound"})
