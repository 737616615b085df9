# %% [markdown]
"""Tables with scikit-learn: a classifier and a regressor in its pipelines, from the first fit to a file.

This script is a notebook as well: editors such as VS Code, Spyder and PyCharm, and Jupytext, show each part that begins
with ``# %%`` as a cell. Data: scikit-learn's breast cancer (569 tumours, 30 measurements, 63 % benign) and diabetes
(442 patients, 10 measurements, the progression of the disease a year later), which are part of its installation.
Seeds: 0 everywhere. Needs scikit-learn: pip install "fullyconnected[sklearn]"
"""

# %% One line changes, and the numbers stay
import time
import warnings

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import fullyconnected as fc
from fullyconnected import MLPClassifier, MLPRegressor  # was: from sklearn.neural_network import ...

tumours, benign = load_breast_cancer(return_X_y=True)
train, test, t_train, t_test = train_test_split(tumours, benign, test_size=0.3, stratify=benign, random_state=0)

settings = {"learning_rate_init": 0.01, "random_state": 0}
seconds = {}
models = {"scikit-learn": sklearn.neural_network.MLPClassifier(**settings), "here": MLPClassifier(**settings)}
for name, model in models.items():
    began = time.perf_counter()
    model.fit(scale(train), t_train)
    seconds[name] = time.perf_counter() - began
    print(f"{name:12} loss {model.loss_:.6f} after {model.n_iter_} epochs, {seconds[name]:.2f} s")
ours, theirs = models["here"], models["scikit-learn"]
np.testing.assert_allclose(ours.loss_curve_[:20], theirs.loss_curve_[:20], rtol=1e-6)

# %% In a pipeline, and in a search
pipeline = make_pipeline(StandardScaler(), MLPClassifier(**settings))
print(f"accuracy in cross-validation {cross_val_score(pipeline, train, t_train, cv=3).mean():.3f}")
grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__dropout": [0.0, 0.3]}
search = GridSearchCV(pipeline, grid, cv=3).fit(train, t_train)
accuracy = search.score(test, t_test)
print(f"best of the search {search.best_params_}, test accuracy {accuracy:.3f}")
assert accuracy > 0.93

# %% A class that must not be missed: the malignant tumours weigh ten times as much
careful = make_pipeline(StandardScaler(), MLPClassifier(**settings, class_weight={0: 10.0, 1: 1.0}, alpha=10.0))
plain = make_pipeline(StandardScaler(), MLPClassifier(**settings, alpha=10.0))
found = [recall_score(t_test, each.fit(train, t_train).predict(test), pos_label=0) for each in (plain, careful)]
print(f"malignant tumours found: {found[0]:.3f}, and {found[1]:.3f} with class_weight")
assert found[1] >= found[0]

# %% Why does it not learn? Here y was not scaled, and scikit-learn's warning would only ask for more epochs
patients, progression = load_diabetes(return_X_y=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    raw = MLPRegressor(random_state=0).fit(patients, progression)
print(f"R2 on the training rows {raw.score(patients, progression):.2f}, and a warning:")
print(next(str(each.message) for each in caught if each.category is ConvergenceWarning))
report = fc.diagnose(raw, patients, progression)
print(report)
assert report.findings[0].name == "targets_unscaled"

# %% With X and y scaled inside the network, a validation set of our own, and the weights of the best epoch
x, x_val, y, y_val = train_test_split(patients, progression, test_size=0.25, random_state=0)
stopping = {"scale": True, "early_stopping": True, "scoring": "loss", "hidden_layer_sizes": (32,), **settings}
model = MLPRegressor(**stopping, dropout=0.2).fit(x, y, X_val=x_val, y_val=y_val)
print(f"R2 on the validation rows {model.score(x_val, y_val):.2f}; {model.n_iter_} epochs")
assert model.score(x_val, y_val) > 0.2
np.testing.assert_allclose(min(model.validation_loss_curve_), -model.best_validation_score_)

# %% How sure? Nine patients in ten should be below the 0.9 quantile
upper = MLPRegressor("quantile", quantile=0.9, **stopping).fit(x, y, X_val=x_val, y_val=y_val)
below = np.mean(y_val <= upper.predict(x_val))
print(f"below the 0.9 quantile: {below:.2f} of the validation rows")
assert 0.8 < below < 0.97

# %% A file without code, and predictions with NumPy alone
model.save("diabetes.safetensors")
predictor = fc.Predictor("diabetes.safetensors")
np.testing.assert_allclose(predictor.predict(x_val), model.predict(x_val), rtol=1e-6)
print(f"the first patient: progression {predictor.predict(x_val[:1])[0]:.0f}")
