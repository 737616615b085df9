"""What users of other libraries write, and what is written here; looked up where something does not exist.

It is loaded for an error message alone.
"""

import difflib
from collections.abc import Iterable, Mapping

__all__ = ["ATTRIBUTES", "HISTORY", "NAMES", "PUBLIC", "SETTINGS", "advice"]

_ACTIVATION = 'an activation is known by its name: fc.Dense(n_in, n_out, "{0}") or fc.Activation("{0}")'
_ESTIMATOR = "make a network by fc.mlp([n_in, 64, n_out]), and train it by fc.fit(net, x, t, loss)"

# fc.X, as PyTorch, Keras and scikit-learn name it
PUBLIC: Mapping[str, str] = {
    **dict.fromkeys(("Linear", "FullyConnected", "LazyLinear"), "write fc.Dense(n_in, n_out)"),
    **dict.fromkeys(("Sequential", "Model", "Module", "Net"), "write fc.Network([fc.Dense(n_in, n_out), ...])"),
    **dict.fromkeys(("MLP", "Perceptron"), "write fc.mlp([n_in, hidden, n_out])"),
    **dict.fromkeys(("MLPClassifier", "MLPRegressor", "Classifier", "Regressor"), _ESTIMATOR),
    **{
        name: _ACTIVATION.format(ours)
        for name, ours in {
            "ReLU": "relu",
            "relu": "relu",
            "Sigmoid": "sigmoid",
            "sigmoid": "sigmoid",
            "Tanh": "tanh",
            "tanh": "tanh",
            "Softmax": "softmax",
            "softmax": "softmax",
            "LogSoftmax": "softmax",
            "Softplus": "softplus",
            "GELU": "gelu",
            "gelu": "gelu",
            "SELU": "selu",
            "selu": "selu",
            "SiLU": "silu",
            "Swish": "silu",
            "Mish": "mish",
            "Identity": "identity",
            "elu": "elu",
        }.items()
    },
    **dict.fromkeys(
        (
            *(
                "CrossEntropyLoss",
                "CrossEntropy",
                "NLLLoss",
                "CategoricalCrossentropy",
                "SparseCategoricalCrossentropy",
            ),
            *("SoftmaxCrossEntropyLoss", "cross_entropy", "LogLoss"),
        ),
        "write fc.SoftmaxCrossEntropy(), which takes logits and class numbers",
    ),
    **dict.fromkeys(
        ("BCELoss", "BCEWithLogitsLoss", "BinaryCrossentropy", "SigmoidCrossEntropy"),
        "write fc.BinaryCrossEntropy(), which takes logits",
    ),
    **dict.fromkeys(("MSELoss", "MSE", "mse", "mse_loss", "L2Loss"), "write fc.MeanSquaredError()"),
    **dict.fromkeys(("L1Loss", "MAE", "mae", "MeanAbsoluteError"), "write fc.AbsoluteError()"),
    **dict.fromkeys(("HuberLoss", "SmoothL1Loss"), "write fc.Huber(1.0)"),
    **dict.fromkeys(("PoissonNLLLoss", "PoissonLoss"), "write fc.Poisson(), which takes logarithms of rates"),
    **dict.fromkeys(("HingeLoss", "MultiMarginLoss", "SVMLoss"), "write fc.Hinge()"),
    **dict.fromkeys(("PinballLoss", "QuantileLoss"), "write fc.Quantile(0.5)"),
    **dict.fromkeys(("BatchNorm1d", "BatchNormalization"), "write fc.BatchNorm()"),
    **dict.fromkeys(("LayerNormalization",), "write fc.LayerNorm()"),
    **dict.fromkeys(("AlphaDropout", "Dropout1d"), "write fc.Dropout(rate)"),
    **dict.fromkeys(("Flatten", "Input", "InputLayer"), "leave it out: inputs of more dimensions are flattened"),
    **dict.fromkeys(
        ("Adamax", "Nadam", "NAdam", "Adagrad", "Adadelta"), "take fc.Adam(lr), or write a rule of your own"
    ),
    **dict.fromkeys(("StepLR", "ExponentialLR", "LRScheduler"), "write schedule=fc.StepDecay(0.95) for fit"),
    **dict.fromkeys(("CosineAnnealingLR", "CosineAnnealing"), "write schedule=fc.CosineDecay(epochs) for fit"),
    **dict.fromkeys(("EarlyStopping",), "write patience=10 for fit"),
    **dict.fromkeys(("ModelCheckpoint",), 'write checkpoint="run.safetensors" for fit'),
    **dict.fromkeys(("train", "Trainer", "trainer"), "write fc.fit(net, x, t, loss, optimizer, epochs=10)"),
    **dict.fromkeys(("predict", "evaluate", "save", "summary", "copy"), "it is a method of the network: net.{}(...)"),
    **dict.fromkeys(("load_model", "load_weights", "from_file"), "write fc.load(path)"),
    **dict.fromkeys(
        ("gradcheck", "grad_check", "check_gradient", "check_grad"), "write fc.check_gradients(net, x, t, loss)"
    ),
    **dict.fromkeys(("nn", "layers", "models"), "layers are in fc itself: fc.Dense, fc.Dropout, fc.Network"),
    **dict.fromkeys(("optim", "optimizers"), "optimizers are in fc itself: fc.Adam, fc.SGD"),
    **dict.fromkeys(
        ("loss", "metrics"), 'losses are in fc itself: fc.HalfSquaredError; a metric is a name: "accuracy"'
    ),
    **dict.fromkeys(
        ("to_categorical", "one_hot", "OneHotEncoder"), "write np.eye(n)[t]; SoftmaxCrossEntropy takes class numbers"
    ),
    **dict.fromkeys(("DataLoader", "TensorDataset", "Dataset"), "leave it out: fit takes arrays, and batch_size=32"),
    **dict.fromkeys(("train_test_split",), "write order = np.random.default_rng(0).permutation(len(x)), and cut it"),
    **dict.fromkeys(("accuracy_score", "accuracy", "score"), 'write net.evaluate(x, t, loss).metrics["accuracy"]'),
    **dict.fromkeys(
        ("Conv2d", "Conv2D", "Conv1d", "LSTM", "Attention", "Transformer"), "there are fully connected layers alone"
    ),
    **dict.fromkeys(("tensor", "Tensor", "Variable", "array"), "arrays are NumPy's"),
    **dict.fromkeys(
        ("no_grad", "GradientTape"), "nothing is recorded: net.predict takes no gradient, net.gradients does"
    ),
    **dict.fromkeys(
        ("manual_seed", "set_seed", "seed"), "there is no global seed: fc.mlp(..., seed=0), fc.fit(..., seed=0)"
    ),
    **dict.fromkeys(("StandardScaler", "Normalization", "normalize"), "write (x - x.mean(axis=0)) / x.std(axis=0)"),
}

