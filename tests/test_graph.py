"""``racelint graph``: what is drawn of a program, and that each format says so whatever the names are."""

from __future__ import annotations

import html as html_entities
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pydot
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from racelint import cli
from racelint.graph.model import Access, Call, Entry, Function, Graph, Place, Race, from_entry, matching, short_names
from racelint.report.graph import dot, html, layout, mermaid
from racelint.report.graph import json as json_report
from racelint.report.graph.words import labels
from racelint.report.text import safe

FORMATS: tuple[ModuleType, ...] = (dot, mermaid, json_report, html)
HOSTILE = '\x1b[31m\r\n\u202e"\\N`#quot;&lt;<script>alert(1)</script>]]>-->%%{init: {}}%%|;::error::${x}'
APP = """\
import threading

import kopf
from locks import LOCK

PODS = {}
SEEN = {}
QUIET = {}


def add(name):
    if name not in PODS:
        PODS[name] = object()


def count(name):
    with LOCK:
        SEEN[name] = SEEN.get(name, 0) + 1


@kopf.on.create("pods")
def on_create(name, **_):
    add(name)
    count(name)


@kopf.on.update("pods")
def on_update(name, **_):
    add(name)


def sweep():
    with LOCK:
        reset()


def reset():
    SEEN.clear()
    QUIET.clear()


threading.Thread(target=sweep).start()
"""


def hostile(tail: str = "") -> Graph:
    """A graph with terminal escapes and markup in every name."""
    bad = HOSTILE + tail
    return Graph(
        entries=(Entry("e1", f"op.{bad}", "pool", True, f"{bad}.py", 1, f"why {bad}"),),
        functions=(Function("f1", f"op.F.{bad}", f"{bad}.py", 2),),
        places=(Place("p1", f"op.P.{bad}"),),
        calls=(Call("e1", "f1", f"{bad}.py", 3),),
        accesses=(Access("f1", "p1", ("insert", "read"), (f"op.L.{bad}",), f"{bad}.py", (4, 5), ("abc",)),),
        races=(Race("abc", "check-then-act", "RL102", "error", "high", "p1", f"message {bad}"),),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "racelint.toml").touch()
    # In a module of its own: the public functions of one that has a lock would be entry points.
    (tmp_path / "locks.py").write_text("import threading\n\nLOCK = threading.Lock()\n", encoding="utf-8")
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


