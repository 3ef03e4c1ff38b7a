"""Thousands of odd files and options: a result or a sentence, never a traceback, and nothing is overwritten.

``DEEP_PRIOR_FUZZ_SEED`` gives other cases, ``DEEP_PRIOR_FUZZ_CASES`` more or fewer of them. A case that fails says
its command, and its folder stays.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_deep_prior.cli.main import DONE, FAILED, main
from napari_deep_prior.cli.options import _value, choices_of, methods_with, option_of, sections
from napari_deep_prior.cli.streams import calm_streams
from napari_deep_prior.files import images
from napari_deep_prior.methods import Method, deep_image_prior
from napari_deep_prior.networks import network
from napari_deep_prior.runs import recommend
from napari_deep_prior.runs.efforts import DEFAULT_EFFORT, settings_for
from napari_deep_prior.settings import Field, flat_fields, replace_flat
from napari_deep_prior.tasks import TASKS, Task

from .conftest import Capture
from .odd_files import Random, chance, damage, one_of, write_image, write_kernel

SEED = int(os.environ.get("DEEP_PRIOR_FUZZ_SEED", "0"))
CASES = int(os.environ.get("DEEP_PRIOR_FUZZ_CASES", "2000"))
PER_TEST = 100

RAW = re.compile(r"Traceback|Warning|<tifffile|Exception|\[W\d|libpng|TIFFRead|, line \d|core\.py", re.IGNORECASE)
"""What a person should never see: the words of libraries and of the interpreter."""

QUICK = {
    "steps": "2", "passes": "1", "group_size": "3", "search_radius": "2", "crop": "8", "examples": "1", "gradual": "1",
    "channels": "4,4", "skip": "2,2", "code_channels": "3", "precision": "float32", "members": "1",
}  # fmt: skip
"""Values of settings with which each method takes milliseconds."""

MOST_PIXELS = 5000

INPUTS = ("in", "mask", "guide", "kernel", "jpeg", "reference", "hard")
"""How the names of files begin that are read; the last one is another name of the image."""

TIMID = {"steps": 3, "passes": 2, "crop": 16, "examples": 2, "members": 2, "patience": 9, "code_channels": 9}
"""The largest values of settings that cost time."""

NUMBERS = ["0", "1", "-1", "2", "0.5", "1e-9", "1e9", "1e308", "-1e308", "1e-320", "1e400", "nan", "inf", "9" * 40]
WORDS = ["", " ", "auto", "yes", "no", "maybe", "µ", "-", "--", "%s", "1,2", "1;2", "0x10", "1e", "\udcff", "a\nb"]

TEXT_KERNELS = [
    "bicubic", "lanczos", "area", "gaussian:1.2", "gaussian:1,2", "gaussian:1,2,30", "gaussian:0", "gaussian:nan",
    "gaussian:1e9", "gaussian:-1", "gaussian:", "gaussian:1,1,1,1", "optical:NA=1.3,wavelength=0.52,pixel=0.1",
    "optical:NA=0,wavelength=0,pixel=0", "optical:NA=1e300,wavelength=1e-300,pixel=1", "optical:", "estimate", "box:3",
]  # fmt: skip


@dataclass
class Case:
    """A command, and the folder that it is given in."""

    folder: Path
    arguments: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        command = f"cd {shlex.quote(str(self.folder))} && deep-prior {shlex.join(self.arguments)}"
        return command.encode(errors="backslashreplace").decode()

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.is_file()}


def case_of(number: int, folder: Path) -> Case:
    """Draw the case of a number: the same one whichever other ones run."""
    random = np.random.default_rng([SEED, number])
    case = Case(folder)
    folder.mkdir()
    command = one_of(random, TASKS)
    image = write_image(random, folder, "in")
    shape = _shape_in(folder / image) or (9, 8)
    if chance(random, 0.45):
        _damage(random, folder / image)
    case.outputs.append(_output(random, folder, image))
    case.arguments += [command, image, *case.outputs]
    case.arguments += [*_files(random, case, shape), *_how(random, command), *_rest(random)]
    if chance(random, 0.02):
        case.arguments.insert(int(random.integers(len(case.arguments) + 1)), one_of(random, WORDS))
    if chance(random, 0.02):
        del case.arguments[random.integers(len(case.arguments))]
    return case


def _shape_in(file: Path) -> tuple[int, ...]:
    """Return the shape of an image, empty if it cannot be read."""
    with calm_streams():
        try:
            return images.read(file).pixels.shape
        except Exception:  # noqa: BLE001  (what it is will be found again, by the command)
            return ()


def _damage(random: Random, file: Path) -> None:
    """Damage a file, but not so that it becomes a large image, which would only take long."""
    whole = file.read_bytes()
    damage(random, file)
    if math.prod(_shape_in(file)) > MOST_PIXELS:
        file.write_bytes(whole)


def _output(random: Random, folder: Path, image: str) -> str:
    """Return a name for an output: mostly a good one, sometimes one that would cost something."""
    if chance(random, 0.65):
        return str(one_of(random, ["out.tif", "out.tif", "out.ome.tif", "out.tiff", "out.png"]))
    kind = one_of(random, ["old", "link", "hard link", "odd", "odd", "input"])
    if kind == "old":
        name = one_of(random, ["old.tif", "old.png"])
        (folder / name).write_bytes(one_of(random, [b"precious", b"II*\0precious", b"\x89PNG\r\n\x1a\nprecious", b""]))
        return str(name)
    if kind == "link" and not (folder / "link.tif").is_symlink():
        (folder / "link.tif").symlink_to(one_of(random, [image, "nowhere.tif", "link.tif", "none/out.tif"]))
        return "link.tif"
    if kind == "hard link" and not (folder / "hard.tif").exists():
        (folder / "hard.tif").hardlink_to(folder / image)
        return "hard.tif"
    odd = ["", ".", "none/out.tif", "n" * 300 + ".tif", "n" * 250 + ".tif", "out", "out.gif", "in.tif/out.tif", ".tif"]
    return str(one_of(random, odd)) if kind == "odd" else f"./{image}"


def _files(random: Random, case: Case, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield options with files besides the image: those of all tasks, so that some do not exist for this one."""
    own = {"denoise": [], "guide": ["guide"], "inpaint": ["mask"], "super-resolve": ["kernel"]}
    wanted = set(own.get(case.arguments[0], [])) if chance(random, 0.8) else set()
    wanted |= {name for name in TASKS[case.arguments[0]].takes if chance(random, 0.1)}
    wanted |= {name for name in ("mask", "guide", "kernel", "jpeg", "reference") if chance(random, 0.02)}
    for name in sorted(wanted):
        if name == "kernel" and chance(random, 0.5):
            path = one_of(random, TEXT_KERNELS)
        elif name == "kernel":
            path = write_kernel(random, case.folder)
        else:
            path = write_image(random, case.folder, name, shape=None if chance(random, 0.1) else shape)
        if (case.folder / path).is_file() and chance(random, 0.2):
            _damage(random, case.folder / path)
        yield from (f"--{name}", str(path) if chance(random, 0.95) else one_of(random, [*WORDS, case.arguments[2]]))
    for name, share in (("residual", 0.15), ("uncertainty", 0.1)):
        if chance(random, share):
            good = chance(random, 0.5)
            case.outputs.append(f"{name}.tif" if good else _output(random, case.folder, case.arguments[1]))
            yield from (f"--{name}", case.outputs[-1])


