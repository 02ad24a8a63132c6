"""The ways statements are put under a lock, as functions from statements to statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import libcst as cst
from libcst import matchers as m

from racelint.fix.regions import NotPlaced

# hold: the lock over the statements. walk: a loop runs over a copy. test: a branch's test is made before it.
# apart: the value is computed first, then stored. pull: a part is computed under the lock, then used.
# twice: tested once without the lock and again with it. leave: one step by itself already.
# copy: a loop runs over a copy, without a lock. first: apart, without a lock. atomic: one operation does it.
How = Literal["hold", "walk", "test", "apart", "pull", "twice", "copy", "first", "atomic", "leave"]
Fresh = Callable[[str], str]
# Calls in the test of a lazy initialisation that only look.
LOOKING = frozenset(("get", "isinstance", "len", "hasattr", "getattr"))
# Calls that make a copy of what they are given.
COPYING = ("list", "tuple", "sorted", "set", "frozenset")


def held(
    lock: str,
    statements: Sequence[cst.BaseStatement],
    leading: Sequence[cst.EmptyLine] | None = None,
    awaited: bool = False,
) -> cst.With:
    """``with lock:`` (``async with``) over statements; earlier holds of this lock dissolve.

    Comments above the first statement stay above it all.
    """
    first, *rest = statements
    if leading is None:
        leading = _leading(first)
        first = _bare(first)
    block = cst.IndentedBlock([first, *rest]).visit(_Dissolve(lock))
    assert isinstance(block, cst.IndentedBlock)
    how = cst.Asynchronous() if awaited else None
    return cst.With([cst.WithItem(cst.parse_expression(lock))], block, how, leading_lines=list(leading))


def walked(lock: str, statement: cst.BaseStatement, fresh: Fresh) -> list[cst.BaseStatement]:
    """A loop over a copy that was taken under the lock."""
    assert isinstance(statement, cst.For)
    name = fresh("snapshot")
    source = statement.iter.with_changes(lpar=[], rpar=[])
    copies = isinstance(source, cst.Call) and isinstance(source.func, cst.Name) and source.func.value in COPYING
    copy = source if copies else _listed(source)
    loop = statement.with_changes(iter=cst.Name(name), leading_lines=[])
    return [held(lock, [_assign(name, copy)], statement.leading_lines), loop]


def tested(lock: str, statement: cst.BaseStatement, fresh: Fresh) -> list[cst.BaseStatement]:
    """A branch whose test was made under the lock."""
    assert isinstance(statement, cst.If)
    name = fresh("found")
    branch = statement.with_changes(
        test=cst.Name(name), leading_lines=[], whitespace_before_test=cst.SimpleWhitespace(" ")
    )
    return [held(lock, [_assign(name, statement.test)], statement.leading_lines), branch]


def apart(lock: str, statement: cst.BaseStatement, fresh: Fresh) -> list[cst.BaseStatement]:
    """The value of an assignment (or an argument of a call on the variable) first, the rest under the lock (if any).

    Python computes the right side before it looks at the target, so for a plain assignment nothing changes its order.
    """
    part = _value(statement)
    assert part is not None
    name = fresh("value")
    rest = _replaced(statement, part, name)
    first = _assign(name, part).with_changes(leading_lines=rest.leading_lines)
    return [first, held(lock, [rest], []) if lock else rest.with_changes(leading_lines=[])]


def pulled(lock: str, statement: cst.BaseStatement, variable: str, fresh: Fresh) -> list[cst.BaseStatement]:
    """The part of a statement that touches the variable under the lock, the rest after it."""
    part = pull(statement, variable)
    assert part is not None
    assert isinstance(statement, cst.SimpleStatementLine)
    name = fresh("snapshot" if isinstance(part, cst.Call) else variable.strip("_").lower() or "value")
    rest = _replaced(statement, part, name)
    return [held(lock, [_assign(name, part)], statement.leading_lines), rest.with_changes(leading_lines=[])]


def copied(statement: cst.BaseStatement, variable: str) -> cst.BaseStatement:
    """A loop (or comprehensions) over ``list(...)`` of what mentions the variable."""
    if isinstance(statement, cst.For) and _mentions(statement.iter, variable):
        return statement.with_changes(iter=_listed(statement.iter))
    changed = statement.visit(_CopyClauses(variable))
    assert isinstance(changed, cst.BaseStatement)
    return changed


def twice(lock: str, statements: Sequence[cst.BaseStatement], awaited: bool = False) -> list[cst.BaseStatement]:
    """Tested without the lock, and when it seems to be the first time, again with it (double-checked)."""
    *before, branch = statements
    assert isinstance(branch, cst.If)
    body = cst.ensure_type(branch.body, cst.IndentedBlock)
    again = branch.with_changes(leading_lines=[], body=body.with_changes(header=cst.TrailingWhitespace()))
    silent = [_bare(statement).with_changes(trailing_whitespace=cst.TrailingWhitespace()) for statement in before]
    inner = held(lock, [*silent, again], [], awaited)
    return [*before, branch.with_changes(body=cst.IndentedBlock([inner], header=body.header))]


def atomic(statement: cst.BaseStatement, container: str) -> cst.BaseStatement | None:
    """One operation that does what a test and a step do on a built-in container; None when none does.

    ``if k in d: del d[k]`` is ``d.pop(k, None)``, ``if x in s: s.remove(x)`` is ``s.discard(x)``, and ``if k not in d:
    d[k] = []`` is ``d.setdefault(k, [])``. Source: docs.python.org/3/library/stdtypes.html#mapping-types-dict.
    """
    match statement:
        case cst.If(
            test=cst.Comparison(left=key, comparisons=[cst.ComparisonTarget(operator, place)]),
            orelse=None,
            body=cst.IndentedBlock(body=[cst.SimpleStatementLine(body=[step]) as line]),
        ):
            pass
        case _:
            return None
    if not _plain(key) or not _plain(place):
        return None
    call: cst.Call | None = None
    if isinstance(operator, cst.In):
        if container == "dict" and _removes(step, place, key):
            call = _method(place, "pop", key, cst.Name("None"))
        elif container == "set" and m.matches(step, m.Expr(_pattern(place, "remove", key))):
            call = _method(place, "discard", key)
    elif isinstance(operator, cst.NotIn) and container == "dict" and isinstance(step, cst.Assign):
        item = m.AssignTarget(m.Subscript(_same(place), [m.SubscriptElement(m.Index(_same(key)))]))
        if m.matches(step, m.Assign([item])) and _costs_nothing(step.value):
            call = _method(place, "setdefault", key, step.value)
    if call is None:
        return None
    comments = [*statement.leading_lines, *_header(statement.body), *line.leading_lines]
    return line.with_changes(body=[cst.Expr(call)], leading_lines=comments)


def fits_apart(statement: cst.BaseStatement, variable: str, *, awaits: bool = False) -> bool:
    """Whether the value of an assignment can be computed before the lock is taken."""
    part = _value(statement)
    if part is None or _mentions(part, variable) or not _calls(part):
        return False
    return (awaits or not _suspends(part)) and not m.findall(part, m.NamedExpr())


def fits_twice(lock: str, statements: Sequence[cst.BaseStatement], variable: str) -> bool:
    """Whether statements initialise a variable on first use, and publish it only when it is complete."""
    *before, branch = statements
    if not isinstance(branch, cst.If) or branch.orelse is not None or not isinstance(branch.body, cst.IndentedBlock):
        return False
    if before:
        if not m.matches(before[-1], m.SimpleStatementLine([m.Assign([m.AssignTarget(m.Name())])])) or before[1:]:
            return False
        looked: Sequence[cst.CSTNode] = [before[-1], branch.test]
    else:
        looked = [branch.test]
    if not any(_mentions(node, variable) for node in looked):
        return False
    if any(m.findall(node, m.NamedExpr()) or _suspends(node) or not _calls(node) <= LOOKING for node in looked):
        return False
    body = cst.ensure_type(branch.body.visit(_Dissolve(lock)), cst.IndentedBlock).body
    naming = [statement for statement in body if _mentions(statement, variable)]
    if not naming or not _assigns(naming[0], variable):
        return False
    return all(m.matches(statement, m.SimpleStatementLine([m.Return()])) for statement in naming[1:])


def pull(statement: cst.BaseStatement, variable: str) -> cst.BaseExpression | None:
    """The part of a statement that can be computed first, alone: an argument or the receiver of its outermost call."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call() as call)]):
            pass
        case cst.SimpleStatementLine(body=[cst.Return(value=cst.Call() as call)]):
            pass
        case cst.SimpleStatementLine(body=[cst.Assign(targets=[target], value=cst.Call() as call)]):
            if _mentions(target, variable):
                return None
        case _:
            return None
    if isinstance(call.func, cst.Attribute) and _mentions(call.func.value, variable):
        part = call.func.value
        others = any(_mentions(argument, variable) for argument in call.args)
        return None if others or _calls(part) else part
    if _calls(call.func) or _mentions(call.func, variable):
        return None
    touching = [argument for argument in call.args if _mentions(argument, variable)]
    if len(touching) != 1 or touching[0].star:
        return None
    earlier = call.args[: list(call.args).index(touching[0])]
    part = touching[0].value
    # A reference or a generator: what it names is touched later all the same.
    plain = isinstance(part, (cst.Name, cst.Attribute, cst.GeneratorExp))
    return None if plain or any(_calls(argument) for argument in earlier) or _suspends(part) else part


