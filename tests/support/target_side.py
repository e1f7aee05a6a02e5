"""Which files of the collection run on hosts, and what in them a host's Python does not have.

Hosts have RHEL 9's Python 3.9 and its standard library only. mypy and typeshed know no Python 3.9 any more and ruff
knows its syntax only, so what the standard library has since when is asked of vermin. It cannot tell a union of types
in an annotation, which nobody evaluates, from one that is: that is looked at here.
"""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.pystack.infra"
TARGET_PYTHON = "3.9"
# All that Ansible puts beside a module.
_SHIPPED = ("ansible.module_utils", f"{COLLECTION}.plugins.module_utils")
# What is imported from these are modules: `from ansible import module_utils`.
_ABOVE_SHIPPED = {name.rpartition(".")[0] for name in _SHIPPED}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(path: Path, root: Path = ROOT) -> str:
    """The name under which a file of the collection is imported; a package's for its ``__init__.py``."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join((COLLECTION, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, module in full and names of every import, wherever it stands in a file of a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, module, [alias.name for alias in node.names]


def _package(path: Path, root: Path) -> str:
    name = dotted(path, root)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def imported(path: Path, root: Path = ROOT) -> set[Path]:
    """The collection's files that a file, any below root, imports, with the packages that they are in."""
    found: set[Path] = set()
    for _line, module, names in _imports(parse(path), _package(path, root)):
        for name in (module, *(f"{module}.{name}" for name in names)):
            if name.startswith(f"{COLLECTION}."):
                place = root.joinpath(*name.removeprefix(f"{COLLECTION}.").split("."))
                parents = [parent for parent in place.parents if parent.is_relative_to(root)]
                candidates = [place.with_suffix(".py"), *(parent / "__init__.py" for parent in (place, *parents))]
                found.update(candidate for candidate in candidates if candidate.is_file())
    return found


def target_side(root: Path = ROOT) -> list[Path]:
    """The modules and, however far away, what they import of the collection."""
    waiting = set(root.glob("plugins/modules/*.py"))
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= imported(path, root) - found
    return sorted(found)


def foreign_imports(path: Path, root: Path = ROOT) -> list[str]:
    """``line: module`` of every import that neither Python nor Ansible has on a host."""

    def is_there(module: str) -> bool:
        known = any(module == name or module.startswith(f"{name}.") for name in _SHIPPED)
        return known or module.partition(".")[0] in sys.stdlib_module_names

    found = [
        (line, name)
        for line, module, names in _imports(parse(path), _package(path, root))
        for name in ([f"{module}.{name}" for name in names] if names and module in _ABOVE_SHIPPED else [module])
        if not is_there(name)
    ]
    return [f"{line}: {name}" for line, name in sorted(found)]


class _WithoutAnnotations(ast.NodeTransformer):
    """Takes out what ``from __future__ import annotations`` keeps from being evaluated."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(value="")
        return self.generic_visit(node)


def _is_type(node: ast.expr) -> bool:
    """Whether an expression is a type as far as its name tells: None, a built-in one, or a name LikeThis."""
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    if isinstance(node, ast.Constant):
        return node.value is None
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if isinstance(node, ast.Name) and isinstance(getattr(builtins, name, None), type):
        return True
    return name[:1].isupper() and not name.isupper()


def evaluated_unions(path: Path) -> list[str]:
    """``line: code`` of every ``X | Y`` of types that Python evaluates, which it can from 3.10 on."""
    tree = parse(path)
    future = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    if "annotations" in future:
        _WithoutAnnotations().visit(tree)
    found = [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and (_is_type(node.left) or _is_type(node.right))
    ]
    return [f"{line}: {code}" for line, code in sorted(found)]


def too_new(paths: Iterable[Path]) -> list[str]:
    """``path:line:column:version:feature`` of all that Python 3.9 does not have, and of what is no Python at all."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("vermin")), "--no-config-file", "--no-parse-comments", "--quiet",
            "--violations", "--format", "parsable", f"--target={TARGET_PYTHON}-", *map(str, paths),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # Lines without a number sum a file up. 1 is its exit code for what is too new, 0 that for what it could not read.
    rows = [line.split(":", 5) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1) or not all(len(row) == 6 for row in rows):
        raise RuntimeError(f"vermin failed:\n{done.stdout}{done.stderr}")
    return [f"{path}:{line}:{column}:{version}:{what}" for path, line, column, _two, version, what in rows if line]
