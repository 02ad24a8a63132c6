"""Abstract objects: what a value may be at run time.

Objects are interned by a ``Heap``, so equality is identity and sets of them are cheap. An object made by a display or a
call is known by its *site* (function and node or event that makes it). ``owner`` is the object whose attribute it was
read from when that object's class made it: the cache inside one controller is not the cache inside another one even if
one line of a base class makes both (heap cloning, as in object-sensitive points-to analysis: Milanova et al. 2005).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

ObjKind = Literal[
    "inst",  # an instance of project class `name`
    "ext",  # an instance of external type `name` (containers, locks, threads, ...)
    "class",  # project class `name`
    "func",  # project function `name`
    "bound",  # project function `func` bound to `owner`
    "module",  # project module `name`
    "symbol",  # an external dotted name: library function, class or module
    "member",  # attribute or method `name` (type.method) of external object `owner`
    "partial",  # functools.partial of `func`
    "opaque",  # something unknown, reached through slot `name`
    "super",  # super() in class `name`, for `owner`
    "const",  # the constant `name`: None, True or False
    "pair",  # one (key, value) pair of mapping `owner`
]
Site: TypeAlias = tuple[str, int]
# The site of an object that only an annotation promises: some instance, handed in by a caller nobody sees. As long as
# it is not found in a shared place, nothing says that two calls are given the same one.
PROMISED: Site = ("<promised>", 0)
# The same for a container, which is told apart by the parameter: the prefix comes off once it is found somewhere.
_HANDED_IN = "<handed in>"
# What a nested function's enclosing parameters hold for this closure: (function id, parameter) -> objects.
Bindings: TypeAlias = tuple[tuple[str, str, "tuple[Obj, ...]"], ...]


class Obj:
    """One abstract object; make them with ``Heap.make`` only. ``uid`` is its creation rank, for stable ordering."""

    __slots__ = ("bindings", "fresh", "func", "kind", "name", "owner", "plain", "promised", "site", "uid")

    def __init__(
        self,
        kind: ObjKind,
        name: str,
        site: Site | None,
        owner: Obj | None,
        func: Obj | None,
        bindings: Bindings,
        fresh: bool,
        uid: int,
    ) -> None:
        self.kind = kind
        self.name = name
        self.site = site
        self.owner = owner
        self.func = func
        self.bindings = bindings
        self.fresh = fresh
        self.uid = uid
        # Only an annotation promises it, and it has not been found in a place that others may see.
        self.promised = site is not None and (site == PROMISED or site[0].startswith(_HANDED_IN))
        # See ``Heap.plain``, which finds it.
        self.plain: Obj | None = None

    def __repr__(self) -> str:
        parts = [self.kind, self.name]
        if self.site is not None:
            parts.append(f"@{self.site[0]}:{self.site[1]}")
        if self.owner is not None:
            parts.append(f"of {self.owner!r}")
        if self.fresh:
            parts.append("fresh")
        return f"<{' '.join(parts)}>"

    @property
    def unknown(self) -> bool:
        """Whether it is not known where the object is made."""
        return self.site is None or self.site == PROMISED

    @property
    def whole(self) -> Obj:
        """The object that it belongs to in the end: the last one of its owners, or itself."""
        current = self
        while current.owner is not None:
            current = current.owner
        return current

    @property
    def depth(self) -> int:
        """Length of the owner chain."""
        count, current = 0, self.owner
        while current is not None:
            count, current = count + 1, current.owner
        return count


Objs: TypeAlias = dict[Obj, None]
# Kinds of objects that are nothing without their owner.
OF_OTHERS = frozenset(("bound", "member", "super", "pair"))


class Heap:
    """Interns objects."""

    def __init__(self) -> None:
        self._table: dict[tuple[object, ...], Obj] = {}

    def make(
        self,
        kind: ObjKind,
        name: str,
        site: Site | None = None,
        owner: Obj | None = None,
        func: Obj | None = None,
        bindings: Bindings = (),
        fresh: bool = False,
    ) -> Obj:
        """The one object with these properties."""
        key = (kind, name, site, owner, func, bindings, fresh)
        found = self._table.get(key)
        if found is None:
            found = Obj(kind, name, site, owner, func, bindings, fresh, len(self._table))
            self._table[key] = found
        return found

    def plain(self, obj: Obj) -> Obj:
        """The object without its owner and freshness: the key of what is stored inside it."""
        found = obj.plain
        if found is None:
            if (obj.owner is None and not obj.fresh and not obj.promised) or obj.kind in OF_OTHERS:
                found = obj
            else:
                found = self.make(obj.kind, obj.name, _found(obj.site), None, obj.func, obj.bindings)
            obj.plain = found
        return found

    def owned(self, obj: Obj, owner: Obj) -> Obj:
        """``obj`` as it is found inside ``owner``."""
        return self.make(obj.kind, obj.name, obj.site, owner, obj.func, obj.bindings, owner.fresh)

    def freshened(self, obj: Obj) -> Obj:
        """``obj`` as seen by the call that has just made it."""
        return self.make(obj.kind, obj.name, obj.site, obj.owner, obj.func, obj.bindings, True)

    def anyone(self, obj: Obj) -> Obj:
        """A promised object once it is found in a shared place: some instance of its class."""
        if not obj.promised:
            return obj
        site = None if obj.site == PROMISED else _found(obj.site)
        return self.make(obj.kind, obj.name, site, obj.owner, obj.func, obj.bindings, obj.fresh)

    def shared(self, obj: Obj) -> Obj:
        """``obj`` once it may be seen by others."""
        if not obj.fresh:
            return obj
        owner = self.shared(obj.owner) if obj.owner is not None else None
        return self.make(obj.kind, obj.name, obj.site, owner, obj.func, obj.bindings)


def handed_in(fid: str, number: int) -> Site:
    """The site of a container that the annotation of a parameter of function ``fid`` promises."""
    return (_HANDED_IN + fid, number)


def _found(site: Site | None) -> Site | None:
    return site if site is None or not site[0].startswith(_HANDED_IN) else (site[0][len(_HANDED_IN) :], site[1])


def may_alias(a: Obj, b: Obj) -> bool:
    """Whether two abstract objects of compatible type may be one at run time (types are the caller's business)."""
    if a is b:
        return True
    if a.site is not None and b.site is not None and a.site != b.site:
        return False
    if a.owner is None or b.owner is None:
        return True
    return may_alias(a.owner, b.owner)
