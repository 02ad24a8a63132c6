"""The text of a file with the locks of some plans in it; everything outside the held statements stays as it was."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst

from racelint.fix import shapes
from racelint.fix.define import Definitions, with_import, with_slots
from racelint.fix.plan import Hold, Plan
from racelint.fix.regions import Cover, Layout, NotPlaced, layout_of, merged

# Of two ways to cover the same statement the first is taken.
ORDER: tuple[shapes.How, ...] = (
    "hold",
    "twice",
    "walk",
    "apart",
    "pull",
    "test",
    "copy",
    "first",
    "atomic",
    "leave",
)


@dataclass(frozen=True, slots=True)
class Held:
    """Statements of a file that a plan puts under ``lock``: lines ``line`` to ``end_line``.

    ``calls``: the names of what is called there under the lock, when that is not everything on these lines.
    """

    path: str
    line: int
    end_line: int
    lock: str
    calls: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Covered:
    """A cover, the lock it is under, and how; ``variable`` is what the lock is for. ``awaited``: ``async with``."""

    cover: Cover
    lock: str
    how: shapes.How
    variable: str
    awaited: bool = False


def edit(source: bytes, path: str, plans: Iterable[Plan]) -> bytes:
    """``source`` with the edits of all plans for ``path``. Raises NotPlaced."""
    edits = _planned(source, path, plans)
    return spliced(source, edits.layout.text, edits.applied().bytes)


def holds(source: bytes, path: str, plans: Iterable[Plan]) -> tuple[Held, ...]:
    """What the edits of all plans for ``path`` would hold. Raises NotPlaced."""
    edits = _planned(source, path, plans)
    edits.applied()
    return tuple(edits.held(path, item) for item in edits.covered)


def _planned(source: bytes, path: str, plans: Iterable[Plan]) -> _Edits:
    edits = _Edits(layout_of(source))
    for plan in plans:
        edits.hold(plan, path)
        if plan.made is not None and plan.made.path == path:
            edits.definitions.make(plan.made)
        for wanted in plan.imports:
            if wanted.path == path:
                edits.definitions.bring(wanted)
    return edits


def spliced(source: bytes, parsed: bytes, edited: bytes) -> bytes:
    """``edited`` with the lines that no edit touched taken from ``source``: parsing forgets form feeds.

    Raises NotPlaced when the lines of ``parsed`` are not those of ``source``.
    """
    if source == parsed:
        return edited
    originals, before, after = (data.splitlines(keepends=True) for data in (source, parsed, edited))
    rest: list[bytes] = []
    if len(originals) == len(before) + 1 and not originals[-1].strip():
        rest.append(originals.pop())  # blanks at the end without a line end
    if len(originals) != len(before):
        raise NotPlaced("its text is not kept byte for byte by the parser")
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    found: list[bytes] = []
    for tag, start, end, to_start, to_end in matcher.get_opcodes():
        found.extend(originals[start:end] if tag == "equal" else after[to_start:to_end])
    return b"".join([*found, *rest])


class _Edits:
    """Collects the edits of one file, then makes them in one pass."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.definitions = Definitions(layout)
        self.covered: list[_Covered] = []

    def hold(self, plan: Plan, path: str) -> None:
        """Cover what a plan asks for in this file; holds of one lock that touch become one."""
        by_lock: dict[str, list[Cover]] = defaultdict(list)
        found: list[_Covered] = []
        for hold in plan.holds:
            if hold.path != path or (plan.twice and hold.kind in ("read", "look")):
                continue
            if not plan.lock and plan.container and hold.kind != "compound":
                continue
            cover = self.layout.cover(hold.line, hold.end_line)
            if cover is None:
                raise NotPlaced(f"{hold.path}:{hold.line} has no statement to hold the lock over")
            how = self._how(cover, hold, plan)
            if not plan.lock and how not in ("copy", "first", "atomic"):
                raise NotPlaced(f"{hold.path}:{hold.line} cannot be done in one step")
            owner = hold.lock.partition(".")[0]
            if how in ("hold", "twice") and owner != hold.lock and shapes.binds(cover.statements, owner):
                raise NotPlaced(f"{hold.path}:{hold.line} binds {owner} where {hold.lock} would be held")
            if how == "hold":
                by_lock[hold.lock].append(cover)
            elif how != "leave":
                what = plan.container if how == "atomic" else plan.variable
                found.append(_Covered(cover, "" if how == "atomic" else hold.lock, how, what, plan.awaited))
        for lock, covers in sorted(by_lock.items()):
            wide = [self._joined(cover, lock, plan.awaited) for cover in merged(covers)]
            found.extend(_Covered(cover, lock, "hold", plan.variable, plan.awaited) for cover in merged(wide))
        self.covered = _outermost([*self.covered, *found])

    def _joined(self, cover: Cover, lock: str, awaited: bool) -> Cover:
        """A cover with the neighbours that hold the lock already."""
        body = cover.block.body
        first, last = cover.first, cover.last
        if first > 0 and shapes.holds(body[first - 1], lock, awaited):
            first -= 1
        if last + 1 < len(body) and shapes.holds(body[last + 1], lock, awaited):
            last += 1
        return Cover(cover.block, first, last, self.layout.lines(body[first])[0], self.layout.lines(body[last])[1])

    def _how(self, cover: Cover, hold: Hold, plan: Plan) -> shapes.How:
        """How to cover what a hold asks for: a loop's head by a copy, a branch's test before the branch."""
        (statement, *rest) = cover.statements
        if hold.kind == "compound" and plan.twice:
            if not shapes.fits_twice(hold.lock, cover.statements, plan.variable):
                raise NotPlaced(f"{hold.path}:{hold.line} is no initialisation on first use")
            return "twice"
        if not plan.lock and plan.container:
            if rest or shapes.atomic(statement, plan.container) is None:
                raise NotPlaced(f"{hold.path}:{hold.line} is no test and one step")
            return "atomic"
        if hold.kind == "copy":
            return "copy"
        if hold.kind == "first":
            if not shapes.fits_apart(statement, plan.variable, awaits=True):
                raise NotPlaced(f"{hold.path}:{hold.line} reads and writes it in one statement that waits")
            return "first"
        if rest:
            return "hold"
        slow = any((hold.path, line) in plan.slow for line in range(cover.line, cover.end_line + 1))
        if slow and shapes.fits_apart(statement, plan.variable):
            return "apart"
        if hold.kind == "compound":
            return "hold"
        if slow and shapes.pull(statement, plan.variable) is not None:
            if hold.kind == "read" or not shapes.is_receiver(statement, plan.variable):
                return "pull"
        match statement:
            case cst.For() if hold.kind == "walk":
                return "walk"
            case cst.If():
                first, last = self.layout.lines(statement.test)
                return "test" if first <= hold.line and hold.end_line <= last else "leave"
            case cst.While() | cst.For() | cst.Try() | cst.With():
                return "leave"  # a plain look in the head of a loop is one step by itself
            case _:
                return "hold"

    def held(self, path: str, item: _Covered) -> Held:
        """What stands under the lock in the end: of a loop or branch only its head."""
        cover = item.cover
        statement = cover.statements[0]
        match item.how, statement:
            case "walk", cst.For():
                return Held(path, *self.layout.lines(statement.iter), item.lock)
            case "test", cst.If():
                return Held(path, *self.layout.lines(statement.test), item.lock)
            case "copy" | "first" | "atomic", _:
                return Held(path, cover.line, cover.end_line, "", frozenset())
            case "apart", _:
                return Held(path, cover.line, cover.end_line, item.lock, frozenset())
            case "pull", _:
                part = shapes.pull(statement, item.variable)
                assert part is not None
                return Held(path, cover.line, cover.end_line, item.lock, shapes.called(part))
            case _:
                return Held(path, cover.line, cover.end_line, item.lock)

    def applied(self) -> cst.Module:
        """The module with all edits."""
        changed = self.layout.module.visit(_Apply(self))
        assert isinstance(changed, cst.Module)
        for name in self.definitions.top:
            changed = with_import(changed, name)
        return changed

    def fresh(self, name: str) -> str:
        """A variable name that the file does not use yet."""
        taken = self.definitions.taken
        found, count = name, 2
        while found in taken:
            found, count = f"{name}_{count}", count + 1
        taken.add(found)
        return found