@pytest.fixture
def draw(project: Path) -> Callable[..., dict[str, Any]]:
    """The graph of the project as JSON, with names in the place of ids."""

    def run(*options: str) -> dict[str, Any]:
        shown = CliRunner().invoke(cli.main, ["graph", "--project", str(project), "--format", "json", *options])
        assert (shown.exit_code, shown.stderr) == (0, "")
        found: dict[str, Any] = json.loads(shown.stdout)
        validator().validate(found)
        names = {n["id"]: n["name"] for key in ("entry_points", "functions", "places") for n in found[key]}
        for edge in [*found["calls"], *found["accesses"], *found["races"]]:
            edge.update({end: names[edge[end]] for end in ("source", "target", "place") if end in edge})
        return found

    return run


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(resources.files("racelint.report").joinpath("graph_schema_v1.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def names(found: dict[str, Any], key: str) -> list[str]:
    return [item["name"] for item in found[key]]


class TestWhatIsDrawn:
    """Places, the ways to them, locks and races."""

    def test_what_findings_are_about(self, draw: Any) -> None:
        found = draw()
        assert names(found, "places") == ["app.PODS"]
        assert names(found, "entry_points") == ["app.on_create", "app.on_update"]
        assert {(call["source"], call["target"], call["line"]) for call in found["calls"]} == {
            ("app.on_create", "app.add", 23),
            ("app.on_update", "app.add", 29),
        }
        (race,) = found["races"]
        (access,) = found["accesses"]
        assert (race["code"], race["place"]) == ("RL102", "app.PODS")
        assert (access["source"], access["kinds"], access["locks"]) == ("app.add", ["insert", "read"], [])
        assert (access["lines"], access["races"]) == ([12, 13], [race["fingerprint"]])

    def test_all_shared_places(self, draw: Any) -> None:
        found = draw("--all")
        # QUIET is changed by one thread alone.
        assert names(found, "places") == ["app.PODS", "app.SEEN"]
        locks = {(a["source"], a["place"]): (a["kinds"], a["locks"], a["races"]) for a in found["accesses"]}
        assert locks["app.count", "app.SEEN"] == (["insert", "read"], ["locks.LOCK"], [])
        # The lock is the caller's.
        assert locks["app.reset", "app.SEEN"] == (["delete"], ["locks.LOCK"], [])
        kinds = {entry["name"]: entry["kind"] for entry in found["entry_points"]}
        assert kinds == {"app.on_create": "pool", "app.on_update": "pool", "app.sweep": "thread"}

    @pytest.mark.parametrize("name", ["app.QUIET", "QUIET"])
    def test_a_place_in_focus_need_not_be_shared(self, draw: Any, name: str) -> None:
        found = draw("--focus", name)
        assert (names(found, "places"), names(found, "entry_points")) == (["app.QUIET"], ["app.sweep"])
        assert [(call["source"], call["target"]) for call in found["calls"]] == [("app.sweep", "app.reset")]

    def test_an_entry_point_in_focus(self, draw: Any) -> None:
        found = draw("--focus", "on_update")
        assert (names(found, "entry_points"), names(found, "functions")) == (["app.on_update"], ["app.add"])
        assert (names(found, "places"), len(found["races"])) == (["app.PODS"], 1)

    def test_every_entry_point_is_drawn_however_many_lead_to_one_function(self, project: Path, draw: Any) -> None:
        handlers = "".join(
            f'\n\n@kopf.on.field("pods", field="f{n}")\ndef on_{n}(name, **_):\n    add(name)\n' for n in range(9)
        )
        (project / "app.py").write_text(APP + handlers, encoding="utf-8")
        found = draw("--focus", "PODS")
        assert len({call["source"] for call in found["calls"]}) == len(found["entry_points"]) == 11

    def test_a_function_that_is_an_entry_point_and_is_called_is_drawn_as_both(self, project: Path, draw: Any) -> None:
        text = APP.replace("    add(name)\n    count(name)\n", "    on_update(name)\n", 1)
        (project / "app.py").write_text(text, encoding="utf-8")
        found = draw()
        assert ("app.on_update" in names(found, "functions"), "app.on_update" in names(found, "entry_points")) == (
            True,
            True,
        )

    def test_paths_choose_the_places(self, project: Path, draw: Any) -> None:
        (project / "other.py").touch()
        (project / "app.py").write_text(APP, encoding="utf-8")
        assert names(draw(str(project / "other.py")), "places") == []
        assert names(draw("--all", str(project / "other.py")), "places") == []
        assert names(draw("--all", str(project / "app.py")), "places") == ["app.PODS", "app.SEEN"]

    def test_a_silenced_finding_is_no_race(self, project: Path, draw: Any) -> None:
        silenced = APP.replace("not in PODS:", "not in PODS:  # racelint: ignore one of them wins")
        (project / "app.py").write_text(silenced, encoding="utf-8")
        assert draw()["places"] == []
        found = draw("--focus", "PODS")
        assert (found["races"], [access["races"] for access in found["accesses"]]) == ([], [[]])

    def test_the_side_without_the_lock_is_the_racing_one(self, project: Path, draw: Any) -> None:
        text = APP.replace("    add(name)\n    count(name)\n", "    add(name)\n    with LOCK:\n        add(name)\n", 1)
        (project / "app.py").write_text(text, encoding="utf-8")
        found = draw()
        assert {(tuple(a["locks"]), bool(a["races"])) for a in found["accesses"]} >= {((), True)}
        assert ((("locks.LOCK",), True)) not in {(tuple(a["locks"]), bool(a["races"])) for a in found["accesses"]}

    def test_nothing_to_draw(self, tmp_path: Path) -> None:
        (tmp_path / "racelint.toml").touch()
        for name in ("dot", "mermaid", "json", "html"):
            shown = CliRunner().invoke(cli.main, ["graph", "--project", str(tmp_path), "--format", name])
            assert (shown.exit_code, shown.stderr) == (0, "")

    @pytest.mark.parametrize("name", ["dot", "mermaid", "json", "html"])
    def test_two_runs_draw_the_same(self, project: Path, name: str) -> None:
        first, second = (
            CliRunner().invoke(cli.main, ["graph", "--all", "--project", str(project), "--format", name]).stdout
            for _ in range(2)
        )
        assert first == second
        assert "PODS" in first

    def test_into_a_file(self, project: Path) -> None:
        file = project / "graph.dot"
        shown = CliRunner().invoke(cli.main, ["graph", "--project", str(project), "--output-file", str(file)])
        assert (shown.exit_code, shown.stdout) == (0, "")
        assert file.read_text(encoding="utf-8").startswith("digraph racelint {\n")


class TestNames:
    """``--focus``."""

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("PDOS", "no shared place and no entry point is called 'PDOS', did you mean 'PODS'?"),
            ("app.on_creat", "did you mean 'app.on_create'?"),
            ("reset", "no shared place and no entry point is called 'reset'"),
            ("\x1b[31m", "called '\\x1b[31m'"),
        ],
    )
    def test_unknown_ones(self, project: Path, name: str, message: str) -> None:
        shown = CliRunner().invoke(cli.main, ["graph", "--project", str(project), "--focus", name])
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert message in shown.stderr

    def test_ambiguous_ones(self, project: Path) -> None:
        (project / "more.py").write_text(APP, encoding="utf-8")
        shown = CliRunner().invoke(cli.main, ["graph", "--project", str(project), "--focus", "PODS"])
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "'PODS' may be any of app.PODS, more.PODS" in shown.stderr

    def test_tails(self) -> None:
        known = ["a.b.C.d", "x.b.C.d", "x.C.d", "a.e", "m"]
        assert matching("C.d", known) == ("a.b.C.d", "x.C.d", "x.b.C.d")
        assert matching("a.e", known) == matching("e", known) == ("a.e",)
        assert matching(".d", known) == matching("b", known) == ()
        assert short_names(known) == {
            "a.b.C.d": "a.b.C.d",
            "x.b.C.d": "x.b.C.d",
            "x.C.d": "x.C.d",
            "a.e": "a.e",
            "m": "m",
        }
        assert short_names(["p.q.A.b", "p.q.C.b"]) == {"p.q.A.b": "A.b", "p.q.C.b": "C.b"}

    @given(st.sets(st.lists(st.sampled_from(["a", "b", "C"]), min_size=1, max_size=4).map(".".join), max_size=8))
    def test_short_names_tell_names_apart(self, known: set[str]) -> None:
        short = short_names(known)
        assert len(set(short.values())) == len(known)
        assert all(matching(short[name], known) == (name,) or short[name] == name for name in known)

    def test_cycles_do_not_matter(self) -> None:
        entries = tuple(Entry(f"e{n}", f"m.e{n}", "thread", False, "m.py", n, "") for n in (1, 2))
        functions = tuple(Function(f"f{n}", f"m.f{n}", "m.py", n) for n in (1, 2, 3))
        ends = [("e1", "f1"), ("f1", "f2"), ("f2", "f1"), ("e2", "f3")]
        calls = tuple(Call(source, target, "m.py", 1) for source, target in ends)
        accesses = tuple(Access(f, p, ("read",), (), "m.py", (1,)) for f, p in (("f2", "p1"), ("f3", "p2")))
        graph = Graph(entries, functions, (Place("p1", "m.p1"), Place("p2", "m.p2")), calls, accesses)
        part = from_entry(graph, "m.e1")
        assert part == Graph(entries[:1], functions[:2], graph.places[:1], calls[:3], accesses[:1])
        assert set(layout.layout(graph, dict.fromkeys(graph.names(), (4, 1))).boxes) == set(graph.names())


