"""A function's source: where it stands, what it says whatever its layout, what it reads from around it and changes."""

import ast
import inspect
import types
from typing import NamedTuple

__all__ = ["SELF", "Chain", "Files", "Source", "Step", "find"]

CHANGING = frozenset(
    [
        "add",
        "append",
        "appendleft",
        "clear",
        "discard",
        "extend",
        "fill",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "setdefault",
        "sort",
        "update",
    ]
)
SILENT = {"ctx", "kind", "type_comment", "annotation", "returns", "type_params"}  # they change nothing
SELF = ""  # a method's first argument, whatever it is called
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Files = dict[str, dict[tuple[str, int], list[Function]]]
Step = tuple[str, object]  # (".", an attribute) or ("[", a key)
Chain = tuple[str, tuple[Step, ...]]  # a variable, and what of it: ("config", ((".", "rate"), ("[", 0)))


class Source(NamedTuple):
    """What a function says."""

    written: str  # the same for the same code, whatever its layout, comments and annotations
    reads: tuple[Chain, ...]
    changes: frozenset[Chain]


def find(code: types.CodeType, files: Files) -> Source | None:
    """Return the source of a function's code, or None where it cannot be found; ``files`` keeps what is parsed."""
    if code.co_filename not in files:
        files[code.co_filename] = _functions(code)
    nodes = [
        node for node in files[code.co_filename].get((code.co_name, code.co_firstlineno), []) if _is_of(node, code)
    ]
    if not nodes or (len(nodes) > 1 and not _places(code) and len(set(map(_said, nodes))) > 1):
        return None  # or several on one line, of whose columns the interpreter keeps no record
    node = max(nodes, key=lambda node: (node.lineno, node.col_offset))  # the innermost
    reader = _Reader(node)
    return Source(_said(node), tuple(dict.fromkeys(reader.reads)), frozenset(reader.changes))


def _functions(code: types.CodeType) -> dict[tuple[str, int], list[Function]]:
    """Return the functions of the file that a function is from, by name and first line."""
    found: dict[tuple[str, int], list[Function]] = {}
    try:
        lines, _ = inspect.findsource(code)
        tree = ast.parse("".join(lines))
    except Exception:  # there is no such file, or it has changed; or another module fails where inspect looks at it
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(("<lambda>", node.lineno), []).append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.setdefault((node.name, line), []).append(node)
    return found


def _is_of(node: Function, code: types.CodeType) -> bool:
    """Whether the code is that of a function that begins on its line: where it is a lambda, there may be others."""
    if not isinstance(node, ast.Lambda):
        return True
    body = node.body
    first, last = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    return all(first <= start and end <= last for start, end in _places(code))


def _places(code: types.CodeType) -> set[tuple[tuple[int, int], tuple[int, int]]]:
    """Return from where to where the code's instructions stand in its file."""
    return {
        ((line, column), (last, end))
        for line, last, column, end in code.co_positions()
        if line is not None and last is not None and column is not None and end
    }


def _said(function: Function) -> str:
    """Return the arguments and the body. Defaults are told by the values that they have, and decorators by theirs."""
    given = [(name, value) for name, value in ast.iter_fields(function.args) if "defaults" not in name]
    return f"{[(name, _written(value)) for name, value in given]} {_written(function.body)}"


def _written(node: object) -> str:
    """Return a tree of syntax as text that every Python makes the same of the same source."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__} {node.value!r}"
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in SILENT)
        parts = (f"{name}={_written(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(parts)})"
    if isinstance(node, list):
        return f"[{', '.join(_written(each) for each in node if not _is_docstring(each))}]"
    return repr(node)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Reader:
    """Collects what a function reads from around it, and what of that it changes."""

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
            self.change(node.value)  # an entry of it
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
        """Note that something is changed in place, or look into what is no variable of the surroundings."""
        chain = self.chain(node)
        if chain is None:
            self.visit(node)
        else:
            self.changes.add(chain)

    def chain(self, node: ast.AST) -> Chain | None:
        """Return what a node reads of a variable from around the function, or None where it does not."""
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
    """Return the names that are a function's own: its arguments, and what is assigned in it or in what it contains."""
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
            names.add(getattr(node, "name", None))  # of functions, classes, exceptions, patterns
    here: list[ast.AST] = [*function.body] if isinstance(function.body, list) else []
    while here:  # what a function within declares nonlocal is this one's own
        node = here.pop()
        if isinstance(node, ast.Nonlocal):
            shared.update(node.names)
        elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            here.extend(each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt | ast.excepthandler))
    return names - shared
