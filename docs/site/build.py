"""Build the site: ``python docs/site/build.py [FOLDER]``, by default into build/site.

What is written for GitHub is what the site shows: the pages under docs/, CHANGELOG.md and CONTRIBUTING.md, with links
that lead from one to another, and beside them the reference and the lessons of examples/. Sphinx reads all this from a
folder beside the site. A warning is an error: a link, an anchor or a name that leads nowhere.
"""

import ast
import contextlib
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import reference
from sphinx.cmd.build import build_main

from fullyconnected.playing.static import static

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"

# The pages below the start, and what stands below each of them: the three doors, and two more
TREE = {
    "start-tables": ["tables", "from-scikit-learn", "sources", "scale", "searches", "accuracy", "ablation"],
    "start-understand": ["worked-examples", "playground", "explain", "concept", "derivations", "lessons/index"],
    "start-ship": ["exchange", "performance", "gpu"],
    "api/index": ["reference", *(f"api/{page.file}" for page in reference.PAGES)],
    "project": ["changelog", "contributing", "architecture", "protocol"],
}
TITLES = {  # in the navigation, where they are other than those of the pages
    "start-tables": "Tables",
    "start-understand": "Understand",
    "start-ship": "Ship",
    "api/index": "Reference",
    "project": "Project",
    "reference": "In prose",
    "worked-examples": "Worked examples",
    "explain": "How to read and make them",
    "concept": "From first principles",
}
LESSONS = {
    "worked_example": "One layer by hand",
    "batch_in_matrix_form": "A batch in matrix form",
    "xor": "XOR",
    "digits_small": "A small classifier of digits",
    "digits": "Handwritten digits",
    "cifar10": "Functions, caches and CIFAR-10",
    "table": "A table with text, gaps and dates",
    "tables_with_scikit_learn": "Tables with scikit-learn",
    "search": "A search on many processes",
    "realmlp": "RealMLP",
    "tabm": "TabM",
}
PLACES = {  # of the repository's files on the site
    **{path: path.relative_to(DOCS).as_posix() for path in (*DOCS.glob("*.md"), *(DOCS / "pictures").iterdir())},
    **{ROOT / "examples" / f"{name}.py": f"lessons/{name}.md" for name in LESSONS},
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "src" / "fullyconnected" / "playing" / "page" / "protocol.md": "protocol.md",
}

FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")
PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]*)">\s*'
    r'<img alt="(?P<alt>[^"]*)" src="(?P<light>[^"]*)">\s*</picture>'
)
FRAME = """<div class="frame">
<iframe src="pages/{file}" title="{title}" loading="lazy"></iframe>
</div>
<p class="alone"><a href="pages/{file}">{title}: the page alone</a></p>
"""


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Return a text of Markdown whose parts outside of fenced code were changed."""
    parts, end = [], 0
    for code in FENCED.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])


def for_the_site(path: Path, place: str) -> str:
    """Return a page as the site shows it.

    Links lead to its pages, a picture is light or dark as the page is, ``<!-- class: NAME -->`` gives what follows a
    class, and ``<!-- page: NAME.html -->`` is a page within the page.
    """

    def moved(link: re.Match[str]) -> str:
        if ":" in link[2]:
            return link[0]
        target = (path.parent / link[2]).resolve()
        if target not in PLACES:
            raise SystemExit(f"{path.relative_to(ROOT)} links to {link[2]}, which is on no page of the site")
        return f"{link[1]}{os.path.relpath(PLACES[target], Path(place).parent)}{link[3] or ''})"

    def change(part: str) -> str:
        part = PICTURE.sub(r"![\g<alt>](\g<light>){.only-light}\n![\g<alt>](\g<dark>){.only-dark}", part)
        part = re.sub(r"^<!-- class: ([\w-]+) -->$", r"{.\1}", part, flags=re.MULTILINE)
        return LINK.sub(moved, part)

    text = outside_of_code(path.read_text(encoding="utf-8"), change)

    def framed(mark: re.Match[str]) -> str:
        title = re.findall(r"^##? (.*)$", text[: mark.start()], re.MULTILINE)[-1]
        return FRAME.format(file=mark[1], title=title)

    return re.sub(r"^<!-- page: (\S+) -->$", framed, text, flags=re.MULTILINE)


def lesson(name: str) -> str:
    """Return the page of a script in examples/: what it says of itself, and its code."""
    script = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(script)
    code = "\n".join(script.splitlines()[tree.body[0].end_lineno :]).strip()
    return f"# {LESSONS[name]}\n\n{ast.get_docstring(tree)}\n\n`examples/{name}.py`:\n\n```python\n{code}\n```\n"


def lessons() -> str:
    """Return the page that lists the lessons."""
    listed = "\n".join(f"- [{title}]({name}.md)" for name, title in LESSONS.items())
    return f"# Lessons\n\nScripts to run and to change, each of which asserts its numbers.\n\n{listed}\n"


def project() -> str:
    """Return the page that lists what is about the project."""
    return (
        "# The project\n\n- [What has changed](changelog.md)\n- [How to work on it](contributing.md)\n"
        "- [What each module holds](architecture.md)\n- [What the playground's page and server say](protocol.md)\n"
    )


def toctree(pages: list[str]) -> str:
    """Return what tells Sphinx which pages are below one; readers do not see it."""
    lines = [f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages]
    return "\n".join(["\n```{toctree}", ":hidden:", "", *lines, "```\n"])


def gather() -> dict[str, str]:
    """Return all pages by their places."""
    pages = {place: for_the_site(path, place) for path, place in PLACES.items() if path.suffix == ".md"}
    pages |= {f"api/{name}": text for name, text in reference.pages().items()}
    pages |= {f"lessons/{name}.md": lesson(name) for name in LESSONS}
    pages |= {"lessons/index.md": lessons(), "project.md": project()}
    tree = {"index": [*TREE], **TREE, "lessons/index": [f"lessons/{name}" for name in LESSONS]}
    for page, below in tree.items():
        pages[f"{page}.md"] += toctree(below)
    return pages


def write(folder: Path, pages: dict[str, str]) -> None:
    """Write the pages and the pictures into a folder that has nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    for place, text in pages.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copytree(DOCS / "pictures", folder / "pictures")


def put_pages(folder: Path) -> None:
    """Put into the folder what pages show within them: the playground that needs no Python, and the worked examples.

    These are made by the code that is shown beside them.
    """
    static(folder / "playground")
    path = DOCS / "worked-examples.md"
    namespace: dict[str, object] = {}
    with contextlib.chdir(folder), warnings.catch_warnings(action="error"):
        for block in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            exec(compile(block, str(path), "exec"), namespace)


def main() -> int:
    """Build the site."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    if (site / ".buildinfo").exists():  # a site of before, of which nothing shall stay
        shutil.rmtree(site)
    work = site.with_name(f"{site.name}-source")
    write(work, gather())
    options = ["-b", "html", "-c", str(HERE), "-W", "--keep-going", "-q", "-j", "auto", "-d", str(work / ".doctrees")]
    warnings.simplefilter("ignore", FutureWarning)  # Sphinx looks at every attribute, those with old names as well
    status = build_main([*options, str(work), str(site)])
    if status == 0:
        put_pages(site / "pages")
        print(f"The site is in {site}. Any server of files can show it: python -m http.server --directory {site}")
    return status


if __name__ == "__main__":
    sys.exit(main())
