"""The rules of the house, read off the source: who may import whom, and how long a thing may be."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "kitpack"
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

FLOORS = [
    {"_version", "errors"},
    {"settings", "oci"},
    {"document"},
    {"content", "prompts"},
    {"kitfile"},
    {"artifact", "releases"},
    {"absence", "server"},
    {"admission", "places"},
    {"names", "releasing", "verbs"},
    {"checks", "deploying", "gating", "numbering", "promptchanges", "promptplaces", "views"},
    {"runtime"},
    {"cli"},
    {"__main__"},
]
"""What stands on what: a room imports from the floors below and from itself, never from beside or above."""

IMPORTERS = {
    "oras": {"kitpack.content.registry.credentials"},
    "requests": {"kitpack.content.registry.wire"},
    "urllib3": {"kitpack.content.registry.wire"},
    "yaml": {"kitpack.document.yamltext"},
    "jsonschema": {"kitpack.document.schema"},
    "jsonschema_specifications": {"kitpack.document.schema"},
    "referencing": {"kitpack.document.schema"},
    "jinja2": {"kitpack.prompts.counting", "kitpack.prompts.jinja", "kitpack.prompts.sandbox"},
    "tokenizers": {"kitpack.prompts.tokenizers"},
    "httpx2": {"kitpack.runtime.calling.wire"},
    "anyio": {"kitpack.runtime.calling.wire"},
    "zstandard": {"kitpack.artifact.decompress"},
    "tarfile": set[str](),
    "aiohttp": {name for name in MODULES if name.startswith("kitpack.server.")},
    "bcrypt": {"kitpack.server.access"},
    "click": {name for name in MODULES if name.startswith("kitpack.cli")},
    "rich": {"kitpack.cli.progress", "kitpack.cli.render"},
}
"""Who imports what is heavy or foreign; nobody else needs to know that it is there."""

LONGEST_MODULE = 400
LONGEST_FUNCTION = 60


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a module imports, at its top or late, but not those it only names in types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a thing comes from"
            yield node.module or ""
            yield from (full for alias in node.names if (full := f"{node.module}.{alias.name}") in MODULES)


IMPORTS = {name: set(imports(ast.parse(ast.unparse(tree)))) for name, tree in TREES.items()}
PUBLIC = [name for name in MODULES if not name.rpartition(".")[2].startswith("_")]


def floor_of(module: str) -> int:
    room = module.split(".")[1]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_floor() -> None:
    assert {room_of(name) for name in MODULES} - {""} == set[str]().union(*FLOORS)


@pytest.mark.parametrize("name", [name for name in MODULES if name != "kitpack"])
def test_imports_go_downward_only(name: str) -> None:
    used = {one for one in IMPORTS[name] if one.startswith("kitpack.") and room_of(one) != room_of(name)}
    used.discard("kitpack.__main__")
    assert {one for one in used if floor_of(one) >= floor_of(name)} == set()


@pytest.mark.parametrize(("one", "other"), [("store", "registry"), ("registry", "store")])
def test_the_places_of_content_do_not_know_each_other(one: str, other: str) -> None:
    inside = [used for name, used in IMPORTS.items() if name.startswith(f"kitpack.content.{one}.")]
    assert inside
    assert not {used for uses in inside for used in uses if used.startswith(f"kitpack.content.{other}")}


@pytest.mark.parametrize(
    ("room", "known"),
    [
        ("", set[str]()),
        ("packing", {"packing"}),
        ("unpacking", {"unpacking"}),
        ("inspecting", {"inspecting", "packing"}),
    ],
)
def test_the_rooms_of_the_artifact_know_what_they_build_on(room: str, known: set[str]) -> None:
    def inner(module: str) -> str:
        return module.split(".")[2] if module.startswith("kitpack.artifact.") and module.count(".") > 2 else ""

    inside = {name for name in MODULES if name.startswith("kitpack.artifact.") and inner(name) == room}
    found = {inner(used) for name in inside for used in IMPORTS[name]} - {"", room}
    assert inside
    assert found <= known, found


def test_nobody_goes_through_the_front_door_from_inside() -> None:
    through = {name for name, used in IMPORTS.items() if "kitpack" in used}
    allowed = {"kitpack", *(name for name in MODULES if name.startswith("kitpack.cli"))}
    assert through <= allowed


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: {one for one in used if one in MODULES and one != name} for name, used in IMPORTS.items()}
    graph["kitpack"] = set()  # it loads by name, when asked
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # raises when there is one


@pytest.mark.parametrize("library", IMPORTERS)
def test_every_heavy_library_has_its_one_importer(library: str) -> None:
    found = {name for name, used in IMPORTS.items() if any(one.split(".")[0] == library for one in used)}
    if library in ("aiohttp", "click", "rich"):
        assert found <= IMPORTERS[library]
    else:
        assert found == IMPORTERS[library]


def test_nothing_else_foreign_is_imported() -> None:
    tops = {one.split(".")[0] for used in IMPORTS.values() for one in used}
    assert tops - sys.stdlib_module_names - {"kitpack"} <= set(IMPORTERS)


def _listed(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            found = ast.literal_eval(node.value)
            assert isinstance(found, list)
            return found
    raise AssertionError("it has no __all__")


def _defined(tree: ast.Module) -> dict[str, bool]:
    """The names that a module defines itself; whether they are functions or classes."""
    found: dict[str, bool] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = True
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                found.update((one.id, False) for one in ast.walk(target) if isinstance(one, ast.Name))
    return found


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "kitpack" and len(TREES[name].body) > 1])
def test_all_is_what_a_module_defines_for_others(name: str) -> None:
    listed, defined = _listed(TREES[name]), _defined(TREES[name])
    assert len(listed) == len(set(listed))
    assert set(listed) - set(defined) == set(), "listed, but defined elsewhere"
    public = {one for one, is_code in defined.items() if is_code and not one.startswith("_")}
    assert public - set(listed) == set(), "defined, but not listed"


def test_the_front_door_opens_to_everything_it_lists() -> None:
    front = importlib.import_module("kitpack")
    for name in front.__all__:
        assert getattr(front, name) is not None
    with pytest.raises(AttributeError):
        front.nothing  # noqa: B018
    assert set(front.__all__) <= {*dir(front)}


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_too_long_and_each_says_what_it_is_for(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    if TREES[name].body:
        assert ast.get_docstring(TREES[name]), "it has no docstring"


FUNCTIONS = [
    (name, node)
    for name, tree in TREES.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
]


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_too_long() -> None:
    assert [f"{name}.{node.name}" for name, node in FUNCTIONS if _length(node) > LONGEST_FUNCTION] == []


def test_most_functions_are_short() -> None:
    lengths = sorted(_length(node) for _, node in FUNCTIONS)
    assert lengths[len(lengths) // 2] <= 10


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


@pytest.mark.parametrize("name", MODULES)
def test_only_settings_reads_the_environment_and_only_the_command_line_prints_and_exits(name: str) -> None:
    used = set(_names(TREES[name]))
    if name != "kitpack.settings":
        assert not used & {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    if not name.startswith("kitpack.cli"):
        assert not used & {"print", "input", "breakpoint", "sys.exit", "exit", "os._exit", "sys.stdout", "sys.stderr"}
        assert not used & {"sys.argv", "sys.stdin"}
    assert not used & {"eval", "exec", "os.system", "pickle.loads", "yaml.load"}


def test_no_word_that_says_nothing() -> None:
    vague = {"manager", "utils", "util", "common", "misc", "helpers"}
    classes = [node.name for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    names = [*(name.rpartition(".")[2] for name in MODULES), *classes]
    assert [name for name in names if vague & {word.lower() for word in re.findall("[A-Z]?[a-z]+", name)}] == []


HEAVY = [
    "aiohttp",
    "bcrypt",
    "oras",
    "requests",
    "urllib3",
    "yaml",
    "jsonschema",
    "httpx2",
    "jinja2",
    "rich",
    "tokenizers",
    "zstandard",
]


@pytest.mark.parametrize(
    ("statement", "light"),
    [
        ("import kitpack", [*HEAVY, "click", "kitpack.verbs", "kitpack.artifact"]),
        ("import kitpack.cli", [*HEAVY, "kitpack.verbs"]),
        ("import kitpack.verbs, kitpack.checks, kitpack.names", [*HEAVY, "click"]),
        ("from kitpack import inspect, unpack, pack, push", [*HEAVY, "click"]),
    ],
)
def test_starting_loads_nothing_heavy(statement: str, light: list[str]) -> None:
    code = f"import sys\n{statement}\nprint(*[name for name in {light!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
