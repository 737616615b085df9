"""Every Python block of the documentation runs, in order, with warnings as errors; every link leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_of_a_document_runs(document: Path, tmp_path, monkeypatch) -> None:
    text = document.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # documents write files
    namespace: dict[str, object] = {"__name__": document.stem}
    for match in BLOCK.finditer(text):
        line = text[: match.start(1)].count("\n")
        code = "\n" * line + match.group(1)  # so that an error names the line of the document
        exec(compile(code, str(document), "exec"), namespace)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    prose = re.sub(
        r"```.*?```|\$\$.*?\$\$|`[^`\n]*`|\$[^$\n]*\$", "", document.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_documents_that_readers_are_promised_are_there() -> None:
    names = {path.name for path in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "concept.md", "derivations.md", "architecture.md"} <= names


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/concept.md"])
def test_every_file_of_the_project_that_a_document_names_is_there(name: str) -> None:
    folders = ("src", "native", "tests", "tools", ".ci")
    files = [str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.*")]
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for named in re.findall(r"`([\w/.]+\.(?:py|[hc]pp|css|js|sh))`", prose):
        assert any(f"/{file}".endswith(f"/{named}") for file in files), f"{name} names {named}"


def test_every_table_that_an_addition_gets_a_line_in_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder, pattern in (("src", "*.py"), ("native/src", "*.hpp"))
        for path in (ROOT / folder).rglob(pattern)
    )
    tables = set(re.findall(r"`([A-Z_]{4,})`", text))
    assert len(tables) > 10
    assert [table for table in tables if not re.search(rf"^(#define )?{table}\b.*[=\\)]", code, re.MULTILINE)] == []
