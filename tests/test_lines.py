"""Lines are counted by hand while a tree is walked: no way to break a statement into lines makes the count go wrong.

Every construct of the language, as far as LibCST reads it, is broken at every gap between two of its tokens, by a
backslash, and in brackets by a plain newline and by one with a comment before it.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import suppress

import libcst as cst
import pytest

from racelint.fix.edit import edit, spliced
from racelint.fix.regions import NotPlaced
from racelint.frontends.python.extract import SyntaxProblem, extract
from racelint.model import facts as f

# By the version of Python that has it; each construct is followed by a function, whose line tells whether all is well.
CONSTRUCTS: dict[tuple[int, int], tuple[str, ...]] = {
    (3, 10): (
        "\\\n\nx = y",
        "x = y\n\\\n\n\n\f\\\n\n# why\ny = z",
        "x = (\n\\\n\n  y\n  \\\n  # why\n\n )",
        "x = y",
        "x = y = z",
        "a.b [ c ] = d . e",
        "a , * b = c , d",
        "( a , [ b , * c ] ) = d",
        "x : int = y",
        "a . b : int",
        "x : 'list[int]' = y",
        "x : ( 'list[int]' )",
        "def f ( a : ( 'int' ) = ( 'b' ) ) -> ( 'int' ) : pass",
        "( 'a' ) if ( f'b' ) else ( b'c' )",
        "[ ( 'a' ) for ( b ) in ( 'c' ) ]",
        "{ ( 'a' ) : ( 'b' ) for ( c ) in d }",
        "x += y",
        "a . b *= c",
        "a [ b ] -= c",
        "del a , b . c , d [ e ]",
        "del ( a , b )",
        "del [ a ]",
        "assert a , b",
        "assert a",
        "raise",
        "raise A",
        "raise A from b",
        "pass ; pass ;",
        "import a . b , c as d",
        "from a . b import c as d , e",
        "from . import a",
        "from .. a import b",
        "from a import ( b , c as d , )",
        "from a import *",
        "global a , b",
        "x",
        "a ( b , * c , d = e , ** f )",
        "a ( ) ( )",
        "a ( b for b in c )",
        "super ( )",
        "a . acquire ( ) ; a . release ( )",
        "a [ b : c : d , ... ]",
        "a [ : ]",
        "a [ b : ]",
        "a [ : : b ]",
        "a [ b , c ]",
        "a + b * c ** - d",
        "a and b or not c",
        "a < b in c not in d is e is not f",
        "a if b else c",
        "lambda : a",
        "lambda a , b = c , / , d = e , * , f = g , ** h : i",
        "lambda * a , b : c",
        "[ ]",
        "[ a , * b , ]",
        "( )",
        "( a , )",
        "( ( a ) )",
        "{ a , * b }",
        "{ a : b , ** c , }",
        "{ }",
        "[ a for b in c if d if e for f , * g in h ]",
        "{ a for ( b , c ) in d }",
        "{ a : b for c in d if e }",
        "( a for b in c )",
        "( a := b )",
        "[ ( a := b ) for c in d ]",
        "1 + 1.5 + 1j + 0x1F + ... + True",
        "'a' 'b' \"c\"",
        "'a' f'b{ c }d' 'e'",
        "f'{ a !r:>{ b }}'",
        "'''a\nb''' 'c'",
        "f'''a\n{ b }\n{ c :{ d }}\n'''",
        "if a : pass",
        "if a : b\nelif c : d\nelse : e",
        "if a :\n    b\nelif c :\n    d\nelse :\n    e",
        "while a : b\nelse : c",
        "for a , b in c , d : e\nelse : f",
        "for a . b in c :\n    pass",
        "for a [ b ] in c : pass",
        "try : a\nexcept : b",
        "try : a\nexcept A : b\nexcept ( B , C ) as d : e\nelse : f\nfinally : g",
        "try :\n    a\nfinally :\n    b",
        "with a : b",
        "with a as b , c as ( d , e ) : f",
        "with ( a as b , c , ) : d",
        "with ( a , b ) : c",
        "with a . b as c [ d ] :\n    e",
        "def f ( ) : pass",
        "def f ( a , b : int = c , / , d = e , * f , g , h : int = i , ** j : int ) -> k : l",
        "def f ( a , * , b ) :\n    pass",
        "def f ( a , ) : pass",
        "@ a . b ( c )\n@ d\ndef f ( ) : pass",
        "@ a\nclass A : pass",
        "class A : pass",
        "class A ( ) : pass",
        "class A ( B , * c , d = e , ** f ) :\n    a : int = b\n    def f ( self ) : super ( ) . f ( )",
        "async def f ( ) :\n    await a ; await a ( b )",
        "async def f ( ) :\n    async for a in b : pass\n    async with a as b , c : pass",
        "async def f ( ) :\n    return [ a async for b in c if await d ]",
        "async def f ( ) :\n    yield a",
        "def f ( ) :\n    nonlocal_ = yield\n    a = yield b , c\n    yield from d\n    return a",
        "def f ( ) :\n    return",
        "def f ( ) :\n    return a , * b",
        "def f ( ) :\n    a = b\n    def g ( ) :\n        nonlocal a\n        a += 1",
        "while a :\n    break\nfor a in b :\n    continue",
        "match a :\n    case b : pass",
        "match a , b :\n    case [ 1 , * _ , ( 2 | 3 ) as c ] if d : pass\n    case - 1 + 2j : pass",
        "match a :\n    case { 'b' : c , ** d } : pass\n    case A . B ( 1 , c = D ( ) , ) : pass\n    case _ : pass",
        "match a :\n    case 'b' 'c' | None : pass\n    case ( ) : pass\n    case ( b , * c ) : pass",
    ),
    (3, 11): (
        "try : a\nexcept * A : b\nexcept * ( B , C ) as d : e",
        "a [ * b , c ]",
        "def f ( * a : * b ) : pass",
    ),
    (3, 12): (
        "type A = b",
        "type A [ T : int , * B , ** P ] = c",
        "def f [ T : int , * B , ** P ] ( a : T ) -> T : pass",
        "class A [ T : ( int , str ) ] : pass",
        "class A [ T ] ( B [ T ] ) : pass",
        "f'{ 'a' + f'{ b }' }'",
        "f'{ a\n}'",
        "f'{ a = }'",
    ),
    (3, 13): (
        "type A [ T = int , * B = * c , ** P = [ int ] ] = d",
        "class A [ T = int ] : pass",
    ),
    (3, 14): (
        "t'a{ b }c'",
        "t'''a\n{ b !r:>{ c }}\n{ d }'''",
        "t'{ a\n}' 'b'",
    ),
}
BREAKS = ("\\\n", "\n", "  # why\n")
AFTER = "\ndef after(): pass\n"


def gaps(text: str) -> Iterator[int]:
    """The places before which a space stands between two tokens of one line."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    end = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        if end and text[end:start] == " " and token.start[1]:
            yield start
        end = starts[token.end[0] - 1] + token.end[1]