def parsed(text: str) -> Any:
    """The one graph in a DOT text."""
    graphs = pydot.graph_from_dot_data(text)
    assert graphs is not None
    (graph,) = graphs
    return graph


def plain(text: str) -> str:
    """What Graphviz makes of a quoted string."""
    inner = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])
    return html_entities.unescape(inner)


# pydot calls pyparsing by names that newer releases of it deprecate.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pydot", "ignore:.*deprecated - use:DeprecationWarning")
class TestDot:
    """DOT, read by pydot."""

    def test_nodes_edges_and_marks(self) -> None:
        graph = parsed(dot.render(hostile()))
        (cluster,) = graph.get_subgraphs()
        assert plain(cluster.get_label()) == "thread pool"
        (entry,) = cluster.get_nodes()
        nodes = {node.get_name(): node for node in [entry, *graph.get_nodes()]}
        assert {"e1", "f1", "p1"} <= set(nodes)
        for name, label in labels(hostile()).items():
            assert plain(nodes[name].get_label()).split("\n") == list(label.lines)
            assert plain(nodes[name].get_tooltip()) == label.tip
        call, access = graph.get_edges()
        assert ((call.get_source(), call.get_destination()), call.get_style()) == (("e1", "f1"), None)
        assert (access.get_source(), access.get_destination(), access.get_style()) == ("f1", "p1", "bold")
        assert (access.get_color(), nodes["p1"].get_color(), nodes["f1"].get_color()) == ("red3", "red3", None)
        assert plain(access.get_label()).split("\n") == [
            "insert, read",
            f"holding L.{safe(HOSTILE)}".replace("op.", ""),
        ]

    @given(st.text())
    def test_any_text_is_one_string(self, text: str) -> None:
        line = safe(text)
        graph = parsed(f"digraph {{ a [label={dot.quoted([line, 'x'])}]; b; }}")
        first, second = graph.get_nodes()
        assert (plain(first.get_label()), second.get_name()) == (f"{line}\nx", "b")


