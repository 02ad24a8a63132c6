"""What one file says, as values and events: the serialisable form every later phase works on.

A front end turns each function into a table of *nodes* (where a value comes from, symbolically) and a list of *events*
in evaluation order (what is read, written, called, returned). Local variables are gone: a node names the parameter,
global, attribute chain, call result or display that a local held at that point, so ``c = self._cache; c[k] = v`` is an
event on ``self._cache``. Indices into the tables stand for nodes (``int``), events, blocks and lock regions; ``-1``
means none. Nothing here knows which library a name belongs to: that is decided when the program is linked.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class Param(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """A parameter of this function."""

    name: str


class Captured(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """A variable of the enclosing function ``owner`` (its qualified name in the module)."""

    owner: str
    name: str


class Global(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """A name of the module, or a builtin."""

    name: str


class ClassVar(msgspec.Struct, frozen=True, array_like=True, tag="v"):
    """A name bound in the body of class ``owner``."""

    owner: str
    name: str


class Imported(msgspec.Struct, frozen=True, array_like=True, tag="i"):
    """A name imported inside a function: ``module`` (absolute), and ``name`` in it or None for the module itself."""

    module: str
    name: str | None


class Attr(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """``base.name``."""

    base: int
    name: str


class Item(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """``base[key]``."""

    base: int
    key: int


class Elem(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """One element got by iterating over ``base``."""

    base: int


class Part(msgspec.Struct, frozen=True, array_like=True, tag="u"):
    """Element ``index`` of a destructured ``base`` (-1: a starred rest)."""

    base: int
    index: int


class Result(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """What call event ``event`` of this function returned."""

    event: int


class Awaited(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """``await base``."""

    base: int


class New(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """A container made here: ``kind`` is dict, list, set, tuple or generator; ``line`` is where.

    ``walked``: the events that happen when a generator expression is walked, from the first to before the last.
    """

    kind: str
    items: tuple[int, ...]
    keys: tuple[int, ...]
    line: int
    walked: tuple[int, int] = (0, 0)


class Const(msgspec.Struct, frozen=True, array_like=True, tag="k"):
    """A literal, as source text; plain strings in the quotes that ``repr`` gives them, so that equal ones are equal."""

    text: str


class Func(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The function object made by a ``def`` or ``lambda`` in this scope."""

    qualname: str


class Cls(msgspec.Struct, frozen=True, array_like=True, tag="C"):
    """The class object made by a ``class`` statement in this scope."""

    qualname: str


