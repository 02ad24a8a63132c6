"""One function's tables while they grow: nodes, events, blocks, lock regions, and what each local name holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from racelint.model import facts as f

Env = dict[str, int]


@dataclass(slots=True, eq=False)
class Builder:
    """Mutable counterpart of ``facts.Function``. ``env`` maps local names to the node they hold right now.

    ``free`` collects names that were read before this function bound them; what they mean is known only when the
    enclosing scopes are complete (see ``settle``).
    """

    qualname: str
    name: str
    kind: str
    line: int
    cls: str | None
    outer: Builder | None
    is_async: bool = False
    is_generator: bool = False
    end_line: int = 0
    params: list[f.Parameter] = field(default_factory=list)
    nodes: list[f.Node] = field(default_factory=list)
    events: list[f.Event] = field(default_factory=list)
    blocks: list[f.Block] = field(default_factory=lambda: [f.Block(-1, "body")])
    raising: dict[int, None] = field(default_factory=dict)
    regions: list[f.Region] = field(default_factory=list)
    held_table: dict[tuple[int, ...], int] = field(default_factory=lambda: {(): 0})
    held: tuple[int, ...] = ()
    block: int = 0
    env: Env = field(default_factory=dict)
    assigned: dict[str, list[int]] = field(default_factory=dict)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    free: dict[str, list[int]] = field(default_factory=dict)
    captured: set[str] = field(default_factory=set)
    decorators: tuple[int, ...] = ()
    returns: int = -1
    pending: list[tuple[str, Builder, list[int]]] = field(default_factory=list)

    def node(self, node: f.Node) -> int:
        """Append ``node`` to the table."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def held_index(self) -> int:
        """The current set of regions, as an index into the table of such sets."""
        return self.held_table.setdefault(self.held, len(self.held_table))

    def access(
        self,
        kind: f.AccessKind,
        target: int,
        line: int,
        *,
        key: int = -1,
        value: int = -1,
        result: int = -1,
        aug: bool = False,
    ) -> None:
        """Record that a slot or a container is touched here."""
        self.events.append(
            f.Access(kind, target, line, self.block, self.held_index(), key, value, result, aug),
        )

    def open_block(self, kind: f.BlockKind, test: int = -1, **more: object) -> int:
        """Make a block inside the current one and enter it; the return value is the block to go back to."""
        before = self.block
        self.blocks.append(f.Block(before, kind, test, **more))  # type: ignore[arg-type]
        self.block = len(self.blocks) - 1
        return before

    def read_name(self, name: str, line: int, *, quiet: bool = False) -> int:
        """The node a name holds; a name that is not (yet) local is settled when the scopes are complete."""
        known = self.env.get(name)
        if known is not None and name not in self.globals and name not in self.nonlocals:
            return known
        index = self.node(f.Global(name))
        if name not in self.globals:
            self.free.setdefault(name, []).append(index)
        if not quiet:
            self.access("load", index, line, result=index)
        return index

    def bind(self, name: str, value: int, line: int) -> None:
        """A name is assigned."""
        if name in self.globals or self.kind == "module":
            target = self.node(f.Global(name))
            self.access("store", target, line, value=value)
            if self.kind == "module":
                self.env.pop(name, None)
            return
        if name in self.nonlocals:
            target = self.node(f.Global(name))
            self.free.setdefault(name, []).append(target)
            self.access("store", target, line, value=value)
            return
        if self.kind == "class":
            target = self.node(f.ClassVar(self.cls or "", name))
            self.access("store", target, line, value=value)
        self.env[name] = value
        self.assigned.setdefault(name, []).append(value)

    def merge(self, *branches: Env) -> None:
        """After a branch, each name holds one of what it held at the end of the branches that fall through."""
        if not branches:
            return
        if len(branches) == 1:
            self.env = branches[0]
            return
        merged: Env = {}
        names = {name: None for branch in branches for name in branch}
        for name in names:
            options = tuple(dict.fromkeys(branch[name] for branch in branches if name in branch))
            merged[name] = options[0] if len(options) == 1 else self.node(f.Phi(options))
        self.env = merged

    def settle(self) -> None:
        """Give names that were read before they were bound their meaning, and hand the rest to the outer scope."""
        outer = self.outer
        while outer is not None and outer.kind == "class":
            outer = outer.outer
        for name, places in self.free.items():
            if self.kind == "function" and name in self.assigned and name not in self.nonlocals:
                options = tuple(dict.fromkeys(self.assigned[name]))
                for place in places:
                    self.nodes[place] = f.Phi(tuple(option for option in options if option != place))
                continue
            if outer is None:
                continue
            outer.inherit(name, self, places)

    def inherit(self, name: str, inner: Builder, places: list[int]) -> None:
        """An inner function uses ``name`` without binding it: remember to settle it with this scope's own names."""
        self.pending.append((name, inner, places))

    def settle_inner(self) -> None:
        """Resolve what inner functions left open: captured from here, or passed on outwards."""
        outer = self.outer
        while outer is not None and outer.kind == "class":
            outer = outer.outer
        for name, inner, places in self.pending:
            local = self.kind == "function" and name not in self.globals and name not in self.nonlocals
            if local and (name in self.assigned or any(p.name == name for p in self.params)):
                self.captured.add(name)
                for place in places:
                    inner.nodes[place] = f.Captured(self.qualname, name)
            elif outer is not None:
                outer.inherit(name, inner, places)
        self.pending = []

    def cls_for_super(self) -> str | None:
        """The class whose method this is, or is nested in: what a bare ``super()`` refers to."""
        scope: Builder | None = self
        while scope is not None:
            if scope.kind == "function" and scope.cls is not None:
                return scope.cls
            scope = scope.outer
        return None

    def freeze(self) -> f.Function:
        """The finished, immutable function."""
        exports = []
        for name in sorted(self.captured):
            nodes = list(dict.fromkeys(self.assigned.get(name, ())))
            if any(p.name == name for p in self.params):
                nodes.append(self.node(f.Param(name)))
            exports.append((name, tuple(nodes)))
        outer = self.outer
        while outer is not None and outer.kind == "class":
            outer = outer.outer
        return f.Function(
            qualname=self.qualname,
            name=self.name,
            kind=self.kind,
            line=self.line,
            end_line=self.end_line,
            cls=self.cls,
            parent=outer.qualname if outer is not None and outer.kind == "function" else None,
            params=tuple(self.params),
            nodes=tuple(self.nodes),
            events=tuple(self.events),
            blocks=tuple(self.blocks),
            regions=tuple(self.regions),
            held=tuple(self.held_table),
            exports=tuple(exports),
            decorators=self.decorators,
            returns=self.returns,
            is_async=self.is_async,
            is_generator=self.is_generator,
            raising=tuple(self.raising),
        )
