"""A function's source, independent of layout, and the outer variables that it reads and changes."""

import ast
import inspect
import threading
import types
from typing import NamedTuple

__all__ = ["SELF", "Chain", "Files", "Source", "Step", "find"]

# methods that change their object
CHANGING = {
    "add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "pop", "popitem", "popleft",
    "remove", "setdefault", "sort", "update",
}  # fmt: skip
IGNORED = {"ctx", "kind", "type_comment", "annotation", "returns", "type_params"}  # without effect on results
SELF = ""  # stands for a method's first argument
LOCK = threading.Lock()  # Python 3.11 counts in all threads together how deep a tree is that ast makes, and then fails
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Files = dict[str, dict[tuple[str, int], list[Function]]]
Step = tuple[str, object]  # (".", an attribute) or ("[", a key)
Chain = tuple[
    str, tuple[Step, ...]
]  # a variable and steps from it: config.rate[0] is ("config", ((".", "rate"), ("[", 0)))


class Source(NamedTuple):
    """The source of a function."""

    written: str  # the syntax tree as text, without layout, comments and annotations
    reads: tuple[Chain, ...]
    changes: frozenset[Chain]


def find(code: types.CodeType, files: Files) -> Source | None:
    """Return the source of a function's code, or None if it cannot be found; ``files`` caches parsed files."""
    if code.co_filename not in files:
        files[code.co_filename] = _functions(code)
    nodes = [
        node for node in files[code.co_filename].get((code.co_name, code.co_firstlineno), []) if _is_of(node, code)
    ]
    if not nodes or (len(nodes) > 1 and not _places(code) and len(set(map(_text_of, nodes))) > 1):
        return None  # not found; or several on one line, and this Python does not record columns
    node = max(nodes, key=lambda node: (node.lineno, node.col_offset))  # the innermost function
    reader = _Reader(node)
    return Source(_text_of(node), tuple(dict.fromkeys(reader.reads)), frozenset(reader.changes))


def _functions(code: types.CodeType) -> dict[tuple[str, int], list[Function]]:
    """Return all functions in the file of a function, by name and first line."""
    found: dict[tuple[str, int], list[Function]] = {}
    try:
        with LOCK:
            lines, _ = inspect.findsource(code)
            tree = ast.parse("".join(lines))
    except Exception:  # the file is missing or has changed, or inspect fails on another module
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.setdefault((node.name, line), []).append(node)
    return found


def _is_of(node: Function, code: types.CodeType) -> bool:
    """Whether a function of the right name and line has this code; several lambdas may be on one line."""
    if not isinstance(node, ast.Lambda):
        return True
    body = node.body
    first, last = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    return all(first <= start and end <= last for start, end in _places(code))


def _places(code: types.CodeType) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the places of the code's instructions in its file, each with its start and end."""
    return {
        ((line, column), (last, end))
        for line, last, column, end in code.co_positions()
        if line is not None and last is not None and column is not None and end
    }


def _text_of(function: Function) -> str:
    """Return the arguments and the body as text, without defaults and decorators, whose values are compared instead."""
    given = [(name, value) for name, value in ast.iter_fields(function.args) if "defaults" not in name]
    return f"{[(name, _written(value)) for name, value in given]} {_written(function.body)}"


def _written(node: object) -> str:
    """Return a syntax tree as text that is the same under each version of Python."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__} {node.value!r}"
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in IGNORED)
        parts = (f"{name}={_written(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(parts)})"
    if isinstance(node, list):
        return f"[{', '.join(_written(each) for each in node if not _is_docstring(each))}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Reader:
    """Collects the outer variables that a function reads and changes."""

    def __init__(self, function: Function) -> None:
        self.reads: list[Chain] = []
        self.changes: set[Chain] = set()
        arguments = [*function.args.posonlyargs, *function.args.args]
        self.first = arguments[0].arg if arguments else None
        self.own = _bound(function) - {self.first}
        for each in function.body if isinstance(function.body, list) else [function.body]:
            self.visit(each)

    def visit(self, node: ast.AST) -> None:
        chain = self.chain(node)
        if chain is not None:
            if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                self.changes.add(chain)
            else:
                self.reads.append(chain)
            parts: list[ast.AST | None] = [*node.args[1:]] if isinstance(node, ast.Call) else []
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            self.change(node.value)  # an entry of it changes
            parts = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            self.change(node.func.value)
            parts = [*node.args, *node.keywords]
        elif isinstance(node, FUNCTIONS):
            made = [] if isinstance(node, ast.Lambda) else node.decorator_list
            body = node.body if isinstance(node.body, list) else [node.body]
            parts = [*made, *node.args.defaults, *node.args.kw_defaults, *body]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.target, node.value]
        else:
            parts = [*ast.iter_child_nodes(node)]
        for part in parts:
            if part is not None:
                self.visit(part)

    def change(self, node: ast.AST) -> None:
        """Record that an outer variable is changed in place, or visit a node that is no outer variable."""
        chain = self.chain(node)
        if chain is None:
            self.visit(node)
        else:
            self.changes.add(chain)

    def chain(self, node: ast.AST) -> Chain | None:
        """Return the outer variable that a node reads, with the steps from it, or None for other nodes."""
        steps: list[Step] = []
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                steps.append((".", node.attr))
                node = node.value
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                steps.append(("[", node.slice.value))
                node = node.value
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "get"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                steps.append(("[", node.args[0].value))
                node = node.func.value
            else:
                return None
        if node.id in self.own:
            return None
        return SELF if node.id == self.first else node.id, tuple(reversed(steps))


def _bound(function: Function) -> set[str | None]:
    """Return a function's local names: its arguments, and names that are assigned in it or in functions within it."""
    names: set[str | None] = set()
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Global):
            shared.update(node.names)
        elif node is not function:
            names.add(getattr(node, "name", None))  # names of functions, classes, exceptions and patterns
    here: list[ast.AST] = [*function.body] if isinstance(function.body, list) else []
    while here:  # a nonlocal declaration in an inner function refers to a local name of this one
        node = here.pop()
        if isinstance(node, ast.Nonlocal):
            shared.update(node.names)
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            here.extend(each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt | ast.excepthandler))
    return names - shared
