"""Names from other libraries, and what to write here instead; looked up when a name does not exist.

This module is imported only to make an error message.
"""

import difflib
from collections.abc import Iterable, Mapping

__all__ = ["ATTRIBUTES", "HISTORY", "NAMES", "PUBLIC", "SETTINGS", "advice"]


def _by_name(table: Mapping[str, str]) -> Mapping[str, str]:
    """Return the advice for each name, from a table that lists the names under each advice."""
    return {name: advice for advice, names in table.items() for name in names.split()}


_ACTIVATION = 'activations are given by name: fc.Dense(n_in, n_out, "{0}") or fc.Activation("{0}")'

# fc.X, as PyTorch, Keras and scikit-learn name it
PUBLIC = _by_name(
    {
        "write fc.Dense(n_in, n_out)": "Linear FullyConnected LazyLinear",
        "write fc.Network([fc.Dense(n_in, n_out), ...])": "Sequential Model Module Net",
        "write fc.mlp([n_in, hidden, n_out])": "MLP Perceptron",
        "write fit(..., average=fc.EMA(0.999))": "ExponentialMovingAverage AveragedModel ModelEma",
        "write fc.MLPClassifier()": "Classifier",
        "write fc.MLPRegressor()": "Regressor",
        **{
            _ACTIVATION.format(ours): theirs
            for ours, theirs in {
                "relu": "ReLU relu",
                "sigmoid": "Sigmoid sigmoid",
                "tanh": "Tanh tanh",
                "softmax": "Softmax softmax LogSoftmax",
                "softplus": "Softplus",
                "gelu": "GELU gelu",
                "selu": "SELU selu",
                "silu": "SiLU Swish",
                "mish": "Mish",
                "identity": "Identity",
                "elu": "elu",
            }.items()
        },
        "write fc.SoftmaxCrossEntropy(), which takes logits and class numbers": (
            "CrossEntropyLoss CrossEntropy NLLLoss CategoricalCrossentropy "
            "SparseCategoricalCrossentropy SoftmaxCrossEntropyLoss cross_entropy LogLoss"
        ),
        "write fc.BinaryCrossEntropy(), which takes logits": (
            "BCELoss BCEWithLogitsLoss BinaryCrossentropy SigmoidCrossEntropy"
        ),
        "write fc.MeanSquaredError()": "MSELoss MSE mse mse_loss L2Loss",
        "write fc.AbsoluteError()": "L1Loss MAE mae MeanAbsoluteError",
        "write fc.Huber(1.0)": "HuberLoss SmoothL1Loss",
        "write fc.Poisson(), which takes logarithms of rates": "PoissonNLLLoss PoissonLoss",
        "write fc.Hinge()": "HingeLoss MultiMarginLoss SVMLoss",
        "write fc.Quantile(0.5)": "PinballLoss QuantileLoss",
        "write fc.BatchNorm()": "BatchNorm1d BatchNormalization",
        "write fc.LayerNorm()": "LayerNormalization",
        "write fc.RMSNorm()": "RMSNormalization",
        "write fc.Dropout(rate)": "AlphaDropout Dropout1d",
        "leave it out: inputs of more dimensions are flattened": "Flatten Input InputLayer",
        "use fc.Adam(lr), or an optimizer of your own": "Adamax Nadam NAdam Adagrad Adadelta",
        "write schedule=fc.StepDecay(0.95) for fit": "StepLR ExponentialLR LRScheduler",
        "write schedule=fc.CosineDecay(epochs) for fit": "CosineAnnealingLR CosineAnnealing",
        "write patience=10 for fit": "EarlyStopping",
        'write checkpoint="run.safetensors" for fit': "ModelCheckpoint",
        "write fc.fit(net, x, t, loss, optimizer, epochs=10)": "train Trainer trainer",
        "it is a method of the network: net.{}(...)": "predict evaluate save summary copy",
        "write fc.load(path)": "load_model load_weights from_file",
        "write fc.check_gradients(net, x, t, loss)": "gradcheck grad_check check_gradient check_grad",
        "layers are in fc itself: fc.Dense, fc.Dropout, fc.Network": "nn layers models",
        "optimizers are in fc itself: fc.Adam, fc.SGD": "optim optimizers",
        'losses are in fc itself: fc.HalfSquaredError; a metric is a name: "accuracy"': "loss metrics",
        "write np.eye(n)[t]; SoftmaxCrossEntropy takes class numbers": "to_categorical one_hot OneHotEncoder",
        "leave it out: fit takes arrays, and batch_size=32": "DataLoader TensorDataset Dataset",
        "write order = np.random.default_rng(0).permutation(len(x)), and split it": "train_test_split",
        'write net.evaluate(x, t, loss).metrics["accuracy"]': "accuracy_score accuracy score",
        "there are only fully connected layers": "Conv2d Conv2D Conv1d LSTM Attention Transformer",
        "use NumPy arrays": "tensor Tensor Variable array",
        "nothing is recorded: net.predict computes no gradient, net.gradients does": "no_grad GradientTape",
        "there is no global seed: fc.mlp(..., seed=0), fc.fit(..., seed=0)": "manual_seed set_seed seed",
        "write fc.Standardize(n_in), the first layer, which takes its constants from the training rows": (
            "StandardScaler Normalization RobustScaler normalize"
        ),
    }
)

