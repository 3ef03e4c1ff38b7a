"""The package as it is installed, what it needs, and the manifest by which napari finds it."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from napari_deep_prior.tasks import TASKS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "napari_deep_prior"
MANIFEST = PACKAGE / "napari.yaml"
PLUGIN = "napari-deep-prior"

Run = Callable[..., subprocess.CompletedProcess[str]]

npe2 = pytest.importorskip("npe2")


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads(npe2.PluginManifest.from_file(MANIFEST).json(exclude_unset=True))["contributions"]


@pytest.mark.skipif(sys.platform == "win32", reason="git makes no links there unless it is told to")
def test_the_manifest_on_top_is_a_relative_link_to_the_one_in_the_package() -> None:
    link = ROOT / "napari.yaml"
    assert link.is_symlink()
    assert link.readlink() == Path("src/napari_deep_prior/napari.yaml")
    assert link.resolve() == MANIFEST.resolve()


def test_npe2_finds_the_manifest_valid(run_python: Run) -> None:
    for manifest in (str(MANIFEST), PLUGIN):
        done = run_python("-m", "npe2", "validate", manifest)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "valid" in done.stdout + done.stderr


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_command_a_widget_and_a_menu_entry(manifest: dict[str, Any], task: str) -> None:
    # npe2 knows no hyphens there.
    command = f"{PLUGIN}.{task.replace('-', '_')}"
    assert command in {entry["id"] for entry in manifest["commands"]}
    assert command in {entry["command"] for entry in manifest["widgets"]}
    submenus = {entry["submenu"] for entry in manifest["menus"]["napari/layers/filter"] if "submenu" in entry}
    assert any(entry.get("command") == command for submenu in submenus for entry in manifest["menus"].get(submenu, []))


def test_every_contribution_has_its_command_and_every_command_is_used(manifest: dict[str, Any]) -> None:
    known = {entry["id"] for entry in manifest["commands"]}
    used = {
        entry["command"]
        for kind in ("widgets", "sample_data", "readers", "writers")
        for entry in manifest[kind]
        if "command" in entry
    }
    assert used == known
    assert all(name.startswith(f"{PLUGIN}.") for name in known)
    defined = {entry["id"] for entry in manifest["submenus"]}
    assert {menu for menu in manifest["menus"] if not menu.startswith("napari/")} == defined


def test_every_command_of_the_manifest_leads_to_something_that_can_be_called(
    manifest: dict[str, Any], run_python: Run
) -> None:
    names = [entry["python_name"] for entry in manifest["commands"]]
    code = """
import importlib, sys
for name in sys.argv[1:]:
    module, _, attribute = name.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute)), name
"""
    done = run_python("-c", code, *names, QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 0, done.stderr


FIND = """
import json
from importlib.metadata import distribution
import npe2, napari_deep_prior
found = distribution("napari-deep-prior")
manager = npe2.PluginManager()
manager.discover()
manifest = manager.get_manifest("napari-deep-prior")
print(json.dumps({
    "distribution": str(found.locate_file("")),
    "module": napari_deep_prior.__file__,
    "commands": [command.id for command in manifest.contributions.commands],
    "version": manifest.package_version,
    "script": [entry.value for entry in found.entry_points if entry.group == "console_scripts"],
}))
"""


def command(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path, python: Path | str = sys.executable, cwd: Path) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    command(sys.executable, "-m", "pip", "--python", python, *arguments, *quiet, cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", ROOT, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.parametrize("way", ["folder", "editable", "wheel"])
def test_an_installed_package_shows_its_plugin(tmp_path: Path, wheel: Path, manifest: dict[str, Any], way: str) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=sys.platform != "win32")
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    packages = Path(
        command(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    # What is needed besides comes from the outer environment.
    (packages / "outer.pth").write_text(sysconfig.get_path("purelib"))
    what = {"folder": [ROOT], "editable": ["--editable", ROOT], "wheel": [wheel]}[way]
    pip("install", "--no-deps", "--no-build-isolation", "--ignore-installed", *what, python=python, cwd=tmp_path)
    found = json.loads(command(python, "-c", FIND, cwd=tmp_path))
    assert Path(found["distribution"]).resolve() == packages.resolve()
    home = PACKAGE if way == "editable" else packages / "napari_deep_prior"
    assert Path(found["module"]).resolve() == (home / "__init__.py").resolve()
    assert found["commands"] == [entry["id"] for entry in manifest["commands"]]
    assert found["script"] == ["napari_deep_prior.__main__:main"]


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert archive.read("napari_deep_prior/napari.yaml") == MANIFEST.read_bytes()
        metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
        required = archive.read(metadata).decode().lower()
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert names == {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    assert "napari_deep_prior/py.typed" in names
    # A cluster installs the core.
    plain = [line for line in required.splitlines() if line.startswith("requires-dist") and "extra ==" not in line]
    assert plain
    assert not any(name in line for line in plain for name in ("pyqt", "pyside", "qtpy", "napari", "magicgui"))


# What the package needs

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "dask_jobqueue": "dask-jobqueue"}
"""Distributions that are not called as the module that they bring."""


def declared(*extras: str) -> set[str]:
    """Return the distributions that these extras need, or the core if none is given."""
    lists = [PROJECT["optional-dependencies"][extra] for extra in extras] if extras else [PROJECT["dependencies"]]
    return {re.match(r"[\w.-]+", requirement)[0].lower() for requirements in lists for requirement in requirements}


def executed(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.FunctionDef) or (
            isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test)
        ):
            continue
        for part in ast.iter_child_nodes(statement):
            inner = getattr(part, "body", [])
            yield from executed([part] if isinstance(part, ast.stmt) else inner if isinstance(inner, list) else [])


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the distributions that these nodes import, without those of the standard library."""
    modules = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split(".")[0])
    return {DISTRIBUTIONS.get(name, name).lower() for name in modules - set(sys.stdlib_module_names)}