class TestMermaid:
    """Mermaid, by the grammar of what is written."""

    LABEL = r'"(?:[\w .,/()=+*-]|#\w+;|<br/>)*"'
    LINE = re.compile(
        rf"flowchart LR|  subgraph c\d+\[{LABEL}\]|  end|    e\d+\[{LABEL}\]|  f\d+\({LABEL}\)|  p\d+\[\({LABEL}\)\]"
        rf"|  [ef]\d+ --> f\d+|  [ef]\d+ (?:--|==)>\|{LABEL}\| p\d+"
        r"|  classDef race [\w:#,-]+|  class p\d+(?:,p\d+)* race|  linkStyle \d+(?:,\d+)* [\w:#,-]+"
    )

    def test_every_line_is_a_statement(self) -> None:
        lines = mermaid.render(hostile()).splitlines()
        assert [line for line in lines if not self.LINE.fullmatch(line)] == []
        assert len(lines) == 11
        assert "linkStyle 1 " in lines[-1]

    @given(st.text())
    def test_labels_say_what_they_should(self, text: str) -> None:
        quoted = mermaid.quoted([safe(text)])
        assert re.fullmatch(self.LABEL, quoted)
        codes = {"quot": '"', "amp": "&", "lt": "<", "gt": ">"}
        decoded = re.sub(r"#(\w+);", lambda found: codes.get(found[1]) or chr(int(found[1])), quoted[1:-1])
        assert decoded == safe(text)


class TestJson:
    """JSON, by its schema."""

    def test_follows_the_schema_and_is_ascii(self) -> None:
        text = json_report.render(hostile("é"))
        assert text.isascii()
        found = json.loads(text)
        validator().validate(found)
        assert found["places"][0]["name"] == f"op.P.{HOSTILE}é"

    def test_the_schema_is_strict(self) -> None:
        found = json_report.document(hostile())
        found["accesses"][0]["kind"] = "read"
        assert not validator().is_valid(found)


class _Page(HTMLParser):
    """The elements of a page and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts.append(data)


class TestHtml:
    """The page, read by an HTML parser."""

    def test_the_data_cannot_break_out(self) -> None:
        page = _Page(html.render(hostile()))
        scripts = [attributes for tag, attributes in page.tags if tag == "script"]
        assert [attributes["type"] for attributes in scripts] == ["application/json"]
        (data,) = page.scripts
        assert json.loads(data) == json.loads(json_report.render(hostile()))

    def test_it_loads_nothing_and_runs_nothing(self) -> None:
        text = html.render(hostile())
        for tag, attributes in _Page(text).tags:
            assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "a"}
            assert not [key for key in attributes if key.startswith("on") or key in {"src", "href", "style"}]
        assert "default-src &#x27;none&#x27;" in text
        assert "url(" not in text.replace('marker-end="url(#tip)"', "")

    def test_no_control_characters(self) -> None:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", html.render(hostile()))

    def test_the_drawing_is_well_formed_and_complete(self, project: Path) -> None:
        shown = CliRunner().invoke(cli.main, ["graph", "--all", "--project", str(project), "--format", "html"])
        found = re.search(r"<svg.*?</svg>", shown.stdout, re.DOTALL)
        assert found is not None
        drawing = ElementTree.fromstring(found[0])
        texts = ["".join(element.itertext()) for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
        assert {"app.on_create", "app.sweep", "app.add", "app.PODS", "app.SEEN"} <= set(texts)
        assert "insert, read, no lock" in texts
        assert '<tr class="race"><td>app.add</td>' in shown.stdout

    def test_nodes_do_not_overlap(self) -> None:
        entries = tuple(Entry(f"e{n}", f"m.e{n}", "thread", False, "m.py", n, "") for n in range(1, 5))
        functions = tuple(Function(f"f{n}", f"m.f{n}", "m.py", n) for n in range(1, 8))
        places = tuple(Place(f"p{n}", f"m.p{n}") for n in range(1, 4))
        calls = tuple(Call(f"e{1 + n % 4}", f"f{n}", "m.py", 1) for n in range(1, 8))
        graph = Graph(entries, functions, places, calls)
        page = layout.layout(graph, {node: (10 + len(node), 2) for node in graph.names()})
        boxes = list(page.boxes.values())
        assert len(boxes) == 14
        for index, a in enumerate(boxes):
            assert 0 < a.x < a.x + a.width < page.width
            assert 0 < a.y < a.y + a.height < page.height
            for b in boxes[index + 1 :]:
                apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.y + a.height <= b.y or b.y + b.height <= a.y
                assert apart


@pytest.mark.parametrize("renderer", FORMATS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_nothing_hostile_gets_through(renderer: ModuleType) -> None:
    text: str = renderer.render(hostile())
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text)
    assert not re.search(r"^::error", text, re.MULTILINE)
