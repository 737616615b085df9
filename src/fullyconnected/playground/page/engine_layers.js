/*
 * The layers: what each needs, and its forward and backward pass over rows, as in fullyconnected/layers. An operation
 * `op` has its settings, its widths nIn and nOut, and the views of its memory: parameters op.p, their gradients op.g,
 * running statistics op.s, and what forward keeps for backward in op.c. Backward overwrites the gradients and, unless it
 * is null, dx; it may change dy.
 */
import { ACTIVATIONS as FORMULAS } from "./engine_formulas.js";
import { SUITED, draw } from "./engine_initializers.js";

export const ACTIVATIONS = {
    ...FORMULAS,
    softmax: {
        settings: {},
        forward(x, y, n, s, k) {
            for (let start = 0; start < n; start += k) {
                let most = x[start], sum = 0;
                for (let i = start + 1; i < start + k; i++) most = Math.max(most, x[i]);
                for (let i = start; i < start + k; i++) sum += y[i] = Math.exp(x[i] - most);
                for (let i = start; i < start + k; i++) y[i] /= sum;
            }
        },
        backward(x, y, dy, dx, n, s, k) {
            for (let start = 0; start < n; start += k) {
                let sum = 0;
                for (let i = start; i < start + k; i++) sum += dy[i] * y[i];
                for (let i = start; i < start + k; i++) dx[i] = (dy[i] - sum) * y[i];
            }
        },
    },
};

// Return the function of an activation, and its settings, from {activation: name, settings}.
export function activation(plain) {
    const name = plain.activation, known = ACTIVATIONS[name];
    if (known === undefined) throw new Error(`the browser has no activation called ${name}`);
    return { name, known, settings: { ...known.settings, ...plain.settings } };
}

const none = () => ({});
const noValues = () => {};
const copy = (from, to, n) => {
    for (let i = 0; i < n; i++) to[i] = from[i];
};

// Write the sums over the rows of a (rows, k).
function overRows(a, out, rows, k) {
    for (let j = 0; j < k; j++) out[j] = 0;
    for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) out[j] += a[i];
}

// Write the sums over the rows of the products of a and b, both (rows, k).
function productsOverRows(a, b, out, rows, k) {
    for (let j = 0; j < k; j++) out[j] = 0;
    for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) out[j] += a[i] * b[i];
}

// The three products of a dense layer. Four rows are taken at a time, so that an entry of W is read once for them.

// Write x W into z: x (rows, nIn), W (nIn, nOut).
function multiply(x, W, z, rows, nIn, nOut) {
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
        const x0 = r * nIn, x1 = x0 + nIn, x2 = x1 + nIn, x3 = x2 + nIn, at = r * nOut;
        for (let j = 0; j < nOut; j++) {
            let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (let i = 0, w = j; i < nIn; i++, w += nOut) {
                const v = W[w];
                s0 += x[x0 + i] * v;
                s1 += x[x1 + i] * v;
                s2 += x[x2 + i] * v;
                s3 += x[x3 + i] * v;
            }
            z[at + j] = s0;
            z[at + nOut + j] = s1;
            z[at + 2 * nOut + j] = s2;
            z[at + 3 * nOut + j] = s3;
        }
    }
    for (; r < rows; r++) {
        for (let j = 0; j < nOut; j++) {
            let sum = 0;
            for (let i = 0, w = j; i < nIn; i++, w += nOut) sum += x[r * nIn + i] * W[w];
            z[r * nOut + j] = sum;
        }
    }
}

// Write x' dz into dW.
function multiplyRows(x, dz, dW, rows, nIn, nOut) {
    dW.fill(0);
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
        const d0 = r * nOut, d1 = d0 + nOut, d2 = d1 + nOut, d3 = d2 + nOut;
        for (let i = 0, w = 0, from = r * nIn; i < nIn; i++, from++) {
            const a0 = x[from], a1 = x[from + nIn], a2 = x[from + 2 * nIn], a3 = x[from + 3 * nIn];
            for (let j = 0; j < nOut; j++, w++) {
                dW[w] += a0 * dz[d0 + j] + a1 * dz[d1 + j] + (a2 * dz[d2 + j] + a3 * dz[d3 + j]);
            }
        }
    }
    for (; r < rows; r++) {
        for (let i = 0, w = 0; i < nIn; i++) {
            const a = x[r * nIn + i];
            for (let j = 0; j < nOut; j++, w++) dW[w] += a * dz[r * nOut + j];
        }
    }
}