def variants(text: str) -> Iterator[str]:
    """The text, and the text broken at each gap, in each way that Python takes."""
    yield text
    yield text + " \\\n"
    for place in gaps(text):
        for mark in BREAKS:
            yield text[:place] + mark + text[place:]


def valid(text: str) -> bool:
    """Whether this Python compiles it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError:
        return False
    return True


@pytest.mark.parametrize("text", [text for texts in CONSTRUCTS.values() for text in texts])
def test_a_broken_statement_moves_nothing(text: str) -> None:
    known = next(version for version, texts in CONSTRUCTS.items() if text in texts) <= sys.version_info[:2]
    tried = 0
    for variant in variants(text) if known else [text]:
        source = variant + AFTER
        if known and not valid(source):
            continue
        tried += 1
        try:
            facts = extract(source.encode(), "m")
        except SyntaxProblem:
            # LibCST takes a few of the odder breaks for errors; it says so, and no line is wrong.
            assert variant != text
            continue
        (after,) = (function for function in facts.functions if function.name == "after")
        try:
            rendered = cst.parse_module(source).code
        except (cst.CSTValidationError, AttributeError):  # what is checked there is not checked for reading
            rendered = ""
            assert after.line == source.count("\n")
        if rendered.count("\n") != source.count("\n"):
            # It forgets a newline after the stars of patterns and type parameters, and before the colon of a handler.
            assert variant != text
            with pytest.raises(NotPlaced):
                edit(source.encode(), "m.py", ())
            continue
        assert (variant, after.line, facts.lines) == (variant, source.count("\n"), source.count("\n"))
        assert spliced(source.encode(), rendered.encode(), rendered.encode()) == source.encode()
    assert tried


@pytest.mark.parametrize(
    "text",
    [
        "x = t'a' t'b'\n",  # CSTLogicError
        "async def f():\n    return [a async\n for b in c]\n",  # AttributeError
    ],
)
def test_what_the_parser_fails_on_is_told_like_an_error_in_the_file(text: str) -> None:
    with suppress(SyntaxProblem):  # a later LibCST may read it
        extract(text.encode(), "m")


class PanicException(BaseException):
    """Like ``pyo3_runtime.PanicException``, which native code raises where it has a bug."""


def test_a_panic_of_the_parser_costs_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def panicking(_source: bytes) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(cst, "parse_module", panicking)
    with pytest.raises(
        SyntaxProblem, match=r"^the parser, LibCST, fails on it \(PanicException: index out of bounds\)$"
    ):
        extract(b"x = 1\n", "m")


@pytest.mark.parametrize("alias", ["A = B", "type A = B", "type A[T] = B"])
def test_a_type_alias_is_bound_like_any_name(alias: str) -> None:
    facts = extract(f"class B: ...\n{alias}\n".encode(), "m")
    (body,) = (function for function in facts.functions if function.kind == "module")
    stores = [event for event in body.events if isinstance(event, f.Access) and event.kind == "store"]
    bound = {getattr(body.nodes[event.target], "name", ""): body.nodes[event.value] for event in stores}
    assert bound["A"] == f.Global("B")