# net.X
ATTRIBUTES: Mapping[str, str] = {
    **dict.fromkeys(("fit", "train", "partial_fit", "learn"), "write fc.fit(net, x, t, loss, optimizer, epochs=10)"),
    **dict.fromkeys(("train_on_batch", "step"), "write for epoch in fc.epochs(net, x, t, loss): ..."),
    **dict.fromkeys(
        ("compile", "configure"), "loss, optimizer and metrics are given to fc.fit(net, x, t, loss, optimizer)"
    ),
    **dict.fromkeys(
        ("predict_proba", "predict_log_proba", "proba"),
        "write net.predictions(x), by the loss that the network was trained with; or loss.predictions(z)",
    ),
    **dict.fromkeys(
        ("predict_classes", "classes_", "classify", "decision_function"),
        "net.predict(x) gives raw outputs; classes are net.predict(x).argmax(axis=1)",
    ),
    **dict.fromkeys(("score", "test", "evaluate_generator"), "write net.evaluate(x, t, loss, metrics)"),
    **dict.fromkeys(("accuracy",), 'write net.evaluate(x, t, loss).metrics["accuracy"]'),
    **dict.fromkeys(("forward", "call", "apply", "run", "transform"), "write net.predict(x)"),
    **dict.fromkeys(
        ("backward", "backprop", "zero_grad", "grad", "gradient", "compute_gradients"),
        "write g = net.gradients(x, t, loss), then g.params[0].W",
    ),
    **dict.fromkeys(
        ("parameters", "named_parameters", "weights", "trainable_weights", "coefs_", "intercepts_", "biases", "W", "b"),
        "net.params[0].W and net.params[0].b are views, net.theta is all of them in one vector",
    ),
    **dict.fromkeys(("state_dict", "get_params"), "write net.get_weights() or net.save(path)"),
    **dict.fromkeys(
        ("load_state_dict", "load_weights", "set_params"), "write net.set_weights(arrays) or fc.load(path)"
    ),
    **dict.fromkeys(("load",), "write net = fc.load(path)"),
    **dict.fromkeys(("save_weights", "export", "dump", "to_file"), "write net.save(path)"),
    **dict.fromkeys(
        ("add", "append", "pop", "add_module"), "a network does not change: fc.Network([*net.layers, fc.Dense(...)])"
    ),
    **dict.fromkeys(("eval", "training", "requires_grad_"), "predict and evaluate never drop anything out; fit does"),
    **dict.fromkeys(
        ("to", "cuda", "cpu", "float", "double", "half", "astype"), "write fc.Network(layers, dtype=np.float64)"
    ),
    **dict.fromkeys(("clone", "clone_model"), "write net.copy()"),
    **dict.fromkeys(("count_params", "num_params", "n_parameters", "size"), "write net.n_params"),
    **dict.fromkeys(("n_inputs", "input_shape", "in_features", "n_features_in_"), "write net.n_in"),
    **dict.fromkeys(("n_outputs", "output_shape", "out_features", "n_outputs_"), "write net.n_out"),
    **dict.fromkeys(
        ("history", "loss_curve_", "loss_", "n_iter_"), "fc.fit returns it: history = fc.fit(...), history.loss"
    ),
    **dict.fromkeys(
        ("plot", "draw", "explain", "show"), "write fc.draw(net), fc.explain(net, x, t, loss) or net.summary()"
    ),
    **dict.fromkeys(
        ("reset", "initialize", "init_weights", "reset_parameters"), "write fc.Network(net.layers, seed=0)"
    ),
    **dict.fromkeys(("check", "check_gradients", "gradcheck"), "write fc.check_gradients(net, x, t, loss)"),
    **dict.fromkeys(("device",), "arrays are NumPy's, and networks run on the processor"),
    **dict.fromkeys(("optimizer",), "it is given to fc.fit(net, x, t, loss, optimizer)"),
}