// Write dz W' into dx.
function multiplyBack(dz, W, dx, rows, nIn, nOut) {
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
        const d0 = r * nOut, d1 = d0 + nOut, d2 = d1 + nOut, d3 = d2 + nOut;
        for (let i = 0, w = 0, to = r * nIn; i < nIn; i++, to++) {
            let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (let j = 0; j < nOut; j++, w++) {
                const v = W[w];
                s0 += dz[d0 + j] * v;
                s1 += dz[d1 + j] * v;
                s2 += dz[d2 + j] * v;
                s3 += dz[d3 + j] * v;
            }
            dx[to] = s0;
            dx[to + nIn] = s1;
            dx[to + 2 * nIn] = s2;
            dx[to + 3 * nIn] = s3;
        }
    }
    for (; r < rows; r++) {
        for (let i = 0, w = 0; i < nIn; i++) {
            let sum = 0;
            for (let j = 0; j < nOut; j++, w++) sum += dz[r * nOut + j] * W[w];
            dx[r * nIn + i] = sum;
        }
    }
}

const dense = {
    decays: ["W"],
    params: ({ nIn, nOut, settings }) => (settings.bias === false ? { W: nIn * nOut } : { W: nIn * nOut, b: nOut }),
    state: none,
    cache: (op, rows) => (op.settings.activation ? { z: rows * op.nOut } : {}),
    prepare(op) {
        if ((op.settings.parametrization ?? "standard") !== "standard") {
            throw new Error("the browser has only the standard parametrization of Dense");
        }
        op.f = op.settings.activation ? activation(op.settings.activation) : null;
    },
    initialize(op, rng) {
        const { nIn, nOut, p, settings } = op;
        draw(settings.init ?? SUITED[op.f?.name] ?? "glorot_uniform", rng, p.W, nIn, nOut);
        if (p.b) draw(settings.bias_init ?? "zeros", rng, p.b, nIn, nOut);
    },
    forward(op, x, y, rows) {
        const { nIn, nOut, f } = op, { W, b } = op.p, z = f ? op.c.z : y;
        multiply(x, W, z, rows, nIn, nOut);
        if (b) for (let r = 0, at = 0; r < rows; r++) for (let j = 0; j < nOut; j++, at++) z[at] += b[j];
        if (f) f.known.forward(z, y, rows * nOut, f.settings, nOut);
    },
    backward(op, x, y, dy, dx, rows) {
        const { nIn, nOut, f } = op, { W } = op.p, { W: dW, b: db } = op.g;
        if (f) f.known.backward(op.c.z, y, dy, dy, rows * nOut, f.settings, nOut); // dy is dL/dz from here on
        if (db) overRows(dy, db, rows, nOut);
        multiplyRows(x, dy, dW, rows, nIn, nOut);
        if (dx !== null) multiplyBack(dy, W, dx, rows, nIn, nOut);
    },
};

const separate = {
    params: none,
    state: none,
    cache: none,
    prepare(op) {
        op.f = activation(op.settings.activation);
    },
    initialize: noValues,
    forward(op, x, y, rows) {
        op.f.known.forward(x, y, rows * op.nOut, op.f.settings, op.nOut);
    },
    backward(op, x, y, dy, dx, rows) {
        if (dx !== null) op.f.known.backward(x, y, dy, dx, rows * op.nOut, op.f.settings, op.nOut);
    },
};

const dropout = {
    random: true,
    params: none,
    state: none,
    cache: (op, rows) => ({ m: rows * op.nOut }),
    prepare(op) {
        op.limit = Math.fround(op.settings.rate); // the numbers are float32, as NumPy compares them
        op.scale = 1 / (1 - op.settings.rate);
    },
    initialize: noValues,
    forward(op, x, y, rows, train, rng) {
        const n = rows * op.nOut, { m } = op.c;
        op.drops = train && op.settings.rate > 0;
        if (!op.drops) return copy(x, y, n);
        for (let i = 0; i < n; i++) {
            m[i] = rng.float() >= op.limit ? op.scale : 0;
            y[i] = x[i] * m[i];
        }
    },
    backward(op, x, y, dy, dx, rows) {
        if (dx === null) return;
        const n = rows * op.nOut, { m } = op.c;
        if (!op.drops) return copy(dy, dx, n);
        for (let i = 0; i < n; i++) dx[i] = dy[i] * m[i];
    },
};