def binds(statements: Sequence[cst.CSTNode], name: str) -> bool:
    """Whether statements bind a local variable anew."""
    target = m.Name(name) | m.Tuple([m.ZeroOrMore(), m.Element(m.Name(name)), m.ZeroOrMore()])
    patterns = (
        m.AssignTarget(target),
        m.AnnAssign(m.Name(name)),
        m.AugAssign(m.Name(name)),
        m.NamedExpr(m.Name(name)),
        m.For(target),
        m.AsName(m.Name(name)),
    )
    return any(m.findall(statement, pattern) for statement in statements for pattern in patterns)


def is_receiver(statement: cst.BaseStatement, variable: str) -> bool:
    """Whether what ``pull`` finds is a plain reference that a method is called on."""
    return isinstance(pull(statement, variable), (cst.Name, cst.Attribute))


def called(node: cst.CSTNode) -> frozenset[str]:
    """The last names of all that is called in a node."""
    return frozenset(_calls(node))


def holds(statement: cst.CSTNode, lock: str, awaited: bool) -> bool:
    """Whether a statement holds the lock over all of its body, and does nothing else."""
    if (
        not isinstance(statement, cst.With)
        or len(statement.items) != 1
        or isinstance(statement.asynchronous, cst.Asynchronous) is not awaited
    ):
        return False
    (item,) = statement.items
    return item.asname is None and cst.Module([]).code_for_node(item.item) == lock


