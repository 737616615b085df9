/*
 * The activations, losses and optimizers of the library that work entry by entry, as loops.
 *
 * Written by tools/engine_formulas.py from the formulas of fullyconnected.symbolic.formulas: do not change it by hand.
 * x and y are input and output, dx and dy their gradients; z are outputs, t targets; s are settings.
 */
// the normal distribution function, by the coefficients of activations.py
const TAIL = Float64Array.of(
    5.862378975757045e-11,
    1.8541412723617466e-10,
    -3.994926858952877e-10,
    -2.020491357144713e-09,
    4.653193041521236e-10,
    1.1925199643121582e-08,
    9.086727486213984e-09,
    -5.2844936035268514e-08,
    -9.401436222104922e-08,
    2.0602202625376126e-07,
    6.614551719327993e-07,
    -8.294126231878526e-07,
    -4.303549520281914e-06,
    4.631554899771345e-06,
    2.8648344363332975e-05,
    -4.5554892613836454e-05,
    -0.00018718426938826708,
    0.0006388138514027697,
    0.0005075620750038936,
    -0.008492095482084693,
    0.030864804106321423,
    -0.07170740733773805,
    0.12437925533925633,
    -0.17039772154845542,
    0.09441064130196894
);
function Phi(a) {
    if (Number.isNaN(a)) return a;
    const size = Math.min(Math.abs(a), 1000), u = (size - 4) / (size + 4);
    let tail = TAIL[0];
    for (let i = 1; i < TAIL.length; i++) tail = tail * u + TAIL[i];
    tail *= Math.exp(-0.5 * a * a);
    return a > 0 ? 1 - tail : tail;
}
const phi = (a) => Math.exp(-0.5 * a * a) / Math.sqrt(2 * Math.PI);
const square = (a) => a * a;
const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

export const ACTIVATIONS = {
    relu: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = Math.max(x[i], 0);
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (x[i] > 0 ? 1 : 0);
            }
        },
    },
    leaky_relu: {
        settings: { slope: 0.01 },
        forward(x, y, n, s) {
            const { slope } = s;
            for (let i = 0; i < n; i++) {
                y[i] = x[i] > 0 ? x[i] : slope * x[i];
            }
        },
        backward(x, y, dy, dx, n, s) {
            const { slope } = s;
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (x[i] > 0 ? 1 : slope);
            }
        },
    },
    elu: {
        settings: { alpha: 1 },
        forward(x, y, n, s) {
            const { alpha } = s;
            for (let i = 0; i < n; i++) {
                y[i] = x[i] > 0 ? x[i] : alpha * Math.expm1(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            const { alpha } = s;
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (x[i] > 0 ? 1 : y[i] + alpha);
            }
        },
    },
    selu: {
        settings: { alpha: 1.6732632423543772, scale: 1.0507009873554805 },
        forward(x, y, n, s) {
            const { alpha, scale } = s;
            const c0 = scale * alpha;
            for (let i = 0; i < n; i++) {
                y[i] = x[i] > 0 ? scale * x[i] : c0 * Math.expm1(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            const { alpha, scale } = s;
            const c0 = scale * alpha;
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (x[i] > 0 ? scale : y[i] + c0);
            }
        },
    },
    gelu: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = x[i] * Phi(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (Phi(x[i]) + x[i] * phi(x[i]));
            }
        },
    },
    silu: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                const sigmoid = 1 / (1 + Math.exp(-x[i]));
                y[i] = x[i] * sigmoid;
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                const sigmoid = 1 / (1 + Math.exp(-x[i]));
                dx[i] = dy[i] * (sigmoid + y[i] * (1 - sigmoid));
            }
        },
    },
    mish: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                const t = Math.tanh(softplus(x[i]));
                y[i] = x[i] * t;
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                const t = Math.tanh(softplus(x[i]));
                dx[i] = dy[i] * (t + x[i] * (1 / (1 + Math.exp(-x[i]))) * (1 - square(t)));
            }
        },
    },
    softplus: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = softplus(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (1 - Math.exp(-y[i]));
            }
        },
    },
    sigmoid: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = 1 / (1 + Math.exp(-x[i]));
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * y[i] * (1 - y[i]);
            }
        },
    },
    tanh: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = Math.tanh(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * (1 - square(y[i]));
            }
        },
    },
    exp: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = Math.exp(x[i]);
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i] * y[i];
            }
        },
    },
    identity: {
        settings: {},
        forward(x, y, n, s) {
            for (let i = 0; i < n; i++) {
                y[i] = x[i];
            }
        },
        backward(x, y, dy, dx, n, s) {
            for (let i = 0; i < n; i++) {
                dx[i] = dy[i];
            }
        },
    },
};

