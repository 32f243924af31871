"""The shape of the house: rooms import one way; the library has no side effects."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import landmarks_tf

PACKAGE = Path(landmarks_tf.__file__).parent
# In reading order: a room imports those before it, and the modules beside them.
ROOMS = "data samples models evaluation inference export training commands".split()
# Its tables are what the settings may be.
TABLES = "models.presets"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def parse(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def rank(name: str) -> int:
    room, _, module = name.partition(".")
    return ROOMS.index(room) if module else -1


def imported(name: str) -> Iterator[str]:
    for node in ast.walk(parse(name)):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = node.module.removeprefix("landmarks_tf").strip(".")
            if node.module.split(".")[0] == "landmarks_tf":
                names = [f"{package}.{alias.name}".strip(".") for alias in node.names]
                yield from (x if x in MODULES else package for x in names)


@pytest.mark.parametrize("name", MODULES)
def test_rooms_import_one_way(name):
    for other in set(imported(name)) - {"", TABLES}:
        assert rank(other) <= rank(name), other


def test_tables_import_nothing_of_the_project():
    assert not list(imported(TABLES))


@pytest.mark.parametrize("name", MODULES)
def test_only_commands_print_or_know_flags(name):
    for node in ast.walk(parse(name)):
        assert not isinstance(node, ast.Assert)
        if name.startswith("commands."):
            continue
        if isinstance(node, ast.Name):
            assert node.id != "print"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert "absl" not in ast.unparse(node)


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_short(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 340
    for node in ast.walk(parse(name)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name
            taken = [*node.args.args, *node.args.kwonlyargs]
            own = [arg for arg in taken if arg.arg not in ("self", "cls")]
            assert len(own) <= 6, node.name


@pytest.mark.parametrize("name", MODULES)
def test_no_sentence_begins_with_of(name):
    text = MODULES[name].read_text(encoding="utf-8")
    found = re.findall(r"(?:# |\"\"\"|\"|\. |^\s+)Of [^\n]*", text, re.MULTILINE)
    assert not found


def test_launchers_are_a_few_lines():
    for path in (PACKAGE.parent / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 20


def test_every_recipe_opens_with_its_command():
    recipes = sorted((PACKAGE.parent / "scripts" / "flags").glob("*.flags"))
    assert recipes
    for path in recipes:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# python scripts/train.py"), path
        assert f"--flagfile=scripts/flags/{path.name}" in first, path


def test_importing_the_package_imports_no_tensorflow():
    code = (
        "import sys, landmarks_tf, landmarks_tf.inference.classifier; "
        "import landmarks_tf.evaluation.report; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
