"""scikit-learn's MLP; one call of ``fit`` runs many epochs."""

import warnings

import numpy as np
from peers_case import Case
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

__all__ = ["MLP"]

warnings.simplefilter("ignore", ConvergenceWarning)


class MLP:
    """A regressor, or a classifier for training with classes."""

    def __init__(self, case: Case) -> None:
        self.case, self.t = case, case.t.squeeze(axis=1) if case.sizes[-1] == 1 else case.t
        self.differs = "its regressor has no sigmoid at the end, so its losses are not compared" if case.xor else None
        self.whole = len(case.x) // case.batch
        self.model = (MLPClassifier if case.classes else MLPRegressor)(
            hidden_layer_sizes=case.sizes[1:-1],
            activation="logistic" if case.xor else "relu",
            solver=case.rule.lower(),
            alpha=0,
            batch_size=case.batch,
            learning_rate_init=case.lr,
            momentum=0,
            nesterovs_momentum=False,
            tol=0,
            n_iter_no_change=10**9,
        )
        first = slice(case.batch)  # the model creates its arrays in its first step
        more = {"classes": np.arange(10)} if case.classes else {}
        self.model.partial_fit(case.x[first], self.t[first], **more)
        self.model.coefs_, self.model.intercepts_ = [W.copy() for W in case.W], [b.copy() for b in case.b]
        del self.model._optimizer

    def train(self, order: np.ndarray) -> float:
        if len(order) == self.case.batch:
            self.model.partial_fit(self.case.x[order], self.t[order])
        else:  # fit shuffles the rows itself
            self.model.set_params(warm_start=True, max_iter=len(order) // len(self.case.x))
            self.model.fit(self.case.x, self.t)
        return self.model.loss_

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x).reshape(len(x), -1)