class _Dissolve(cst.CSTTransformer):
    """Takes away the holds of one lock inside statements that are held by it already."""

    def __init__(self, lock: str) -> None:
        super().__init__()
        self.lock = lock

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:
        return False  # it runs later, when the lock is no longer held

    def leave_With(
        self, original_node: cst.With, updated_node: cst.With
    ) -> cst.With | cst.FlattenSentinel[cst.BaseStatement]:
        items = [item for item in updated_node.items if not self._is_lock(item)]
        if len(items) == len(updated_node.items):
            return updated_node
        if items:
            items[-1] = items[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            return updated_node.with_changes(items=items)
        body = updated_node.body
        if isinstance(body, cst.SimpleStatementSuite):
            return cst.FlattenSentinel([cst.SimpleStatementLine(body.body, leading_lines=updated_node.leading_lines)])
        block = cst.ensure_type(body, cst.IndentedBlock)
        if any(line.comment is not None for line in block.footer):
            raise NotPlaced(f"a comment at the end of a block that holds {self.lock} would be lost")
        first, *rest = block.body
        header = [cst.EmptyLine(comment=block.header.comment)] if block.header.comment is not None else []
        lines = [*updated_node.leading_lines, *header, *_leading(first)]
        return cst.FlattenSentinel([first.with_changes(leading_lines=lines), *rest])

    def _is_lock(self, item: cst.WithItem) -> bool:
        return item.asname is None and cst.Module([]).code_for_node(item.item) == self.lock


def _value(statement: cst.CSTNode) -> cst.BaseExpression | None:
    """What a simple statement computes before it touches its target: a right side, the one argument that calls."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Assign(targets=[target], value=value)]):
            return None if _calls(target) else value
        case cst.SimpleStatementLine(body=[cst.AnnAssign() | cst.AugAssign() as small]):
            return None if _calls(small.target) else small.value
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.Call(func=cst.Attribute(value=receiver)) as call)]):
            calling = [argument for argument in call.args if _calls(argument)]
            return None if _calls(receiver) or len(calling) != 1 or calling[0].star else calling[0].value
        case _:
            return None


def _removes(step: cst.BaseSmallStatement, place: cst.BaseExpression, key: cst.BaseExpression) -> bool:
    item = m.Subscript(_same(place), [m.SubscriptElement(m.Index(_same(key)))])
    return m.matches(step, m.Del(item) | m.Expr(_pattern(place, "pop", key)))


def _pattern(place: cst.BaseExpression, method: str, key: cst.BaseExpression) -> m.Call:
    """``place.method(key)``."""
    return m.Call(m.Attribute(_same(place), m.Name(method)), [m.Arg(_same(key), keyword=None, star="")])


def _same(node: cst.BaseExpression) -> m.MatchIfTrue[cst.BaseExpression]:
    """What reads like ``node``."""
    text = cst.Module([]).code_for_node(node)
    return m.MatchIfTrue(lambda other: cst.Module([]).code_for_node(other) == text)


def _method(place: cst.BaseExpression, name: str, *arguments: cst.BaseExpression) -> cst.Call:
    return cst.Call(cst.Attribute(place, cst.Name(name)), [cst.Arg(argument) for argument in arguments])


def _plain(node: cst.BaseExpression) -> bool:
    """A name, an attribute of one, or a literal: evaluating it once or twice is the same."""
    if isinstance(node, cst.Attribute):
        return _plain(node.value)
    return isinstance(node, (cst.Name, cst.SimpleString, cst.Integer))


def _costs_nothing(node: cst.BaseExpression) -> bool:
    """A literal or an empty container: making it in vain does nothing."""
    match node:
        case cst.Call(func=cst.Name(value="dict" | "list" | "set" | "tuple"), args=[]):
            return True
        case cst.List(elements=[]) | cst.Dict(elements=[]) | cst.Tuple(elements=[]):
            return True
        case _:
            return isinstance(node, (cst.Integer, cst.Float, cst.SimpleString)) or m.matches(
                node, m.Name("True") | m.Name("False")
            )


def _header(block: cst.BaseSuite) -> list[cst.EmptyLine]:
    """The comment behind the head of a block, as a line of its own."""
    comment = block.header.comment if isinstance(block, cst.IndentedBlock) else None
    return [cst.EmptyLine(comment=comment)] if comment is not None else []


class _CopyClauses(cst.CSTTransformer):
    """Lets comprehensions run over a copy."""

    def __init__(self, variable: str) -> None:
        super().__init__()
        self.variable = variable

    def leave_CompFor(self, original_node: cst.CompFor, updated_node: cst.CompFor) -> cst.CompFor:
        if not _mentions(original_node.iter, self.variable):
            return updated_node
        return updated_node.with_changes(iter=_listed(updated_node.iter))


def _listed(node: cst.BaseExpression) -> cst.Call:
    return cst.Call(cst.Name("list"), [cst.Arg(node.with_changes(lpar=[], rpar=[]))])


def _replaced(statement: cst.BaseStatement, part: cst.BaseExpression, name: str) -> cst.SimpleStatementLine:
    """A statement with a name for one of its parts; an argument that was laid out over lines is not any more."""
    assert isinstance(statement, cst.SimpleStatementLine)
    for call in m.findall(statement, m.Call()):
        assert isinstance(call, cst.Call)
        if len(call.args) == 1 and call.args[0].value is part:
            short = call.with_changes(args=[cst.Arg(cst.Name(name))], whitespace_before_args=cst.SimpleWhitespace(""))
            if call.args[0].keyword is None:
                return cst.ensure_type(statement.deep_replace(call, short), cst.SimpleStatementLine)
    return cst.ensure_type(statement.deep_replace(part, cst.Name(name)), cst.SimpleStatementLine)


def _assign(name: str, value: cst.BaseExpression) -> cst.SimpleStatementLine:
    if isinstance(value, cst.NamedExpr) and not value.lpar:
        value = value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.SimpleStatementLine([cst.Assign([cst.AssignTarget(cst.Name(name))], value)])


def _leading(statement: cst.CSTNode) -> Sequence[cst.EmptyLine]:
    found: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return found


def _bare(statement: cst.BaseStatement) -> cst.BaseStatement:
    return statement.with_changes(leading_lines=[]) if hasattr(statement, "leading_lines") else statement


def _mentions(node: cst.CSTNode, variable: str) -> bool:
    return bool(m.findall(node, m.Name(variable)))


def _calls(node: cst.CSTNode) -> set[str]:
    """The last names of what is called; an empty one for what has none."""
    found = set()
    for call in m.findall(node, m.Call()):
        assert isinstance(call, cst.Call)
        match call.func:
            case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
                found.add(name)
            case _:
                found.add("")
    return found


def _suspends(node: cst.CSTNode) -> bool:
    return bool(m.findall(node, m.Await() | m.Yield()))


def _assigns(statement: cst.CSTNode, variable: str) -> bool:
    """Whether a simple statement binds the variable, or an element of it, and does not read it for that."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Assign(targets=targets, value=value)]):
            return not _mentions(value, variable) and any(_mentions(target, variable) for target in targets)
        case cst.SimpleStatementLine(body=[cst.AnnAssign(target=target, value=cst.BaseExpression() as value)]):
            return not _mentions(value, variable) and _mentions(target, variable)
        case _:
            return False
