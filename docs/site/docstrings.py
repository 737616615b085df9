"""What Sphinx has to know of this project: its docstrings, code that is a public name, and formulas without a script.

A docstring in NumPy's style is reStructuredText already, except for the titles of its sections: ``name : type`` above
an indented paragraph is an entry of a definition list. Formulas become MathML, which browsers draw themselves.
"""

import functools
import inspect
import re
import sys
from typing import Any, Never

import reference
from docutils import nodes
from math_core import LatexToMathML
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
ENTRIES = {"Parameters", "Attributes", "Raises"}  # sections whose entries begin with names
BARS = re.compile(r"``.*?``|\|", re.DOTALL)
CALL = re.compile(r"\(.*\)$", re.DOTALL)
CATCHES = ("Never", Never)  # what is annotated so takes nothing, and says of a wrong name which one was meant
EMPTY_HEAD = re.compile(r'<th( class="[^"]*")>(?:<p></p>)?</th>')
BACK = re.compile(r"api/([\w-]+)\.html#fullyconnected\.(?:[a-z]+\.)*(\w+)([\w.]*)")
PUBLIC = reference.public()
ON_PAGES = {page.file: [*reference.names_on(page)] for page in reference.PAGES}
MATHEMATICS = LatexToMathML()


# --- docstrings -------------------------------------------------------------------------------------------------------


def on_docstring(app: Sphinx, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Make rubrics of the titles of sections, and code of the names that entries begin with."""
    text = SECTION.sub(r"\n.. rubric:: \1\n", "\n".join(lines))
    parts = re.split(r"(\n\s*\n)", text)
    for i, part in enumerate(parts):
        if ">>>" not in part:  # in what is no code, bars are absolute values
            parts[i] = BARS.sub(lambda found: r"\|" if found[0] == "|" else found[0], part)
    lines[:] = []
    section = ""
    for line in "".join(parts).split("\n"):
        if line.startswith(".. rubric:: "):
            section = line.removeprefix(".. rubric:: ")
        elif section in ENTRIES and line and not line[0].isspace():
            names, colon, kind = line.partition(" : ")
            kind = kind.replace("*", r"\*")
            line = ", ".join(f"``{each}``" for each in names.split(", ")) + colon + kind
        lines.append(line)


class Written:
    """A default that is shown as this text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def shown(default: object) -> object:
    """Return a default that is shown as a caller would write it."""
    if isinstance(default, type) and default is not inspect.Parameter.empty:
        return Written(default.__name__)
    return Written("...") if repr(default) == "<factory>" else default


def on_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str, None] | str | None:
    """Show names and defaults alone: the docstring has types, and what is returned."""
    if what not in ("class", "function", "method"):
        return None
    if inspect.isclass(thing) and issubclass(thing, Exception | str | dict):
        return signature and ("", None)  # what they are made of is nothing that a caller writes
    whole = inspect.signature(thing)
    parameters = [
        each.replace(annotation=each.empty, default=shown(each.default))
        for i, each in enumerate(whole.parameters.values())
        if each.annotation not in CATCHES and not (what == "method" and i == 0 and each.name in ("self", "cls"))
    ]
    if what == "class" and all(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters):
        return "", None  # a base class, made by those of its subclasses
    return str(whole.replace(parameters=parameters, return_annotation=whole.empty)), None


# --- links to the reference -------------------------------------------------------------------------------------------


def meant(text: str) -> str | None:
    """Return the full name that a piece of code stands for, as ``fc.fit``, ``Adam(0.01)`` or ``Network.predict``."""
    name = CALL.sub("", text.strip()).removeprefix("fullyconnected.").removeprefix("fc.")
    if not re.fullmatch(r"[\w.]+", name):
        return None
    if name in PUBLIC and (name != text or name[0].isupper() or "." in name):  # a bare ``fit`` may be any
        return name
    if inner := next((f"{module}.{name}" for module in ("exchange", "errors") if f"{module}.{name}" in PUBLIC), None):
        return inner
    cls, dot, method = name.partition(".")
    thing = reference.found(cls) if dot and cls in PUBLIC else None
    return name if inspect.isclass(thing) and method in dict(reference.members(thing)) else None


