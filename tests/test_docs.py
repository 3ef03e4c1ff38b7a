"""The pages of the documentation: their links lead somewhere, their code runs, their commands are understood."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from PIL import Image

from napari_deep_prior import EFFORTS, METHODS, NETWORKS, Denoise, Guided, TrainingSettings, UNet, settings_for
from napari_deep_prior.arrays.phantom import Camera, cells
from napari_deep_prior.cli.compare import COMMAND
from napari_deep_prior.cli.main import DONE, main
from napari_deep_prior.files import images
from napari_deep_prior.files.model_files import write_model
from napari_deep_prior.files.recipes import write_recipe
from napari_deep_prior.runs.efforts import TABLE
from napari_deep_prior.runs.record import Recipe
from napari_deep_prior.tasks import TASKS
from napari_deep_prior.training.model import Model
from napari_deep_prior.training.trainer import build_corrector

from .models import tiny_model

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "napari_deep_prior"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

IMAGES_ONLINE = "https://raw.githubusercontent.com/napari-deep-prior/napari-deep-prior/main/"
"""Where the images of README.md are: a package index shows it without the files beside it."""

OPTION = r"(?<![\w-])--[a-z][a-z-]*"

NO_DEVICE = "nowhere"
"""A device that does not exist: a command with it ends after all else was checked, before the work begins."""

PRIVATE_WORDS = (
    r"pupils?", r"lessons?", r"taught", r"teach\w*", r"turns?", r"turned versions", r"alike", r"grains?", r"hidden",
    r"judged?", r"seen", r"unseen", r"quieting", r"sections", r"traces?", r"posing", r"suited", r"strangers?",
    r"learn(?!ing rate)\w*", r"pulled", r"c[ao]me about", r"told (?:from|by)", r"is told", r"makes of", r"differs by",
    r"pictures?",
)  # fmt: skip
"""Words for which the field has its own, such as similar patches, trained, held out, flips and rotations."""


OPTIONS_OF_CLUSTERS = {"--gres", "--lifetime", "--lifetime-stagger", "--nthreads", "--resources"}
"""Of SLURM and of the workers of dask."""


def lines_of_code(page: Path) -> Iterator[str]:
    """Yield the lines of indented and fenced blocks, and what stands between backquotes."""
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.findall(r"^```\w*\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    for line in prose.splitlines():
        if line.startswith("    "):
            yield line.strip()
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose))


def ids(values: list[tuple[Path, str]]) -> list[str]:
    return [f"{page.name}: {text.splitlines()[0]}" for page, text in values]


PYTHON = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
]
COMMANDS = [
    (page, line.partition("#")[0].strip())
    for page in PAGES
    for line in dict.fromkeys(lines_of_code(page))
    # Other lines name a command without its files.
    if re.match(r"deep-prior [a-z]\S* (\S+\.\w|--help)", line)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    files = [link.partition("#")[0] for link in links if not re.match(r"https?:|#", link)]
    online = [link.removeprefix(IMAGES_ONLINE) for link in links if link.startswith(IMAGES_ONLINE)]
    lost = [link for link in files if not (page.parent / link).exists()]
    assert not lost + [link for link in online if not (ROOT / link).is_file()]


def test_the_images_of_the_readme_have_full_addresses() -> None:
    found = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert found
    assert all(address.startswith(IMAGES_ONLINE) for address in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_the_source_exists(page: Path) -> None:
    paths = {
        path
        for code in lines_of_code(page)
        # In a rule of a workflow engine names stand for the files.
        if "{" not in code
        for path in re.findall(r"(?<![\w/.])[\w./-]*(?:\.py|\w/)(?![\w/])", code)
        if "NAME" not in path
    }
    assert not [path for path in sorted(paths) if not any((base / path).exists() for base in (ROOT, PACKAGE))]


@pytest.fixture
def few_steps_with_a_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets fits with a guide, which have no faster effort, take 20 steps: the example shows what all of them do."""
    few = dataclasses.replace(settings_for(Guided(), "deep-image-prior"), steps=20)
    monkeypatch.setitem(TABLE["guide"], "deep-image-prior", {"balanced": few})