class Phi(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """One of several values, depending on the path taken."""

    options: tuple[int, ...]


class Derived(msgspec.Struct, frozen=True, array_like=True, tag="d"):
    """A fresh value computed from others (arithmetic, comparison, formatting). ``op`` says how, for keys and tests."""

    parts: tuple[int, ...]
    op: str = ""


class SuperOf(msgspec.Struct, frozen=True, array_like=True, tag="S"):
    """``super()`` in a method of class ``owner``."""

    owner: str


class Metadata(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """A call inside an annotation, such as ``GuardedBy("_lock")``: it says something and is not run here.

    ``args`` are all arguments, those with a keyword last.
    """

    func: int
    args: tuple[int, ...]
    line: int


class Unknown(msgspec.Struct, frozen=True, array_like=True, tag="?"):
    """A value nothing is known about."""


Node: TypeAlias = (
    Param
    | Captured
    | Global
    | ClassVar
    | Imported
    | Attr
    | Item
    | Elem
    | Part
    | Result
    | Awaited
    | New
    | Const
    | Func
    | Cls
    | Phi
    | Derived
    | SuperOf
    | Metadata
    | Unknown
)

AccessKind = Literal[
    "load",  # the slot (attribute, global, captured variable) is read
    "store",  # ... is rebound
    "unset",  # ... is deleted
    "get",  # an element of the container `target` is read: target[key]
    "set",  # ... is written: target[key] = value
    "del",  # ... is deleted: del target[key]
    "has",  # key in target
    "iter",  # target is iterated
    "grow",  # target += value on a container held in a local
]


class Access(msgspec.Struct, frozen=True, array_like=True, tag="A"):
    """A slot or a container is touched.

    ``target`` is the node of the slot for load/store/unset, the node of the container otherwise; ``result`` the node
    of the value read; ``value`` the node written; ``aug`` marks the write half of an augmented assignment.
    """

    kind: AccessKind
    target: int
    line: int
    block: int
    held: int
    key: int = -1
    value: int = -1
    result: int = -1
    aug: bool = False


class Call(msgspec.Struct, frozen=True, array_like=True, tag="L"):
    """A call. ``func`` is the node called; when that is an attribute, its base is the receiver.

    ``star`` is set when ``*args`` or ``**kwargs`` are passed; ``awaited`` when the call is the operand of ``await``;
    ``used`` when its result is not thrown away; ``decorates`` names the function a decorator call is applied to.
    """

    func: int
    args: tuple[int, ...]
    kwargs: tuple[tuple[str, int], ...]
    line: int
    block: int
    held: int
    result: int
    star: bool = False
    awaited: bool = False
    used: bool = True
    decorates: str = ""


class Return(msgspec.Struct, frozen=True, array_like=True, tag="R"):
    """The function returns ``value``."""

    value: int
    line: int
    block: int
    held: int


class Yield(msgspec.Struct, frozen=True, array_like=True, tag="Y"):
    """The function yields ``value`` (``delegated``: each element of it)."""

    value: int
    line: int
    block: int
    held: int
    delegated: bool = False


class Suspend(msgspec.Struct, frozen=True, array_like=True, tag="W"):
    """A point where a coroutine may be suspended: ``how`` is await, async for or async with."""

    how: str
    value: int
    line: int
    block: int
    held: int


class Release(msgspec.Struct, frozen=True, array_like=True, tag="X"):
    """Lock region ``region`` ends here (an explicit ``release()`` or the end of its ``with``)."""

    region: int
    line: int
    block: int
    held: int


Event: TypeAlias = Access | Call | Return | Yield | Suspend | Release

BlockKind = Literal["body", "then", "else", "loop", "try", "except", "finally", "with", "case"]


class Block(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of a function under one condition; ``parent`` encloses it.

    ``test`` is the node whose value decides (for a loop over a container, the iterated node): it is true in ``then``
    and false in ``else``, which are also what follows a branch that left (``if k in d: return``). ``tried`` is the
    range of events of the ``try`` body that an ``except`` block handles, ``catches`` the exception names.
    """

    parent: int
    kind: BlockKind
    test: int = -1
    tried: tuple[int, int] | None = None
    catches: tuple[str, ...] = ()


class Region(msgspec.Struct, frozen=True, array_like=True):
    """A stretch in which ``lock`` (a node) is entered: by ``with``, ``acquire()`` or ``enter_context()``.

    ``method`` is the method name for explicit acquisition. Whether the object is a lock is decided at link time.
    ``call`` is the event of the call for explicit ones. ``open``: not released before the function ends.
    """

    lock: int
    how: str
    line: int
    method: str = ""
    call: int = -1
    open: bool = False
    is_async: bool = False


class Parameter(msgspec.Struct, frozen=True, array_like=True):
    """A parameter: ``kind`` is positional, keyword, star or starstar; nodes for annotation and default."""

    name: str
    kind: str
    annotation: int = -1
    default: int = -1


class Function(msgspec.Struct, frozen=True, array_like=True):
    """A function, lambda, class body (``kind`` class) or module body (``kind`` module).

    ``held`` is a table of tuples of region indices; events point into it. ``exports`` lists local variables that
    nested functions capture, with every node assigned to them. ``decorators`` are nodes of the enclosing scope's
    table, ``returns`` the annotation node (own table). ``raising`` are the blocks that a ``raise`` stands in.
    """

    qualname: str
    name: str
    kind: str
    line: int
    end_line: int
    cls: str | None
    parent: str | None
    params: tuple[Parameter, ...]
    nodes: tuple[Node, ...]
    events: tuple[Event, ...]
    blocks: tuple[Block, ...]
    regions: tuple[Region, ...]
    held: tuple[tuple[int, ...], ...]
    exports: tuple[tuple[str, tuple[int, ...]], ...]
    decorators: tuple[int, ...]
    returns: int
    is_async: bool
    is_generator: bool
    raising: tuple[int, ...] = ()


class Class(msgspec.Struct, frozen=True, array_like=True):
    """A class: ``bases``, ``keywords`` and ``decorators`` are nodes of the scope ``scope`` that holds the statement.

    ``methods`` maps names to qualified function names (every definition, setters as ``name.setter``); ``annotations``
    maps attribute names to nodes of the class body's own table, ``declared`` to lines.
    """

    qualname: str
    name: str
    line: int
    scope: str
    body: str
    bases: tuple[int, ...]
    keywords: tuple[tuple[str, int], ...]
    decorators: tuple[int, ...]
    methods: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, int], ...]
    declared: tuple[tuple[str, int], ...] = ()


class Import(msgspec.Struct, frozen=True, array_like=True):
    """``bound`` is bound at module level to ``module`` (absolute), or to ``name`` in it; ``*`` binds everything."""

    bound: str
    module: str
    name: str | None
    line: int


class ModuleFacts(msgspec.Struct, frozen=True, array_like=True):
    """Everything one file says. No path is inside: equal bytes with equal module names give equal facts."""

    module: str
    is_package: bool
    lines: int
    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
    imports: tuple[Import, ...]
    public: tuple[str, ...] | None
    comments: tuple[tuple[int, str], ...]
