"""Class hierarchy: linearised bases, which class an attribute belongs to, and method look-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from racelint.link.symbols import ClassInfo, Symbols
from racelint.model import facts as f

BaseNames = Callable[[ClassInfo], Sequence[str]]


def linearise(symbols: Symbols, bases_of: BaseNames) -> None:
    """Fill in ``mro``, ``external`` and ``subclasses`` of every class (C3, as Python does; depth-first where it fails).

    ``bases_of`` gives the ids (project) or dotted names (external) of a class's direct bases.
    """
    direct = {cid: tuple(dict.fromkeys(bases_of(info))) for cid, info in symbols.classes.items()}
    done: dict[str, tuple[str, ...]] = {}

    def visit(cid: str, active: frozenset[str]) -> tuple[str, ...]:
        if cid in done:
            return done[cid]
        if cid not in direct or cid in active:
            return (cid,)
        parents = direct[cid]
        linear = [list(visit(parent, active | {cid})) for parent in parents]
        merged = _merge([*linear, list(parents)])
        if merged is None:  # an inconsistent hierarchy: Python would refuse it, any order will do
            merged = list(dict.fromkeys(name for part in linear for name in part))
        done[cid] = (cid, *(name for name in merged if name != cid))
        return done[cid]

    for cid, info in symbols.classes.items():
        info.mro = tuple(name for name in visit(cid, frozenset()) if name in symbols.classes)
        info.external = tuple(name for name in visit(cid, frozenset()) if name not in symbols.classes)
    for cid, info in symbols.classes.items():
        for parent in info.mro[1:]:
            symbols.classes[parent].subclasses.append(cid)


def _merge(sequences: list[list[str]]) -> list[str] | None:
    result: list[str] = []
    sequences = [list(sequence) for sequence in sequences if sequence]
    while sequences:
        for sequence in sequences:
            head = sequence[0]
            if not any(head in other[1:] for other in sequences):
                break
        else:
            return None
        result.append(head)
        sequences = [[name for name in sequence if name != head] for sequence in sequences]
        sequences = [sequence for sequence in sequences if sequence]
    return result


def collect_attributes(symbols: Symbols) -> None:
    """Record for each class which attributes its methods assign on ``self`` and which its body binds."""
    for info in symbols.classes.values():
        body = symbols.functions[f"{info.module}:{info.facts.body}"]
        for event in body.facts.events:
            if type(event) is f.Access and event.kind == "store":
                target = body.facts.nodes[event.target]
                if type(target) is f.ClassVar:
                    info.class_attrs.add(target.name)
                    if target.name == "__slots__":
                        info.slots = True
    for function in symbols.functions.values():
        if function.cls is None or not function.facts.params or function.facts.kind != "function":
            continue
        first = function.facts.params[0].name
        target_info = symbols.classes.get(function.cls)
        if target_info is None:
            continue
        for node in function.facts.nodes:
            if type(node) is f.Attr and function.facts.nodes[node.base] == f.Param(first):
                target_info.used_attrs.add(node.name)
        for event in function.facts.events:
            if type(event) is f.Access and event.kind == "store":
                node = function.facts.nodes[event.target]
                if type(node) is f.Attr:
                    base = function.facts.nodes[node.base]
                    if type(base) is f.Param and base.name == first:
                        if first in ("cls", "mcs", "metacls"):
                            target_info.class_attrs.add(node.name)
                        else:
                            target_info.own_attrs.add(node.name)


def find_method(symbols: Symbols, cid: str, name: str) -> str | None:
    """The function a method name resolves to on an instance of ``cid``, by its linearised bases."""
    for parent in symbols.classes[cid].mro:
        found = symbols.classes[parent].methods.get(name)
        if found is not None:
            return found
    return None


def attribute_home(symbols: Symbols, cid: str, name: str) -> tuple[str, bool]:
    """The class an attribute belongs to, and whether it is an attribute of the class rather than of each instance.

    The home is the topmost class that assigns or declares it, so that a base class and its subclasses speak of one
    place. An attribute that some method assigns on ``self`` belongs to instances even when the body gives a default.
    """
    home_instance = home_class = None
    for parent in symbols.classes[cid].mro:
        info = symbols.classes[parent]
        if name in info.own_attrs or name in info.factory_attrs:
            home_instance = parent
        if name in info.class_attrs and name not in info.factory_attrs:
            home_class = parent
    if home_instance is not None:
        if home_class is not None and _mro_index(symbols, cid, home_class) > _mro_index(symbols, cid, home_instance):
            return home_class, False
        return home_instance, False
    if home_class is not None:
        return home_class, True
    for sub in symbols.classes[cid].subclasses:
        info = symbols.classes[sub]
        if name in info.own_attrs:
            return cid, False
    return cid, False


def _mro_index(symbols: Symbols, cid: str, parent: str) -> int:
    return symbols.classes[cid].mro.index(parent)


def owner_of(symbols: Symbols, fid: str) -> str | None:
    """The class whose code a function is, None for functions of a module."""
    info = symbols.functions[fid]
    while info.parent is not None and info.cls is None:
        info = symbols.functions[info.parent]
    return info.cls


def related(symbols: Symbols, a: str, b: str) -> bool:
    """Whether an object may be an instance of both: one class is a base of the other, or they share a subclass."""
    if a == b:
        return True
    first, second = symbols.classes[a], symbols.classes[b]
    if b in first.mro or a in second.mro:
        return True
    return bool(set(first.subclasses) & set(second.subclasses))