class _Apply(cst.CSTTransformer):
    def __init__(self, edits: _Edits) -> None:
        super().__init__()
        self.edits = edits
        self.definitions = edits.definitions
        self.by_block: dict[cst.CSTNode, list[_Covered]] = defaultdict(list)
        for item in edits.covered:
            self.by_block[item.cover.block].append(item)
        self.touched = [(item.cover.line, item.cover.end_line) for item in edits.covered]
        beside = (self.definitions.before, self.definitions.after, self.definitions.slots, self.definitions.names)
        self.touched.extend(edits.layout.lines(node) for nodes in beside for node in nodes)

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Only into statements with an edit: most of a file has none."""
        if not isinstance(node, cst.BaseStatement):
            return True
        first, last = self.edits.layout.lines(node)
        return any(start <= last and end >= first for start, end in self.touched)

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        body = self._body(original_node, original_node.body, updated_node.body)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_Module(self, original_node: cst.Module, updated_node: cst.Module) -> cst.Module:
        body = self._body(original_node, original_node.body, updated_node.body)
        return updated_node if body is None else updated_node.with_changes(body=body)

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign:
        names = self.definitions.slots.get(original_node)
        return with_slots(updated_node, names) if names else updated_node

    def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        wanted = self.definitions.names.get(original_node)
        if not wanted or isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        *rest, last = updated_node.names
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        added = [cst.ImportAlias(cst.Name(name), comma=comma) for name in wanted]
        added[-1] = added[-1].with_changes(comma=last.comma)
        before = rest[-1].comma if rest and isinstance(rest[-1].comma, cst.Comma) else comma
        return updated_node.with_changes(names=[*rest, last.with_changes(comma=before), *added])

    def _body(
        self, key: cst.CSTNode, original: Sequence[cst.CSTNode], updated: Sequence[cst.BaseStatement]
    ) -> list[cst.BaseStatement] | None:
        items = self.by_block.get(key, [])
        before, after = self.definitions.before, self.definitions.after
        if not items and not any(node in after or node in before for node in original):
            return None
        # Widest first, those over the same statements in one order everywhere.
        items = sorted(items, key=lambda item: (item.cover.first, -item.cover.last, item.lock))
        return self._stretch(items, original, updated, 0, len(updated))

    def _stretch(
        self,
        items: Sequence[_Covered],
        original: Sequence[cst.CSTNode],
        updated: Sequence[cst.BaseStatement],
        start: int,
        end: int,
    ) -> list[cst.BaseStatement]:
        """Statements ``start`` to ``end`` of a block with their covers; what lies inside a cover is done first."""
        found: list[cst.BaseStatement] = []
        index = start
        while index < end:
            item = next((item for item in items if item.cover.first == index), None)
            if item is None:
                found.extend(self._parsed(self.definitions.before.get(original[index], ())))
                found.append(updated[index])
                found.extend(self._parsed(self.definitions.after.get(original[index], ())))
                index += 1
                continue
            upto = item.cover.last + 1
            inside = [other for other in items if other is not item and index <= other.cover.first < upto]
            if any(other.cover.last >= upto for other in inside) or (inside and item.how != "hold"):
                raise NotPlaced(f"line {item.cover.line} would need {item.lock} and another lock across each other")
            found.extend(self._covered(item, self._stretch(inside, original, updated, index, upto)))
            index = upto
        return found

    def _covered(self, item: _Covered, statements: list[cst.BaseStatement]) -> list[cst.BaseStatement]:
        lock, fresh = item.lock, self.edits.fresh
        match item.how:
            case "walk":
                return shapes.walked(lock, statements[0], fresh)
            case "test":
                return shapes.tested(lock, statements[0], fresh)
            case "apart" | "first":
                return shapes.apart("" if item.how == "first" else lock, statements[0], fresh)
            case "pull":
                return shapes.pulled(lock, statements[0], item.variable, fresh)
            case "twice":
                return shapes.twice(lock, statements, item.awaited)
            case "atomic":
                changed = shapes.atomic(statements[0], item.variable)
                return statements if changed is None else [changed]
            case "copy":
                return [shapes.copied(statements[0], item.variable)]
            case _:
                return [shapes.held(lock, statements, awaited=item.awaited)]

    def _parsed(self, texts: Iterable[str]) -> list[cst.BaseStatement]:
        config = self.edits.layout.module.config_for_parsing
        return [cst.ensure_type(cst.parse_statement(text, config), cst.SimpleStatementLine) for text in texts]


def _outermost(covers: list[_Covered]) -> list[_Covered]:
    """Without what lies inside another cover of the same lock, or asks for the same statement a second time."""
    kept: list[_Covered] = []
    for item in sorted(covers, key=lambda item: (item.cover.line, -item.cover.end_line, ORDER.index(item.how))):
        cover = item.cover
        inside = any(
            other.lock == item.lock
            and (
                (
                    other.how in ("hold", "twice")
                    and other.cover.line <= cover.line
                    and cover.end_line <= other.cover.end_line
                )
                or (other.cover.block is cover.block and other.cover.first == cover.first)
            )
            for other in kept
        )
        if not inside:
            kept.append(item)
    return kept
