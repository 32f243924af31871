"""The shape of the house: imports run one way; the library has no side effects."""

import ast
import subprocess
import sys
from pathlib import Path

import landmarks_tf

PACKAGE = Path(landmarks_tf.__file__).parent
# A module may import those before it; of the builders none imports another.
ORDER = (
    "errors folder_lock run_folder hosts landmarks wording architectures recipes "
    "config file_cache web_page catalog split split_file preprocessing photo_input "
    "conditions duplicates inspection graph_preprocessing graph_resizing "
    "graph_inspection tflite_file tflite_metadata backbones models explanation "
    "evaluation calibration parity plots report litert "
    "classifier browser_page server model_card sample_parts sample_scenes "
    "sample_photo vectors sample_data data_check data_report download "
    "augmentation features distribution checkpoints pixel_cache epochs served_model "
    "quantization pipeline training exporting prediction tagging"
).split()
BUILDERS = set("pipeline training exporting prediction".split())


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                alias.name.removeprefix("landmarks_tf.")
                for alias in node.names
                if alias.name.startswith("landmarks_tf.")
            }
        elif isinstance(node, ast.ImportFrom) and node.module == "landmarks_tf":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.startswith("landmarks_tf."):
                names.add(node.module.removeprefix("landmarks_tf."))
    return names


def parse(name: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))


def test_every_module_has_its_place():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert modules == set(ORDER)


def test_imports_run_one_way():
    for place, name in enumerate(ORDER):
        own = imported(parse(name))
        assert own <= set(ORDER[:place]), name
        if name in BUILDERS:
            assert not own & BUILDERS, name


def test_library_neither_prints_nor_asserts_nor_reads_flags():
    for name in ORDER:
        for node in ast.walk(parse(name)):
            assert not isinstance(node, ast.Assert), name
            if isinstance(node, ast.Name):
                assert node.id != "print", name
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                assert "absl" not in ast.unparse(node), name


def test_every_recipe_opens_with_its_command():
    recipes = sorted((PACKAGE.parent / "scripts" / "flags").glob("*.flags"))
    assert recipes
    for path in recipes:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# python scripts/train.py"), path
        assert f"--flagfile=scripts/flags/{path.name}" in first, path


def test_importing_the_package_imports_no_tensorflow():
    code = (
        "import sys, landmarks_tf, landmarks_tf.prediction, landmarks_tf.report; "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
