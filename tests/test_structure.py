"""Limits on the size and the shape of the source: what a reader must be able to hold in mind at once."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import napari_deep_prior

PACKAGE = Path(napari_deep_prior.__file__).parent

MODULE_LINES = 300
FUNCTION_LINES = 40
PARAMETERS = 6
ROOT_MODULES = 4
RESTORATION_LINES = 200
RESTORATION_SIBLINGS = 10

FAMILIES = {"Settings", "Method", "Task", "Network", "Operator", "Misfit"}
"""Base classes of everything that a person can choose; what derives from them is abstract or final."""

CONSTRUCTORS = {"__init__", "__post_init__"}
"""Methods that a class may define beside those of its base, because nothing calls them but its own construction."""

PASSING_ON = "progress/stages.py"
"""The one file that may catch every exception: it raises them again in the thread of the caller."""


@dataclasses.dataclass(frozen=True)
class Module:
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(PACKAGE).as_posix()

    def at(self, node: ast.AST) -> str:
        return f"{self.name}:{node.lineno}"


Function = ast.FunctionDef | ast.AsyncFunctionDef

MODULES = [
    Module(path, text, ast.parse(text))
    for path in sorted(PACKAGE.rglob("*.py"))
    for text in [path.read_text(encoding="utf-8")]
]
CLASSES = [(module, node) for module in MODULES for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]


def check(offenders: Iterable[str]) -> None:
    offenders = list(offenders)
    if offenders:
        pytest.fail(f"{len(offenders)} of them:\n" + "\n".join(offenders), pytrace=False)


def functions(module: Module) -> Iterator[tuple[Function, bool]]:
    """Yield the functions of a module, and whether the first parameter is self or cls."""
    of_instance = {
        id(node)
        for owner in ast.walk(module.tree)
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, Function) and "staticmethod" not in names(node.decorator_list)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield node, id(node) in of_instance


def names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the last part of every name among some expressions: ``abc.ABC``, ``ABC`` and ``ABC[int]`` are ABC."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Subscript | ast.Call):
            found |= names([node.value if isinstance(node, ast.Subscript) else node.func])
        elif isinstance(node, ast.Tuple | ast.List):
            found |= names(node.elts)
        elif isinstance(node, ast.BinOp):
            found |= names([node.left, node.right])
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return found


def lines(node: Function) -> int:
    """Count the lines of a function from ``def`` on, without those of its docstring."""
    total = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        total -= node.body[0].end_lineno - node.body[0].lineno + 1
    return total


def parameters(node: Function) -> int:
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return len(named) + (given.vararg is not None) + (given.kwarg is not None)


def is_abstract(module: Module, node: ast.ClassDef) -> bool:
    """Return whether a class cannot be used as it is: it says so, or leaves an abstract method to others."""
    path = module.path.relative_to(PACKAGE.parent).with_suffix("")
    built = getattr(importlib.import_module(".".join(path.parts).removesuffix(".__init__")), node.name)
    return inspect.isabstract(built) or bool(names(node.bases) & {"ABC", "Protocol"})


def siblings(module: Module) -> dict[str, ast.ImportFrom]:
    """Return the modules of this package that a module imports, each with the first import of it."""
    found: dict[str, ast.ImportFrom] = {}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = module.path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for alias in node.names:
            inside = above / alias.name
            path = inside if inside.is_dir() or inside.with_suffix(".py").is_file() else above
            found.setdefault(".".join(path.relative_to(PACKAGE).parts), node)
    return found


def descendants(families: set[str]) -> set[str]:
    """Return the names of these classes and of all that derive from them."""
    found = set(families)
    while more := {node.name for _, node in CLASSES if names(node.bases) & found} - found:
        found |= more
    return found


def test_no_module_is_too_long() -> None:
    lengths = {module.name: len(module.text.splitlines()) for module in MODULES}
    check(f"{name}:{length} lines" for name, length in lengths.items() if length > MODULE_LINES)


def test_no_function_is_too_long() -> None:
    check(
        f"{module.at(node)}: {node.name} has {lines(node)} lines"
        for module in MODULES
        for node, _ in functions(module)
        if lines(node) > FUNCTION_LINES
    )


def test_no_function_has_too_many_parameters() -> None:
    check(
        f"{module.at(node)}: {node.name} has {parameters(node) - of_instance} parameters"
        for module in MODULES
        for node, of_instance in functions(module)
        if parameters(node) - of_instance > PARAMETERS
    )


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for module, node in CLASSES:
        places[node.name].append(module.at(node))
    check(f"{name}: {', '.join(found)}" for name, found in places.items() if len(found) > 1)


def test_the_root_of_the_package_has_few_modules_beside_the_folders() -> None:
    root = [module.name for module in MODULES if module.path.parent == PACKAGE]
    check(root if len(root) > ROOT_MODULES else ())


def test_a_restoration_imports_few_siblings_and_is_short() -> None:
    module = next(module for module in MODULES if module.name == "runs/restoration.py")
    found = siblings(module)
    assert found
    check((f"{module.at(node)}: {name}" for name, node in found.items()) if len(found) > RESTORATION_SIBLINGS else ())
    (restoration,) = (node for place, node in CLASSES if place is module and node.name == "Restoration")
    length = restoration.end_lineno - restoration.lineno + 1
    check([f"{module.at(restoration)}: Restoration has {length} lines"] if length > RESTORATION_LINES else ())


def test_a_restoration_knows_no_task_operator_or_kernel_by_its_class() -> None:
    module = next(module for module in MODULES if module.name == "runs/restoration.py")
    known = descendants({"Task", "Operator", "Kernel"})
    asked = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and names([node.func]) & {"isinstance", "issubclass"}:
            asked.append((node, names(node.args[1:])))
        elif isinstance(node, ast.MatchClass):
            asked.append((node, names([node.cls])))
        elif isinstance(node, ast.Compare) and any("type" in names([side]) for side in [node.left, *node.comparators]):
            asked.append((node, names(node.comparators)))
    check(f"{module.at(node)}: {', '.join(sorted(kinds & known))}" for node, kinds in asked if kinds & known)


def test_every_class_that_a_person_can_choose_is_abstract_or_final() -> None:
    chosen = descendants(FAMILIES)
    assert len(chosen) > 2 * len(FAMILIES)
    check(
        f"{module.at(node)}: {node.name}"
        for module, node in CLASSES
        if node.name in chosen - FAMILIES
        and "final" not in names(node.decorator_list)
        and not is_abstract(module, node)
    )


def test_no_concrete_method_is_overridden() -> None:
    places = {node.name: (module, node) for module, node in CLASSES}

    def ancestors(node: ast.ClassDef) -> Iterator[tuple[Module, ast.ClassDef]]:
        for name in names(node.bases) & set(places):
            yield places[name]
            yield from ancestors(places[name][1])

    def concrete(node: ast.ClassDef) -> dict[str, Function]:
        parts = [part for part in node.body if isinstance(part, Function) and part.name not in CONSTRUCTORS]
        return {part.name: part for part in parts if "abstractmethod" not in names(part.decorator_list)}

    check(
        f"{module.at(part)}: {node.name}.{name} overrides that of {above.name} ({place.at(concrete(above)[name])})"
        for module, node in CLASSES
        for name, part in concrete(node).items()
        for place, above in ancestors(node)
        if name in concrete(above)
    )


def test_no_attribute_is_looked_for_with_hasattr() -> None:
    check(
        module.at(node)
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and node.id == "hasattr"
    )


def test_only_what_passes_exceptions_on_to_another_thread_catches_all_of_them() -> None:
    check(
        module.at(node)
        for module in MODULES
        if module.name != PASSING_ON
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or names([node.type]) & {"Exception", "BaseException"})
    )


def test_no_function_passes_unnamed_keywords_on() -> None:
    check(
        f"{module.at(node)}: {node.name} passes **{node.args.kwarg.arg} on"
        for module in MODULES
        for node, _ in functions(module)
        if node.args.kwarg is not None
        and any(
            keyword.arg is None and names([keyword.value]) == {node.args.kwarg.arg}
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
            for keyword in call.keywords
        )
    )
