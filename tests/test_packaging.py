"""The package as it is installed, and the manifest by which napari finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    # A cluster installs the core, the viewer brings its own Qt.
    plain = [line for line in required.splitlines() if line.startswith("requires-dist") and "extra ==" not in line]
    assert plain
    assert not any(binding in line for line in plain for binding in ("pyqt5", "pyqt6", "pyside", "napari["))