# history.X
HISTORY: Mapping[str, str] = {
    **dict.fromkeys(
        ("history", "losses", "train_loss", "loss_curve_", "train_losses"), "history.loss is the list itself"
    ),
    **dict.fromkeys(("val_loss", "valid_loss", "validation_losses", "val_losses"), "write history.validation_loss"),
    **dict.fromkeys(("accuracy", "acc", "r2", "val_accuracy"), 'write history.metrics["accuracy"]'),
    **dict.fromkeys(("epoch", "epochs", "n_epochs", "n_iter_"), "write len(history.loss)"),
    **dict.fromkeys(("best_loss", "best_score"), "write min(history.validation_loss)"),
    **dict.fromkeys(("model", "net", "params"), "the network that was given to fit has been trained in place"),
}

# settings of fit, and of layers, losses and optimizers
SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(("lr", "learning_rate", "learning_rate_init", "eta"), "the rate is the optimizer's: fc.Adam(0.01)"),
    **dict.fromkeys(
        ("momentum", "weight_decay", "betas", "nesterovs_momentum"),
        "it is the optimizer's: fc.AdamW(0.01, weight_decay=0.01)",
    ),
    **dict.fromkeys(("solver", "optim", "opt", "rule"), 'write optimizer="adam" or fc.Adam(0.01)'),
    **dict.fromkeys(("verbose", "verbosity", "show", "silent", "quiet"), "write progress=False for nothing, or True"),
    **dict.fromkeys(
        ("validation_data", "val", "valid", "eval_set", "val_data"), "write validation=(x_validation, t_validation)"
    ),
    **dict.fromkeys(
        ("validation_split", "validation_fraction", "val_split", "test_size"),
        "split the rows yourself: fit(net, x[n:], t[n:], loss, validation=(x[:n], t[:n])), in an order of chance",
    ),
    **dict.fromkeys(("callbacks", "callback", "on_epoch_end"), "write for epoch in fc.epochs(net, x, t, loss): ..."),
    **dict.fromkeys(("early_stopping", "n_iter_no_change", "early_stopping_rounds"), "write patience=10"),
    **dict.fromkeys(
        ("max_iter", "n_epochs", "num_epochs", "nb_epoch", "iterations", "n_iter", "epoch"), "write epochs=10"
    ),
    **dict.fromkeys(("batch", "bs", "batchsize", "minibatch_size"), "write batch_size=128"),
    **dict.fromkeys(("alpha", "regularization", "l2_regularization", "reg", "lam"), "write l2=1e-4"),
    **dict.fromkeys(("class_weight", "weights", "sample_weights"), "write sample_weight=w, a number for each row"),
    **dict.fromkeys(("random_state", "rng", "random_seed"), "write seed=0"),
    **dict.fromkeys(("clipnorm", "clip_norm", "grad_clip", "gradient_clip_val", "max_norm"), "write max_grad_norm=1.0"),
    **dict.fromkeys(("scheduler", "lr_schedule", "lr_scheduler"), "write schedule=fc.StepDecay(0.95)"),
    **dict.fromkeys(("criterion", "loss_fn", "loss_function"), "write loss=fc.HalfSquaredError()"),
    **dict.fromkeys(("y", "y_train", "target", "targets", "labels", "Y"), "targets are called t"),
    **dict.fromkeys(("X", "x_train", "inputs", "data"), "inputs are called x"),
    **dict.fromkeys(("model", "network"), "the network is called net"),
    **dict.fromkeys(("device", "gpu", "use_gpu"), 'it runs on the processor; engine="native" is the fast one'),
    **dict.fromkeys(("n_jobs", "workers", "num_workers", "threads"), "write n_threads=2"),
    **dict.fromkeys(("metric",), 'write metrics=["accuracy"]'),
    **dict.fromkeys(("warm_start",), "a second fit goes on from the network's weights"),
    **dict.fromkeys(("save_path", "checkpoint_path", "resume"), 'write checkpoint="run.safetensors"'),
}