# net.X
ATTRIBUTES = _by_name(
    {
        "write fc.fit(net, x, t, loss, optimizer, epochs=10)": "fit train partial_fit learn",
        "write for epoch in fc.epochs(net, x, t, loss): ...": "train_on_batch step",
        "loss, optimizer and metrics are given to fc.fit(net, x, t, loss, optimizer)": "compile configure",
        "write net.predictions(x), which uses the loss of the training; or loss.predictions(z)": (
            "predict_proba predict_log_proba proba"
        ),
        "net.predict(x) gives raw outputs; classes are net.predict(x).argmax(axis=1)": (
            "predict_classes classes_ classify decision_function"
        ),
        "write net.evaluate(x, t, loss, metrics)": "score test evaluate_generator",
        'write net.evaluate(x, t, loss).metrics["accuracy"]': "accuracy",
        "write net.predict(x)": "forward call apply run transform",
        "write g = net.gradients(x, t, loss), then g.params[0].W": (
            "backward backprop zero_grad grad gradient compute_gradients"
        ),
        "net.params[0].W and net.params[0].b are views, net.theta is all of them in one vector": (
            "parameters named_parameters weights trainable_weights coefs_ intercepts_ biases W b"
        ),
        "write net.get_weights() or net.save(path)": "state_dict get_params",
        "write net.set_weights(arrays) or fc.load(path)": "load_state_dict load_weights set_params",
        "write net = fc.load(path)": "load",
        "write net.save(path)": "save_weights export dump to_file",
        "a network does not change: fc.Network([*net.layers, fc.Dense(...)])": "add append pop add_module",
        "predict and evaluate never apply dropout; fit does": "eval training",
        'to freeze layers, write fc.fit(..., factors=fc.Factors(lr={{"dense_1": 0}}))': (
            "requires_grad_ requires_grad freeze unfreeze trainable freeze_layers"
        ),
        "write net.copy_weights_from(other, names)": "copy_weights transfer load_pretrained copy_from",
        "write fc.Network(layers, dtype=np.float64)": "to cuda cpu float double half astype",
        "write net.copy()": "clone clone_model",
        "write net.adapt(x), or fc.fit, which does it": "fit_scaler data_dependent_init initialize_from_data",
        "write net.n_params": "count_params num_params n_parameters size",
        "write net.n_in": "n_inputs input_shape in_features n_features_in_",
        "write net.n_out": "n_outputs output_shape out_features n_outputs_",
        "fc.fit returns it: history = fc.fit(...), history.loss": "history loss_curve_ loss_ n_iter_",
        "write fc.draw(net), fc.explain(net, x, t, loss) or net.summary()": "plot draw explain show",
        "write fc.Network(net.layers, seed=0)": "reset initialize init_weights reset_parameters",
        "write fc.check_gradients(net, x, t, loss)": "check check_gradients gradcheck",
        "networks run on the CPU, with NumPy arrays": "device",
        "it is given to fc.fit(net, x, t, loss, optimizer)": "optimizer",
    }
)

# history.X
HISTORY = _by_name(
    {
        "history.loss is the list itself": "history losses train_loss loss_curve_ train_losses",
        "write history.validation_loss": "val_loss valid_loss validation_losses val_losses",
        'write history.metrics["accuracy"]': "accuracy acc r2 val_accuracy",
        "write len(history.loss)": "epoch epochs n_epochs n_iter_",
        "write min(history.validation_loss)": "best_loss best_score",
        "the network that was given to fit has been trained in place": "model net params",
    }
)