@pytest.mark.slow
@pytest.mark.parametrize(("page", "block"), PYTHON, ids=ids(PYTHON))
@pytest.mark.usefixtures("restore_fast", "few_steps_with_a_guide")
def test_every_python_block_runs(page: Path, block: str) -> None:
    photons = cells((24, 24))
    mask = np.zeros((24, 24), bool)
    mask[10:13, 5:9] = True
    image = Camera().expose(photons, np.random.default_rng(0))
    names = {"image": image, "mask": mask, "brightfield": np.sqrt(photons)}
    exec(compile(block, page.name, "exec"), names)  # noqa: S102  (the code of our own pages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_call_of_restore_in_the_text_is_python(page: Path) -> None:
    for code in re.findall(r"`(restore\([^`]+)`", page.read_text(encoding="utf-8")):
        ast.parse(code.replace("…", "...").replace("=...", "=None"))


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=ids(COMMANDS))
def test_every_command_is_understood(
    page: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shlex.split(command)[1:]
    if arguments[-1].startswith("--help"):
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        assert ending.value.code == 0
        return
    monkeypatch.chdir(tmp_path)
    make_files(arguments)
    if "--model" in arguments:
        model = tiny_model(factor=None if arguments[0] == "denoise" else 2.0)
        write_model(arguments[arguments.index("--model") + 1], model)
    if arguments[0] == COMMAND:
        assert main(arguments) == DONE
        return
    make_settings(arguments)
    main([*arguments, "--device", NO_DEVICE])
    assert NO_DEVICE in capsys.readouterr().err


def make_files(arguments: list[str]) -> None:
    """Write the images that a command reads: all but the second file, and of a comparison all."""
    files = [argument for argument in arguments if re.fullmatch(r"[\w.]+\.(tif|png|jpg|zarr)", argument)]
    read = [name for name in files if f"--difference {name}" not in " ".join(arguments)]
    stack = "ZYX" if "--volume" in arguments else ""
    axes = arguments[arguments.index("--axes") + 1] if "--axes" in arguments else stack
    channels = ({"Name": "DAPI"}, {"Name": "GFP"}) if "C" in axes else ()
    rng = np.random.default_rng(0)
    for name in read if arguments[0] == COMMAND else [files[0], *files[2:]]:
        pixels = rng.integers(0, 255, (2,) * (len(axes or "YX") - 2) + (16, 16), np.uint8)
        if name.endswith(".jpg"):
            Image.fromarray(pixels).save(name)
        elif name.endswith(".zarr"):
            zarr.create_array(name, data=pixels if axes else np.stack([pixels, pixels]))
        else:
            images.write(name, images.ImageFile(pixels=pixels, axes=axes or "YX", channels=channels))


BATCHES = [
    (page, line)
    for page in PAGES
    for line in dict.fromkeys(lines_of_code(page))
    if re.match(r"deep-prior batch [a-z]\S* \w+ ", f"{line} ") and "{" not in line
]


@pytest.mark.parametrize(("page", "command"), BATCHES, ids=ids(BATCHES))
def test_every_batch_is_understood(
    page: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command.partition("#")[0])[1:]
    for name in ("raw", "truth", "masks"):
        (tmp_path / name).mkdir()
    make_settings(arguments)
    main([*arguments, "--device", NO_DEVICE])
    assert NO_DEVICE in capsys.readouterr().err


TRAININGS = [
    (page, line)
    for page in PAGES
    for line in dict.fromkeys(lines_of_code(page))
    if re.match(r"deep-prior train [a-z]\S* \w+ --", line)
]


@pytest.mark.parametrize(("page", "command"), TRAININGS, ids=ids(TRAININGS))
def test_every_training_is_understood(
    page: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)[1:]
    for folder in {arguments[2], "truth"}:
        Path(folder).mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8)
        images.write(f"{folder}/a.tif", images.ImageFile(pixels=pixels, axes="YX"))
    if "--resume" in arguments:
        weights = {name: torch.zeros(each.shape) for name, each in build_corrector(UNet(), **SHAPE).named_parameters()}
        settings = {"task": TASKS[arguments[1]]().to_json(), "training": TrainingSettings().to_json()}
        about = {"task": arguments[1], "method": "", "settings": settings, "intensity": "", "network": UNet()}
        state = {"steps": torch.tensor(1)}
        path = arguments[arguments.index("--resume") + 1]
        write_model(path, Model(weights=weights, channels=1, shape=SHAPE["shape"], **about), state)
    main([*arguments, "--device", NO_DEVICE])
    assert NO_DEVICE in capsys.readouterr().err


SHAPE = {"channels": 1, "shape": (64, 64), "device": torch.device("cpu")}


def make_settings(arguments: list[str]) -> None:
    """Write the settings that a command reads."""
    if "--settings" in arguments:
        method = settings_for(Denoise(), "self-distillation")
        recipe = Recipe(task=Denoise(), method=method, asked_method="auto", effort="balanced", volume=False)
        write_recipe(arguments[arguments.index("--settings") + 1], recipe)


def test_every_option_in_the_text_exists(capsys: pytest.CaptureFixture[str]) -> None:
    for task in TASKS:
        trained = [["train", task, "--help"]] if task in ("denoise", "super-resolve") else []
        for arguments in ([task, "--help"], [task, "--help-advanced"], ["batch", task, "--help"], *trained):
            with pytest.raises(SystemExit):
                main(arguments)
    with pytest.raises(SystemExit):
        main([COMMAND, "--help"])
    known = set(re.findall(OPTION, capsys.readouterr().out)) | OPTIONS_OF_CLUSTERS
    codes = [(page, code) for page in PAGES for code in lines_of_code(page)]
    named = {option for _, code in codes if "PYTEST" not in code for option in re.findall(OPTION, code)}
    assert named
    assert not named - known


def test_the_page_of_methods_names_all_of_them() -> None:
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    names = [*METHODS, *(method.in_words() for method in METHODS.values()), *NETWORKS, *EFFORTS, *TASKS]
    assert not [name for name in names if name not in text]


def test_there_is_code_to_check() -> None:
    assert len(PYTHON) >= 2
    assert len(COMMANDS) >= 12
    assert len(BATCHES) >= 4
    assert len(TRAININGS) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_private_words(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))
    found = [match.group() for word in PRIVATE_WORDS for match in re.finditer(rf"\b{word}\b", text, re.IGNORECASE)]
    assert not found
