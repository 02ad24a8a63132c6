"""Which object an expression is, spelled from where the calls began: to tell that two are surely one object.

The points-to analysis says what may be one object. Whoever waits for a lock that it holds itself needs to be sure: the
name, attribute or argument is followed up the calls until both ends are spelled alike (access paths, after Landi and
Ryder 1992).
"""

from __future__ import annotations

from typing import TypeAlias

from racelint.analysis.flow import declared
from racelint.analysis.walk import State
from racelint.link.binding import accessed, protocol
from racelint.link.world import World
from racelint.model import facts as f

Path: TypeAlias = tuple[object, ...]
LIMIT = 40


def path(world: World, state: State, node: int, depth: int = 0) -> Path | None:
    """The access path of a node as seen from the entry point, or None when it cannot be spelled."""
    info = world.symbols.functions[state.fid]
    if node < 0 or depth > LIMIT:
        return None
    value = info.facts.nodes[node]
    match value:
        case f.Const(text):
            return ("const", text)
        case f.Param(name):
            return _param(world, state, name, depth + 1)
        case f.Global(name):
            objs, cell = world.resolve(info.module, name)
            return cell or _object(objs)
        case f.Imported(module, name):
            objs, cell = world.imported(module, name)
            return cell or _object(objs)
        case f.Captured(owner, name):
            fid = f"{info.module}:{owner}"
            frame = state.parent
            while frame is not None and frame.fid != fid:
                frame = frame.parent
            known = frame is not None and any(param.name == name for param in _facts(world, fid).params)
            return _param(world, frame, name, depth + 1) if frame is not None and known else ("x", fid, name)
        case f.Attr(base, name):
            inner = path(world, state, base, depth + 1)
            return (*inner, name) if inner is not None else None
        case f.Item(base, key):
            inner, at = path(world, state, base, depth + 1), path(world, state, key, depth + 1)
            return (*inner, "[]", at) if inner is not None and at is not None else None
        case f.SuperOf():
            return _param(world, state, info.facts.params[0].name, depth + 1) if info.facts.params else None
        case f.Result(event):
            return _called(world, state, event, depth + 1)
        case f.Phi(options):
            plain = {
                path(world, state, option, depth + 1) for option in options if not declared(info.facts.nodes[option])
            }
            return plain.pop() if len(plain) == 1 else None
        case _:
            return None


def _facts(world: World, fid: str) -> f.Function:
    return world.symbols.functions[fid].facts


def _object(objs: object) -> Path | None:
    assert isinstance(objs, dict)
    return ("object", *(obj.uid for obj in objs)) if len(objs) == 1 else None


def _called(world: World, state: State, event: int, depth: int) -> Path | None:
    """An accessor called alike twice gives one object: ``self.lock_for(key)``."""
    call = _facts(world, state.fid).events[event]
    assert isinstance(call, f.Call)
    parts = [path(world, state, node, depth) for node in (call.func, *call.args, *(value for _, value in call.kwargs))]
    return None if call.star or None in parts else ("()", *parts)


def _param(world: World, state: State, name: str, depth: int) -> Path | None:
    """What the caller gave a parameter."""
    info = world.symbols.functions[state.fid]
    parent = state.parent
    if parent is None:
        return ("param", state.fid, name)
    caller = _facts(world, parent.fid)
    event = caller.events[state.event]
    positional = [param.name for param in info.facts.params if param.kind == "positional"]
    method = info.is_method and info.cls is not None and not world.is_static(info.id)
    receiver = method and positional[:1] == [name]
    if type(event) is f.Access:
        return path(world, parent, accessed(caller, event), depth) if receiver else None
    if type(event) is not f.Call:
        return None
    func = caller.nodes[event.func]
    bound = method and type(func) is f.Attr and not _of_class(world, parent, func.base)
    if receiver:
        if bound:
            assert isinstance(func, f.Attr)
            return path(world, parent, func.base, depth)
        named = (type(func) is f.Attr and _of_class(world, parent, func.base)) or protocol(
            world, (parent.fid, state.event)
        )
        return path(world, parent, event.args[0], depth) if named and event.args and not event.star else None
    if name in dict(event.kwargs):
        return path(world, parent, dict(event.kwargs)[name], depth)
    if event.star or name not in positional or (method and type(func) is not f.Attr):
        return None
    position = positional.index(name) - int(bound)
    return path(world, parent, event.args[position], depth) if 0 <= position < len(event.args) else None


def _of_class(world: World, state: State, node: int) -> bool:
    """Whether an expression names a class or a module."""
    info = world.symbols.functions[state.fid]
    value = info.facts.nodes[node]
    if not isinstance(value, (f.Global, f.Imported)):
        return type(value) is f.Cls
    if isinstance(value, f.Global):
        objs, _ = world.resolve(info.module, value.name)
    else:
        objs, _ = world.imported(value.module, value.name)
    return any(obj.kind in ("class", "module", "symbol") for obj in objs)