def sources(*, plugin: bool) -> dict[str, ast.Module]:
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {
        name: ast.parse(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if name.startswith("plugin/") == plugin
    }


@pytest.mark.parametrize("plugin", [False, True], ids=["core", "plugin"])
def test_every_import_is_of_a_declared_dependency(plugin: bool) -> None:
    always = declared() | (declared("napari") if plugin else set())
    missing = {}
    for name, tree in sources(plugin=plugin).items():
        missing[name] = imported(executed(tree.body)) - always
        missing[name] |= imported(ast.walk(tree)) - always - declared("cluster", "zarr")
    assert not {name: found for name, found in missing.items() if found}


def test_every_dependency_is_imported_somewhere() -> None:
    core = set().union(*(imported(ast.walk(tree)) for tree in sources(plugin=False).values()))
    assert declared() <= core
    plugin = set().union(*(imported(ast.walk(tree)) for tree in sources(plugin=True).values()))
    assert declared("napari") <= plugin


def test_what_a_module_imports_is_found() -> None:
    text = """
import os, PIL.Image
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import napari
try:
    from scipy.ndimage import label
except ImportError:
    from . import settings
class Method:
    import numpy.fft
    def fit(self):
        from zarr import open_array
"""
    tree = ast.parse(text)
    assert imported(executed(tree.body)) == {"pillow", "scipy", "numpy"}
    assert imported(ast.walk(tree)) == {"pillow", "scipy", "numpy", "napari", "zarr"}


BLOCK = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
absent = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
for name in sys.argv[2:]:
    importlib.import_module(name)
from napari_deep_prior import __all__
from napari_deep_prior.__main__ import main
sys.argv[1:] = ["denoise", "--help"]
main()
"""


def test_the_core_works_where_only_the_core_is_installed(run_python: Run) -> None:
    absent = [
        "napari",
        "qtpy",
        "PyQt5",
        "PyQt6",
        "PySide6",
        "magicgui",
        "psygnal",
        "superqt",
        "pyqtgraph",
        "vispy",
        "dask",
        "distributed",
        "zarr",
    ]
    modules = [
        ".".join(("napari_deep_prior", *Path(name).with_suffix("").parts)).removesuffix(".__init__")
        for name in sources(plugin=False)
        if name != "__main__.py"
    ]
    done = run_python("-c", BLOCK, ",".join(absent), *modules)
    assert done.returncode == 0, done.stderr
    assert "usage: deep-prior denoise" in done.stdout


# What others see of the project


def test_pictures_of_the_readme_are_seen_outside_of_the_repository() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert pictures
    for address in pictures:
        repository, _, path = address.partition("/main/")
        assert repository == PROJECT["urls"]["Homepage"].replace("github.com", "raw.githubusercontent.com")
        assert (ROOT / path).is_file()


def test_hosted_ci_tests_every_python_that_is_promised() -> None:
    promised = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)}
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert {entry["python"] for entry in tested} == promised
    assert {entry["system"].partition("-")[0] for entry in tested} == {"ubuntu", "windows", "macos"}
    assert min(promised, key=lambda name: int(name.partition(".")[2])) == PROJECT["requires-python"].removeprefix(">=")