export const LOSSES = {
    half_squared_error: {
        settings: {},
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            for (let i = 0; i < n; i++) {
                sum += square(z[i] - t[i]);
                dz[i] = share * (z[i] - t[i]);
            }
            return (1 / 2) * share * sum;
        },
    },
    mean_squared_error: {
        settings: {},
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            const c0 = 2 / k;
            for (let i = 0; i < n; i++) {
                sum += square(z[i] - t[i]);
                dz[i] = share * (c0 * (z[i] - t[i]));
            }
            return (1 / k) * share * sum;
        },
    },
    absolute_error: {
        settings: {},
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            for (let i = 0; i < n; i++) {
                sum += Math.abs(z[i] - t[i]);
                dz[i] = share * (Math.sign(z[i] - t[i]));
            }
            return share * sum;
        },
    },
    huber: {
        settings: { delta: 1 },
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            const { delta } = s;
            const c0 = -delta;
            for (let i = 0; i < n; i++) {
                const r = z[i] - t[i];
                sum += r * Math.min(Math.max(r, c0), delta) - square(Math.min(Math.max(r, c0), delta)) / 2;
                dz[i] = share * (Math.min(Math.max(r, c0), delta));
            }
            return share * sum;
        },
    },
    quantile: {
        settings: { q: 0.5 },
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            const { q } = s;
            const c0 = 1 - q;
            const c1 = -q;
            for (let i = 0; i < n; i++) {
                const r = z[i] - t[i];
                sum += r * (r > 0 ? c0 : c1);
                dz[i] = share * (r > 0 ? c0 : q * Math.sign(r));
            }
            return share * sum;
        },
    },
    poisson: {
        settings: {},
        value(z, t, dz, n, k, share, s) {
            let sum = 0;
            for (let i = 0; i < n; i++) {
                sum += Math.exp(z[i]) - t[i] * z[i];
                dz[i] = share * (Math.exp(z[i]) - t[i]);
            }
            return share * sum;
        },
    },
};

export const OPTIMIZERS = {
    sgd: {
        settings: { lr: 0.01 },
        slots: [],
        update(theta, g, slots, start, stop, lr, steps, s) {
            for (let i = start; i < stop; i++) {
                theta[i] = theta[i] - lr * g[i];
            }
        },
    },
    momentum: {
        settings: { lr: 0.01, momentum: 0.9 },
        slots: ["v"],
        update(theta, g, slots, start, stop, lr, steps, s) {
            const { v } = slots;
            const { momentum } = s;
            for (let i = start; i < stop; i++) {
                const v_new = momentum * v[i] + g[i];
                v[i] = v_new;
                theta[i] = theta[i] - lr * v_new;
            }
        },
    },
    nesterov: {
        settings: { lr: 0.01, momentum: 0.9 },
        slots: ["v"],
        update(theta, g, slots, start, stop, lr, steps, s) {
            const { v } = slots;
            const { momentum } = s;
            for (let i = start; i < stop; i++) {
                const v_new = momentum * v[i] + g[i];
                v[i] = v_new;
                theta[i] = theta[i] - lr * (g[i] + momentum * v_new);
            }
        },
    },
    rmsprop: {
        settings: { lr: 0.001, epsilon: 1e-08, rho: 0.99 },
        slots: ["v"],
        update(theta, g, slots, start, stop, lr, steps, s) {
            const { v } = slots;
            const { epsilon, rho } = s;
            const c0 = 1 - rho;
            for (let i = start; i < stop; i++) {
                const v_new = rho * v[i] + c0 * square(g[i]);
                v[i] = v_new;
                theta[i] = theta[i] - lr * g[i] / (Math.sqrt(v_new) + epsilon);
            }
        },
    },
    adam: {
        settings: { lr: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-08 },
        slots: ["m", "v"],
        update(theta, g, slots, start, stop, lr, steps, s) {
            const { m, v } = slots;
            const { beta1, beta2, epsilon } = s;
            const c0 = 1 - beta1;
            const c1 = 1 - beta2;
            const c2 = 1 - Math.pow(beta1, steps);
            const c3 = 1 - Math.pow(beta2, steps);
            for (let i = start; i < stop; i++) {
                const m_new = beta1 * m[i] + c0 * g[i];
                m[i] = m_new;
                const v_new = beta2 * v[i] + c1 * square(g[i]);
                v[i] = v_new;
                theta[i] = theta[i] - lr * (m_new / c2) / (Math.sqrt(v_new / c3) + epsilon);
            }
        },
    },
    adamw: {
        settings: { lr: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-08, weight_decay: 0.01 },
        slots: ["m", "v"],
        update(theta, g, slots, start, stop, lr, steps, s) {
            const { m, v } = slots;
            const { beta1, beta2, epsilon } = s;
            const c0 = 1 - beta1;
            const c1 = 1 - beta2;
            const c2 = 1 - Math.pow(beta1, steps);
            const c3 = 1 - Math.pow(beta2, steps);
            for (let i = start; i < stop; i++) {
                const m_new = beta1 * m[i] + c0 * g[i];
                m[i] = m_new;
                const v_new = beta2 * v[i] + c1 * square(g[i]);
                v[i] = v_new;
                theta[i] = theta[i] - lr * (m_new / c2) / (Math.sqrt(v_new / c3) + epsilon);
            }
        },
        decay(theta, g, slots, start, stop, lr, steps, s) {
            const { m, v } = slots;
            const { beta1, beta2, epsilon, weight_decay } = s;
            const c0 = 1 - beta1;
            const c1 = 1 - beta2;
            const c2 = 1 - lr * weight_decay;
            const c3 = 1 - Math.pow(beta1, steps);
            const c4 = 1 - Math.pow(beta2, steps);
            for (let i = start; i < stop; i++) {
                const m_new = beta1 * m[i] + c0 * g[i];
                m[i] = m_new;
                const v_new = beta2 * v[i] + c1 * square(g[i]);
                v[i] = v_new;
                theta[i] = theta[i] * c2 - lr * (m_new / c3) / (Math.sqrt(v_new / c4) + epsilon);
            }
        },
    },
};