# names as strings, and settings of layers and optimizers: what each is called here
NAMES: Mapping[str, str] = {
    "swish": "silu",
    "linear": "identity",
    "logistic": "sigmoid",
    "leakyrelu": "leaky_relu",
    "lrelu": "leaky_relu",
    "mse": "mean_squared_error",
    "l2": "mean_squared_error",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "cross_entropy": "softmax_cross_entropy",
    "crossentropy": "softmax_cross_entropy",
    "cross_entropy_loss": "softmax_cross_entropy",
    "categorical_crossentropy": "softmax_cross_entropy",
    "sparse_categorical_crossentropy": "softmax_cross_entropy",
    "val_loss": "validation_loss",
    "val_accuracy": "accuracy",
    "log_loss": "softmax_cross_entropy",
    "nll": "softmax_cross_entropy",
    "ce": "softmax_cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "pinball": "quantile",
    "smooth_l1": "huber",
    "svm": "hinge",
    "acc": "accuracy",
    "r2_score": "r2",
    "r_squared": "r2",
    "l-bfgs": "lbfgs",
    "xavier": "glorot_uniform",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming": "he_normal",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "learning_rate": "lr",
    "rate": "lr",
    "step_size": "lr",
    "units": "n_out",
    "out_features": "n_out",
    "n_outputs": "n_out",
    "in_features": "n_in",
    "input_dim": "n_in",
    "num_features": "n_in",
    "normalized_shape": "n_in",
    "input_shape": "n_in",
    "use_bias": "bias",
    "kernel_initializer": "init",
    "bias_initializer": "bias_init",
    "p": "rate",
    "eps": "epsilon",
    "negative_slope": "slope",
    "alpha": "slope",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "mu": "momentum",
    "tol": "tolerance",
    "tau": "q",
    "m": "momentum",
}


def advice(name: str, table: Mapping[str, str], known: Iterable[str], prefix: str = "") -> str:
    """Return what to write instead of a name that does not exist, as the end of a sentence, or nothing.

    >>> advice("ReLUU", {}, ["relu", "tanh"])
    '; did you mean relu?'
    >>> advice("fit", ATTRIBUTES, [])
    ': write fc.fit(net, x, t, loss, optimizer, epochs=10)'
    """
    if said := table.get(name):
        return f": {said.format(name)}"
    plain = {each.lower().replace("_", ""): each for each in (*known, *table)}
    close = difflib.get_close_matches(name[:80].lower().replace("_", ""), plain, n=1, cutoff=0.75)
    if not close:
        return ""
    found = plain[close[0]]
    return f": {table[found].format(found)}" if found in table else f"; did you mean {prefix}{found}?"
