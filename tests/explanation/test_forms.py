"""The table of forms: what Explanation and the command line have, whoever adds to it."""

import json

import pytest

import fullyconnected as fc
from fullyconnected import errors
from fullyconnected.cli import main
from fullyconnected.explanation.forms import FORMS, Form


@pytest.fixture
def example():
    net = fc.Network([fc.Dense(2, 2, "tanh")], dtype="float64", seed=0)
    return fc.explain(net, [[1.0, 2.0]], [[0.0, 1.0]], "half_squared_error", focus="W1[0,1]")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_a_method_and_is_saved_by_its_suffix(name, example, tmp_path):
    written = example.to(name)
    assert written == getattr(example, f"to_{name}")()
    assert written.isascii()
    example.save(tmp_path / f"example{FORMS[name].suffix}")
    assert (tmp_path / f"example{FORMS[name].suffix}").read_text(encoding="utf-8") == written
    assert FORMS[name].render(example.trace, None)


def test_no_two_forms_have_one_suffix():
    assert len({form.suffix for form in FORMS.values()}) == len(FORMS)


def test_a_form_of_your_own_is_a_line(example, tmp_path, monkeypatch, capsys):
    def count(trace, focus, lang):
        return f"{len(trace.steps)} steps" + (f", of which {focus.text} is followed" if focus else "") + "\n"

    monkeypatch.setitem(FORMS, "count", Form("how many steps there are", ".count", count))
    assert example.to("count") == f"{len(example.trace.steps)} steps, of which W1[0,1] is followed\n"
    example.save(str(tmp_path / "steps.count"))
    assert (tmp_path / "steps.count").read_text(encoding="utf-8") == example.to("count")
    assert main(["explain", "seed", "--count", "-"]) == 0
    counted = capsys.readouterr().out
    assert main(["explain", "seed", "--count", str(tmp_path / "again"), "--json", "-"]) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert (tmp_path / "again").read_text(encoding="utf-8") == counted == f"{len(steps)} steps\n"
    with pytest.raises(SystemExit):
        main(["explain", "--help"])
    assert "write how many steps there are (- for standard output)" in " ".join(capsys.readouterr().out.split())


def test_forms_that_are_not_there_are_told(example, tmp_path):
    with pytest.raises(errors.UnknownNameError, match="there is no form 'htm'; did you mean 'html'"):
        example.to("htm")
    for name in ("example.pdf", "example"):
        with pytest.raises(errors.ConfigError, match=r"there are: \.html \(html\), \.md \(markdown\), "):
            example.save(tmp_path / name)
    assert not [*tmp_path.iterdir()]
