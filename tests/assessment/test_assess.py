"""How good an estimator is beside simpler models, what comes of it, and what is advised."""

import re
from dataclasses import replace

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.assessment.outcomes import confusion_of, residuals_of
from fullyconnected.assessment.problem import Roles, problem_of
from fullyconnected.assessment.splitting import held_back
from fullyconnected.tables.frame import frame_of

pytest.importorskip("sklearn", reason="what is trained is an estimator of scikit-learn")
from fullyconnected.assessment.advice import advice
from fullyconnected.assessment.assess import Scored, assess, train
from fullyconnected.assessment.stored import facts_in, facts_of, save
from fullyconnected.files import read_model, write_model

QUICK = {"n_members": 3, "hidden": 8, "epochs": 6, "random_state": 0}


def table(rows=120):
    rng = np.random.default_rng(0)
    size, city = rng.normal(size=rows), rng.choice(["a", "b", "c"], rows)
    y = 2 * size + (city == "a") + 0.3 * rng.normal(size=rows)
    return {"size": size, "city": city.tolist(), "y": y, "c": np.where(y > 0.5, "yes", "no").tolist()}


def assessed(target, roles=None, compare=False, settings=QUICK, **columns):
    given = {**table(), **columns}
    given.pop({"y": "c", "c": "y"}[target])
    problem = problem_of(frame_of(given), roles or Roles(target))
    held = held_back(problem, 0.25)
    return assess(problem, train(problem, held, settings), held, compare=compare)


@pytest.fixture(scope="module")
def classes():
    return assessed("c", compare=True)


@pytest.fixture(scope="module")
def numbers():
    return assessed("y")


class TestScores:
    def test_all_models_are_judged_by_the_same_rows(self, classes):
        names = [each.name for each in classes.models]
        assert names == ["this model", "linear model", "boosted trees", "random forest", "trivial"]
        for each in classes.models:
            assert [*each.validation] == [*each.test] == ["accuracy", "log-loss"]
        y = classes.problem.y[classes.held]
        p = classes.estimator.predict_proba(classes.problem.frame.at(classes.held))
        expected = np.mean(classes.estimator.classes_[p.argmax(axis=1)] == y)
        assert classes.models[0].test["accuracy"] == pytest.approx(expected)
        learned = classes.problem.y[~classes.held]
        oof = classes.estimator.oof_predictions_
        right = classes.estimator.classes_[oof.argmax(axis=1)] == learned
        assert classes.models[0].validation["accuracy"] == pytest.approx(right.mean())

    def test_the_trivial_model_knows_the_training_rows_alone(self, numbers):
        mean = numbers.problem.y[~numbers.held].mean()
        off = numbers.problem.y[numbers.held] - mean
        assert numbers.models[-1].test["RMSE"] == pytest.approx(np.sqrt(np.mean(off**2)))
        assert numbers.models[-1].validation["R2"] == pytest.approx(0)

    def test_a_linear_model_finds_what_is_linear(self, numbers):
        assert numbers.models[1].validation["R2"] > 0.9
        assert numbers.models[1].test["R2"] > 0.9

    def test_rows_with_weights_count_as_much(self):
        weights = np.r_[np.zeros(60), np.ones(60)]
        found = assessed("y", Roles("y", weight="w"), w=weights)
        p, y = found.estimator.oof_predictions_, found.problem.y[~found.held]
        w = found.problem.weights[~found.held]
        assert found.models[0].validation["RMSE"] == pytest.approx(np.sqrt(np.average((p - y) ** 2, weights=w)))

    def test_a_class_without_weight_is_as_if_it_were_not_there(self):
        labels, weights = table()["c"], np.ones(120)
        labels[::10], weights[::10] = ["none"] * 12, 0
        found = assessed("c", Roles("c", weight="w"), compare=True, c=labels, w=weights)
        assert found.estimator.classes_.tolist() == ["no", "yes"]
        assert len(found.models) == 5
        assert found.confusion.counts.shape == (2, 2)

    def test_a_split_in_time_judges_the_later_rows(self):
        found = assessed("y", Roles("y", time="t"), compare=True, t=np.arange(120.0))
        judged = ~np.isnan(found.estimator.oof_predictions_)
        assert judged[:40].sum() == 0
        assert judged[60:].all()
        assert len({len(each.validation) for each in found.models}) == 1

    def test_a_test_row_of_a_new_class_is_counted(self):
        labels = table()["c"]
        labels[-1] = "perhaps"
        found = assessed("c", Roles("c", time="t"), t=np.arange(120.0), c=labels)
        assert found.unknown == 1
        assert found.confusion.counts.sum() == 29