def _how(random: Random, command: str) -> Iterator[str]:
    """Yield a method with quick settings, and some other settings."""
    task = TASKS[command]()
    name, method = one_of(random, methods_with(task, DEFAULT_EFFORT))
    yield from ("--method", name)
    groups = list(choices_of(method))
    if groups and chance(random, 0.5):
        group, choice, method = one_of(random, groups)
        yield from (f"--{group}", choice)
    own = {each.name for each in flat_fields(method)}
    settings = {key: value for key, value in QUICK.items() if key in own}
    every = [each for section in sections(TASKS[command]) for each in section.fields]
    likely = [each for each in every if each.name in own or each.name in {one.name for one in flat_fields(task)}]
    for _ in range(one_of(random, [0, 0, 0, 1, 1, 2, 3])):
        each = one_of(random, every if chance(random, 0.1) else likely)
        settings[each.name] = value_of(random, each)
    for key, value in settings.items():
        yield from (option_of(key), value) if chance(random, 0.5) else ("--set", f"{key}={value}")


def value_of(random: Random, setting: Field) -> str:
    """Draw a value of a setting: mostly a possible one, often at a limit."""
    low, high = setting.about.low, min(setting.about.high, TIMID.get(setting.name, np.inf))
    if chance(random, 0.15):
        return str(one_of(random, NUMBERS + WORDS))
    if setting.choices:
        return str(one_of(random, setting.choices))
    if setting.kind is bool:
        return str(one_of(random, ["yes", "no"]))
    if setting.kind is tuple:
        count = int(one_of(random, [1, 2, 2, 3, 5, 9, 40, 1000]))
        return ",".join([str(max(1, int(low)))] * count)
    if setting.kind is int:
        few = max(1, int(low))
        return str(one_of(random, [int(low), few, few + 1, few + 2, *([int(high)] if high <= 99 else [])]))
    values = [end for end in (low, high) if abs(end) < np.inf]
    return str(one_of(random, [*values, *random.uniform(max(low, -9), min(high, 9), 3).tolist()]))