# settings of fit, and of layers, losses and optimizers
SETTINGS = _by_name(
    {
        "it is a setting of the optimizer: fc.Adam(0.01)": "lr learning_rate learning_rate_init eta",
        "it is a setting of the optimizer: fc.AdamW(0.01, weight_decay=0.01)": (
            "momentum weight_decay betas nesterovs_momentum"
        ),
        'write factors=fc.Factors(lr={{"dense_1": 0}})': (
            "freeze frozen trainable param_groups lr_factors lr_multipliers layer_lr freeze_layers lr_factor lr_mult"
        ),
        "write rounds=5": "ns_steps newton_schulz_steps backend_steps n_rounds",
        "write rest=fc.AdamW(1e-3)": "adamw_params fallback others",
        "write average=fc.EMA(0.999)": "ema use_ema ema_decay ema_momentum",
        "write average=fc.SWA(0.75)": "swa swa_start swa_epoch_start",
        'write optimizer="adam" or fc.Adam(0.01)': "solver optim opt rule",
        "write progress=True or progress=False": "verbose verbosity show silent quiet",
        "write validation=(x_validation, t_validation)": "validation_data val valid eval_set val_data",
        "shuffle and split the rows yourself: fit(net, x[n:], t[n:], loss, validation=(x[:n], t[:n]))": (
            "validation_split validation_fraction val_split test_size"
        ),
        "write for epoch in fc.epochs(net, x, t, loss): ...": "callbacks callback on_epoch_end",
        "write patience=10": "early_stopping n_iter_no_change early_stopping_rounds",
        'write max_time="10m"': "time_limit time_budget timeout max_seconds max_train_time",
        "write epochs=10": "max_iter n_epochs num_epochs nb_epoch iterations n_iter epoch",
        "write batch_size=128": "batch bs batchsize minibatch_size",
        "write l2=1e-4": "regularization l2_regularization reg lam",
        "write sample_weight=w, one number for each row": "weights sample_weights",
        "it is a setting of the loss: fc.SoftmaxCrossEntropy(class_weight=[1.0, 5.0]); or write sample_weight=": (
            "class_weight"
        ),
        "it is a setting of the loss: fc.SoftmaxCrossEntropy(label_smoothing=0.1)": "label_smoothing",
        "write seed=0": "random_state rng random_seed",
        "write max_grad_norm=1.0": "clipnorm clip_norm grad_clip gradient_clip_val max_norm",
        "write schedule=fc.StepDecay(0.95)": "scheduler lr_schedule lr_scheduler",
        "write loss=fc.HalfSquaredError()": "criterion loss_fn loss_function",
        "targets are called t": "y y_train target targets labels Y",
        "inputs are called x": "X x_train inputs data",
        "the network is called net": "model network",
        'networks run on the CPU; engine="native" is the fastest engine': "device gpu use_gpu",
        "write n_threads=2": "n_jobs workers num_workers threads",
        'write metrics=["accuracy"]': "metric",
        "a second fit continues from the network's weights": "warm_start",
        'write checkpoint="run.safetensors"': "save_path checkpoint_path resume",
    }
)

# names in strings, and settings of layers and optimizers: the name in this library, and those in others
NAMES = _by_name(
    {
        "silu": "swish",
        "unit_variance": "std unit_std lsuv",
        "he+5": "he_plus he_plus_5",
        "identity": "linear",
        "sigmoid": "logistic",
        "leaky_relu": "leakyrelu lrelu",
        "mean_squared_error": "mse l2",
        "absolute_error": "mae l1 mean_absolute_error",
        "softmax_cross_entropy": (
            "cross_entropy crossentropy cross_entropy_loss categorical_crossentropy "
            "sparse_categorical_crossentropy log_loss nll ce"
        ),
        "validation_loss": "val_loss",
        "accuracy": "val_accuracy acc",
        "binary_cross_entropy": "bce binary_crossentropy bce_with_logits",
        "quantile": "pinball",
        "huber": "smooth_l1",
        "hinge": "svm",
        "r2": "r2_score r_squared",
        "lbfgs": "l-bfgs",
        "glorot_uniform": "xavier xavier_uniform",
        "glorot_normal": "xavier_normal",
        "he_normal": "kaiming kaiming_normal",
        "he_uniform": "kaiming_uniform",
        "lr": "learning_rate rate step_size",
        "n_out": "units out_features n_outputs",
        "n_in": "in_features input_dim num_features normalized_shape input_shape",
        "bias": "use_bias",
        "init": "kernel_initializer",
        "bias_init": "bias_initializer",
        "rate": "p",
        "epsilon": "eps",
        "slope": "negative_slope alpha",
        "beta1": "beta_1",
        "beta2": "beta_2",
        "momentum": "mu m",
        "tolerance": "tol",
        "q": "tau",
        "class_weight": "weight pos_weight class_weights",
        "label_smoothing": "smoothing",
    }
)


def advice(name: str, table: Mapping[str, str], known: Iterable[str], prefix: str = "") -> str:
    """Return what to write instead of a name that does not exist, as the end of a sentence, or "".

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