class TestOutcomes:
    def test_a_confusion_matrix(self):
        p = np.eye(3)[[0, 0, 1, 2, 1, 1]]
        found = confusion_of(np.array([0, 0, 0, 2, 2, 1]), p, np.array(["u", "v", "w"]))
        assert found.counts.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 1]]
        np.testing.assert_allclose(found.recalls, [2 / 3, 1, 1 / 2])
        np.testing.assert_allclose(found.precisions, [1, 1 / 3, 1])
        assert found.mistakes(5) == [("u", "v", 1), ("w", "v", 1)]

    def test_residuals(self):
        found = residuals_of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 5.0]))
        assert found.quantiles[0] == (0.0, -2.0)
        assert found.quantiles[-1] == (1.0, 1.0)
        assert (found.mean, found.absolute) == (pytest.approx(-1 / 3), 1.0)


class TestAdvice:
    def said(self, found, **changes):
        return " ".join(advice(replace(found, **changes)))

    def test_a_leak_is_first(self):
        leaking = assessed("y", fee=table()["y"] * 0.1)
        assert advice(leaking)[0].startswith("'fee' may give the target away: it has the order of the target")

    def test_a_model_that_learned_nothing(self, numbers):
        scores = {"R2": 0.001, "RMSE": 1.0}
        models = (Scored("this model", scores, scores), Scored("trivial", {"R2": 0.0, "RMSE": 1.0}, None))
        assert "predicts no better than always the mean" in self.said(numbers, models=models)

    def test_a_test_part_that_is_worse(self, classes):
        ours = Scored("this model", {"accuracy": 0.99}, {"accuracy": 0.5})
        trivial = Scored("trivial", {"accuracy": 0.5}, {"accuracy": 0.5})
        said = self.said(classes, models=(ours, trivial))
        assert "predicted worse than rows held out in training (accuracy 0.5 and 0.99)" in said
        assert "--group COLUMN" in said

    def test_others_that_are_as_good_or_better(self, classes):
        good = Scored("linear model", {"accuracy": 0.9}, {"accuracy": 0.9})
        better = Scored("boosted trees", {"accuracy": 0.95}, {"accuracy": 0.95})
        ours, trivial = good._replace(name="this model"), Scored("trivial", {"accuracy": 0.5}, {"accuracy": 0.5})
        said = self.said(classes, models=(ours, good, better, trivial))
        assert "A linear model is as good (accuracy 0.9 and 0.9)" in said
        assert "The boosted trees predict the test rows better (accuracy 0.95 and 0.9)" in said

    def test_classes_that_are_rare(self):
        labels = np.where(np.arange(400) % 40 == 0, "rare", "usual")
        problem = problem_of(frame_of({"a": np.arange(400.0) % 7, "c": labels}), Roles("c"))
        held = held_back(problem, 0.2)
        found = assess(problem, train(problem, held, QUICK), held)
        said = " ".join(advice(found))
        assert "'rare' is rare (2.5% of the rows): look at its recall" in said
        assert "'rare' is taken for 'usual' in 2 of 2 test rows" in said

    def test_columns(self):
        gaps = np.where(np.arange(120) % 3 == 0, 1.0, np.nan)
        found = assessed("y", gaps=gaps, key=[f"k{i}" for i in range(120)], row=np.arange(120))
        said = " ".join(advice(found))
        assert "'key' and 'row' look like identifiers: name them with --id" in said
        assert "'gaps' is missing in most rows" in said

    def test_dates_in_another_form_are_no_identifiers(self):
        found = assessed("y", day=[f"{i % 28 + 1}.{i % 12 + 1}.{1990 + i // 12}" for i in range(120)])
        said = " ".join(advice(found))
        assert "'day' looks like a date in another form: write 2024-12-31, and it is read as such" in said
        assert "identifier" not in said

    def test_repeated_rows(self, numbers):
        said = self.said(numbers, repeated=10)
        assert "10 of 30 test rows equal a training row" in said

    def test_every_sentence_is_one_line_without_a_point_at_its_end(self, numbers, classes):
        for sentence in (*advice(numbers), *advice(classes)):
            assert re.fullmatch(r"[^\n]+[^.\n]", sentence)


class TestFacts:
    def test_they_come_back_as_they_were(self, classes, tmp_path):
        facts = facts_of(classes.problem, classes.held, classes)
        save(classes.estimator, facts, tmp_path / "m")
        assert facts_in(read_model(tmp_path / "m")) == facts
        assert facts.usual == pytest.approx(
            [np.mean(classes.problem.y[~classes.held] == each) for each in ("no", "yes")]
        )

    @pytest.mark.parametrize(
        "damage",
        [
            {"format": 2}, {"task": "labels"}, {"roles": {}}, {"roles": None}, {"rows": "many"}, {"models": [{}]},
            {"usual": ["half"]}, {"models": [{"name": "m", "validation": {"a": "b"}}]},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_damaged_is_refused(self, classes, tmp_path, damage):
        save(classes.estimator, facts_of(classes.problem, classes.held, classes), tmp_path / "m")
        model = read_model(tmp_path / "m")
        model.extras["trained"] |= damage
        write_model(tmp_path / "m", model)
        with pytest.raises(errors.FileFormatError):
            facts_in(read_model(tmp_path / "m"))