class LinkNames(SphinxTransform):
    """Make links of code that is a public name, once in a section; and of the types of parameters."""

    default_priority = 500

    def link(self, name: str, shown: nodes.Node) -> nodes.Node:
        """Return a link to the entry of a name."""
        return addnodes.pending_xref(
            "",
            shown,
            refdomain="py",
            reftype="obj",
            reftarget=f"fullyconnected.{name}",
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )

    def apply(self, **kwargs: Any) -> None:
        """Replace the nodes."""
        for kind in list(self.document.findall(nodes.classifier)):
            words = re.split(r"([\w.]+)", kind.astext())
            kind.clear()
            for word in words:
                name = meant(word) if word[:1].isupper() else None
                kind += nodes.Text(word) if name is None else self.link(name, nodes.inline("", word))
        linked: set[tuple[int, str]] = set()
        for code in list(self.document.findall(nodes.literal)):
            around = code.parent
            while not isinstance(
                around,
                nodes.document | nodes.section | nodes.title | nodes.reference | nodes.term | addnodes.pending_xref
                | addnodes.desc_signature,
            ):  # fmt: skip
                around = around.parent
            raised = isinstance(around, nodes.term) and code.astext().endswith(("Error", "Warning"))
            name = meant(code.astext()) if isinstance(around, nodes.section) or raised else None
            if name is None or (id(around), name) in linked:
                continue
            if not self.env.docname.startswith("api/"):
                linked.add((id(around), name))
            code.replace_self(self.link(name, code.deepcopy()))


def on_missing(app: Sphinx, env: Any, node: Any, shown: nodes.Element) -> nodes.Node | None:
    """Resolve a name as a docstring has it, without that of the package or the module."""
    name = node["reftarget"].removeprefix("fullyconnected.")
    for full in (name, f"links.{name}", f"errors.{name}", f"exchange.{name}"):
        if full in PUBLIC or full.rpartition(".")[0] in PUBLIC:
            target = f"fullyconnected.{full}"
            place = env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, shown)
            if place is not None:
                return place
    return shown if node["reftype"] == "attr" else None  # attributes stand in the entry of their class


# --- pages ------------------------------------------------------------------------------------------------------------


def on_source(app: Sphinx, module: str, name: str) -> str | None:
    """Say where the source of a constant or an alias is: where it is public, and not where its type is from."""
    thing = getattr(sys.modules.get(module), name.partition(".")[0], None)
    return None if inspect.isclass(thing) or inspect.isfunction(thing) else module


def back(link: re.Match[str]) -> str:
    """Return the link from a source to an entry by its full name, of which Sphinx leaves out the module."""
    names = ON_PAGES.get(link[1], [])
    full = link[2] if link[2] in names else next((each for each in names if each.endswith(f".{link[2]}")), link[2])
    return f"api/{link[1]}.html#fullyconnected.{full}{link[3]}"


def on_page(app: Sphinx, name: str, template: str, context: dict[str, Any], tree: nodes.document | None) -> None:
    """Mend what Sphinx writes: empty heads of tables, of which nothing can be read out, and links from sources."""
    if "body" in context:
        context["body"] = EMPTY_HEAD.sub(r"<td\1></td>", context["body"])
    if name.startswith("_modules/"):
        context["body"] = BACK.sub(back, context["body"])


def formula(writer: Any, node: nodes.Element, *, display: bool) -> None:
    """Write a formula as MathML. In Markdown a new row is ``\\cr``, since GitHub takes one backslash of two."""
    mathml = MATHEMATICS.convert_with_local_state(node.astext().replace(r"\cr", r"\\"), displaystyle=display)
    writer.body.append(f'<div class="formula">{mathml}</div>' if display else mathml)
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("autodoc-process-signature", on_signature)
    app.add_transform(LinkNames)
    app.connect("missing-reference", on_missing)
    app.connect("viewcode-follow-imported", on_source)
    app.connect("html-page-context", on_page)
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(functools.partial(formula, display=False), None),
        block_renderers=(functools.partial(formula, display=True), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