// Normalisation over the units of a row: LayerNorm, and RMSNorm, which has no mean and no beta.
const rowNorm = (centred, epsilon) => ({
    params: ({ nOut }) => (centred ? { gamma: nOut, beta: nOut } : { gamma: nOut }),
    state: none,
    cache: (op, rows) => ({ n: rows * op.nOut, rate: rows }),
    prepare(op) {
        op.epsilon = op.settings.epsilon ?? epsilon;
    },
    initialize(op) {
        op.p.gamma.fill(1);
    },
    forward(op, x, y, rows) {
        const k = op.nOut, { n, rate } = op.c, { gamma, beta } = op.p;
        for (let r = 0, start = 0; r < rows; r++, start += k) {
            let mean = 0, squares = 0;
            if (centred) {
                for (let i = start; i < start + k; i++) mean += x[i];
                mean /= k;
            }
            for (let i = start; i < start + k; i++) squares += (x[i] - mean) * (x[i] - mean);
            rate[r] = 1 / Math.sqrt(squares / k + op.epsilon);
            if (squares === Infinity) rate[r] = NaN; // which is noticed, as zeros would not be
            for (let i = start, j = 0; j < k; i++, j++) {
                n[i] = (x[i] - mean) * rate[r];
                y[i] = n[i] * gamma[j];
                if (centred) y[i] += beta[j];
            }
        }
    },
    backward(op, x, y, dy, dx, rows) {
        const k = op.nOut, { n, rate } = op.c, { gamma } = op.p;
        productsOverRows(dy, n, op.g.gamma, rows, k);
        if (centred) overRows(dy, op.g.beta, rows, k);
        if (dx === null) return;
        for (let r = 0, start = 0; r < rows; r++, start += k) {
            let mean = 0, along = 0;
            for (let i = start, j = 0; j < k; i++, j++) {
                dx[i] = dy[i] * gamma[j];
                along += dx[i] * n[i];
                if (centred) mean += dx[i];
            }
            mean /= k;
            along /= k;
            for (let i = start; i < start + k; i++) dx[i] = (dx[i] - mean - n[i] * along) * rate[r];
        }
    },
});

const batchNorm = {
    leastRows: 2,
    params: ({ nOut }) => ({ gamma: nOut, beta: nOut }),
    state: ({ nOut }) => ({ running_mean: nOut, running_var: nOut }),
    cache: (op, rows) => ({ n: rows * op.nOut, rate: op.nOut, mean: op.nOut }),
    prepare(op) {
        op.epsilon = op.settings.epsilon ?? 1e-5;
        op.momentum = op.settings.momentum ?? 0.1;
    },
    initialize(op) {
        op.p.gamma.fill(1);
        op.s.running_var.fill(1);
    },
    forward(op, x, y, rows, train) {
        const k = op.nOut, { n, rate, mean } = op.c, { gamma, beta } = op.p, { running_mean, running_var } = op.s;
        op.through = train; // whether backward differentiates through the statistics
        if (train) {
            overRows(x, mean, rows, k);
            for (let j = 0; j < k; j++) mean[j] /= rows;
            for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) n[i] = x[i] - mean[j];
            productsOverRows(n, n, rate, rows, k);
            const unbiased = rows / Math.max(rows - 1, 1), { momentum } = op;
            for (let j = 0; j < k; j++) {
                rate[j] /= rows;
                running_mean[j] = running_mean[j] * (1 - momentum) + mean[j] * momentum;
                running_var[j] = running_var[j] * (1 - momentum) + rate[j] * (momentum * unbiased);
            }
        } else {
            for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) n[i] = x[i] - running_mean[j];
            copy(running_var, rate, k);
        }
        for (let j = 0; j < k; j++) rate[j] = 1 / Math.sqrt(rate[j] + op.epsilon);
        for (let r = 0, i = 0; r < rows; r++) {
            for (let j = 0; j < k; j++, i++) {
                n[i] *= rate[j];
                y[i] = n[i] * gamma[j] + beta[j];
            }
        }
    },
    backward(op, x, y, dy, dx, rows) {
        const k = op.nOut, { n, rate } = op.c, { gamma } = op.p, g = op.g;
        overRows(dy, g.beta, rows, k);
        productsOverRows(dy, n, g.gamma, rows, k);
        if (dx === null) return;
        for (let r = 0, i = 0; r < rows; r++) {
            for (let j = 0; j < k; j++, i++) {
                const own = op.through ? dy[i] - (n[i] * g.gamma[j] + g.beta[j]) / rows : dy[i];
                dx[i] = own * gamma[j] * rate[j];
            }
        }
    },
};

// The end of a residual block, which reads what came into the block, too.
const add = {
    skips: true,
    params: none,
    state: none,
    cache: none,
    prepare: noValues,
    initialize: noValues,
    forward(op, x, y, rows, train, rng, skip) {
        for (let i = 0; i < rows * op.nOut; i++) y[i] = x[i] + skip[i];
    },
    backward(op, x, y, dy, dx, rows) {
        copy(dy, dx, rows * op.nOut);
    },
};

export const OPERATIONS = {
    dense,
    activation: separate,
    dropout,
    layer_norm: rowNorm(true, 1e-5),
    rms_norm: rowNorm(false, 1e-6),
    batch_norm: batchNorm,
    add,
};

// What the browser does not have, and why.
const COLUMNS = "it is for columns of a table, and the playground in the browser has points of a plane";
export const WITHOUT_LAYERS = {
    standardize: COLUMNS,
    rescale: COLUMNS,
    scale: COLUMNS,
    parametric: COLUMNS,
    periodic_embedding: COLUMNS,
    piecewise_linear_encoding: COLUMNS,
    piecewise_linear_embedding: COLUMNS,
    one_hot: COLUMNS,
    embedding: COLUMNS,
    columns: COLUMNS,
    members: "the playground trains one network, and no ensemble",
};