def _rest(random: Random) -> Iterator[str]:
    for option, values, share in (
        ("--axes", ["YX", "ZYX", "TYX", "CYX", "YXS", "TZYX", "QYX", "XY", "yx", "Y", "ZZYX", "Y X", ""], 0.08),
        ("--spacing", ["1,1", "0.5", "2,0.5,0.5", "0,0", "nan,1", "1e308,1", "a", "", ","], 0.05),
        ("--dtype", ["same", "float32", "float32", "int8"], 0.1),
        ("--effort", ["fast", "best", "balanced", "published", "vast", ""], 0.03),
        ("--device", ["cpu", "auto", "cuda", "mps", "cpu:9", "cuda:-1", "gpu", ""], 0.05),
        ("--preset", ["fast"], 0.005),
    ):
        if chance(random, share):
            yield from (option, str(one_of(random, values)))
    for option, share in (("--overwrite", 0.3), ("--volume", 0.08), ("--invert-mask", 0.02), ("--isotropic", 0.02)):
        if chance(random, share):
            yield option


def outcome(case: Case, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    """Run a case; return what is wrong about what it did, empty if nothing is."""
    before = case.contents()
    monkeypatch.chdir(case.folder)
    capfd.readouterr()  # what was said when the files were made
    try:
        code: object = main(case.arguments)
    except SystemExit as stop:
        code = stop.code
    except BaseException:  # noqa: BLE001  (any of them would be a traceback)
        return traceback.format_exc()
    said = capfd.readouterr()
    wrong = list(_wrong_words(code, said.err))
    finished = code == DONE or re.search(r"no (residual|uncertainty) was written", said.err)
    outputs = [Path(path) for path in case.outputs if finished and path and Path(path).is_file()]
    for name, content in case.contents().items():
        is_new, is_output = name not in before, any(Path(name).samefile(path) for path in outputs)
        may = is_output and (is_new or ("--overwrite" in case.arguments and name.partition(".")[0] not in INPUTS))
        if before.get(name) != content and not may:
            wrong.append(f"{name} was {'left behind' if is_new else 'changed'}")
    if lost := set(before) - set(case.contents()):
        wrong.append(f"{lost} is gone")
    if code == DONE:
        images.read(case.arguments[2])
    return "\n".join([*wrong, said.err]) if wrong else ""


def _wrong_words(code: object, said: str) -> Iterator[str]:
    if code not in (DONE, FAILED):
        yield f"the exit code is {code}"
    if found := RAW.search(said):
        yield f"{found[0]!r} was said"
    last = said.strip().splitlines()[-1] if said.strip() else ""
    if code == FAILED and (not re.search(r"^deep-prior: \S+ \S+", said, re.MULTILINE) or "usage:" in said):
        yield f"no sentence says why: {last!r}"


def quick_settings(task: Task, method: str, effort: str = DEFAULT_EFFORT) -> Method:
    """Return the settings of a method, changed so that it takes milliseconds."""
    settings = settings_for(task, method, effort)
    own = {each.name: each for each in flat_fields(settings)}
    return replace_flat(settings, {key: _value(own[key], text) for key, text in QUICK.items() if key in own})


def remembering(memory: Callable[[nn.Module, Tensor], int]) -> Callable[[nn.Module, Tensor], int]:
    """Return a function that estimates the memory of a network once: a run estimates it several times."""
    known: dict[tuple[str, torch.Size], int] = {}

    def remembered(module: nn.Module, inputs: Tensor) -> int:
        key = (str(module), inputs.shape)
        if key not in known:
            known[key] = memory(module, inputs)
        return known[key]

    return remembered


REMEMBERED = remembering(network.saved_memory)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there, and names other letters")
@pytest.mark.parametrize("start", range(0, CASES, PER_TEST))
def test_odd_files_and_options_get_a_result_or_a_sentence_and_cost_no_file(
    start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    # Also of what is taken instead of a method that cannot solve a problem.
    monkeypatch.setattr(recommend, "settings_for", quick_settings)
    for module in (network, deep_image_prior):
        monkeypatch.setattr(module, "saved_memory", REMEMBERED)
    failures = []
    for number in range(start, min(start + PER_TEST, CASES)):
        case = case_of(number, tmp_path / f"case-{number}")
        if wrong := outcome(case, monkeypatch, capfd):
            failures.append(f"{case.command}\n{wrong}")
        else:
            shutil.rmtree(case.folder)
    if failures:
        pytest.fail(f"{len(failures)} of them:\n\n" + "\n\n".join(failures), pytrace=False)
