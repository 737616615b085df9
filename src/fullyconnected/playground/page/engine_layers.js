/*
 * The layers: what each needs, and its forward and backward pass over rows, as in fullyconnected/layers. An operation
 * `op` has its settings, its widths nIn and nOut, and the views of its memory: parameters op.p, their gradients op.g,
 * running statistics op.s, and what forward keeps for backward in op.c. Backward overwrites the gradients and, unless
 * it is null, dx; it may change dy.
 */
import { ACTIVATIONS as FORMULAS } from "./engine_formulas.js"
import { SUITED, draw } from "./engine_initializers.js"
import { batchNorm, rowNorm } from "./engine_norms.js"
import { copy, multiply, multiplyBack, multiplyRows, overRows } from "./engine_products.js"

export const ACTIVATIONS = {
  ...FORMULAS,
  softmax: {
    settings: {},
    forward(x, y, n, s, k) {
      for (let start = 0; start < n; start += k) {
        let most = x[start],
          sum = 0
        for (let i = start + 1; i < start + k; i++) most = Math.max(most, x[i])
        for (let i = start; i < start + k; i++) sum += y[i] = Math.exp(x[i] - most)
        for (let i = start; i < start + k; i++) y[i] /= sum
      }
    },
    backward(x, y, dy, dx, n, s, k) {
      for (let start = 0; start < n; start += k) {
        let sum = 0
        for (let i = start; i < start + k; i++) sum += dy[i] * y[i]
        for (let i = start; i < start + k; i++) dx[i] = (dy[i] - sum) * y[i]
      }
    },
  },
}

// Return the function of an activation, and its settings, from {activation: name, settings}.
export function activation(plain) {
  const name = plain.activation,
    known = ACTIVATIONS[name]
  if (known === undefined) throw new Error(`the browser has no activation called ${name}`)
  return { name, known, settings: { ...known.settings, ...plain.settings } }
}

const none = () => ({})
const noValues = () => {}
const dense = {
  decays: ["W"],
  params: ({ nIn, nOut, settings }) => (settings.bias === false ? { W: nIn * nOut } : { W: nIn * nOut, b: nOut }),
  state: none,
  cache: (op, rows) => (op.settings.activation ? { z: rows * op.nOut } : {}),
  prepare(op) {
    if ((op.settings.parametrization ?? "standard") !== "standard") {
      throw new Error("the browser has only the standard parametrization of Dense")
    }
    op.f = op.settings.activation ? activation(op.settings.activation) : null
  },
  initialize(op, rng) {
    const { nIn, nOut, p, settings } = op
    draw(settings.init ?? SUITED[op.f?.name] ?? "glorot_uniform", rng, p.W, nIn, nOut)
    if (p.b) draw(settings.bias_init ?? "zeros", rng, p.b, nIn, nOut)
  },
  forward(op, x, y, rows) {
    const { nIn, nOut, f } = op,
      { W, b } = op.p,
      z = f ? op.c.z : y
    multiply(x, W, z, rows, nIn, nOut)
    if (b) for (let r = 0, at = 0; r < rows; r++) for (let j = 0; j < nOut; j++, at++) z[at] += b[j]
    if (f) f.known.forward(z, y, rows * nOut, f.settings, nOut)
  },
  backward(op, x, y, dy, dx, rows) {
    const { nIn, nOut, f } = op,
      { W } = op.p,
      { W: dW, b: db } = op.g
    if (f) f.known.backward(op.c.z, y, dy, dy, rows * nOut, f.settings, nOut) // dy is dL/dz from here on
    if (db) overRows(dy, db, rows, nOut)
    multiplyRows(x, dy, dW, rows, nIn, nOut)
    if (dx !== null) multiplyBack(dy, W, dx, rows, nIn, nOut)
  },
}

const separate = {
  params: none,
  state: none,
  cache: none,
  prepare(op) {
    op.f = activation(op.settings.activation)
  },
  initialize: noValues,
  forward(op, x, y, rows) {
    op.f.known.forward(x, y, rows * op.nOut, op.f.settings, op.nOut)
  },
  backward(op, x, y, dy, dx, rows) {
    if (dx !== null) op.f.known.backward(x, y, dy, dx, rows * op.nOut, op.f.settings, op.nOut)
  },
}

const dropout = {
  random: true,
  params: none,
  state: none,
  cache: (op, rows) => ({ m: rows * op.nOut }),
  prepare(op) {
    op.limit = Math.fround(op.settings.rate) // the numbers are float32, as NumPy compares them
    op.scale = 1 / (1 - op.settings.rate)
  },
  initialize: noValues,
  forward(op, x, y, rows, train, rng) {
    const n = rows * op.nOut,
      { m } = op.c
    op.drops = train && op.settings.rate > 0
    if (!op.drops) return copy(x, y, n)
    for (let i = 0; i < n; i++) {
      m[i] = rng.float() >= op.limit ? op.scale : 0
      y[i] = x[i] * m[i]
    }
  },
  backward(op, x, y, dy, dx, rows) {
    if (dx === null) return
    const n = rows * op.nOut,
      { m } = op.c
    if (!op.drops) return copy(dy, dx, n)
    for (let i = 0; i < n; i++) dx[i] = dy[i] * m[i]
  },
}

// The end of a residual block, which reads what came into the block, too.
const add = {
  skips: true,
  params: none,
  state: none,
  cache: none,
  prepare: noValues,
  initialize: noValues,
  forward(op, x, y, rows, train, rng, skip) {
    for (let i = 0; i < rows * op.nOut; i++) y[i] = x[i] + skip[i]
  },
  backward(op, x, y, dy, dx, rows) {
    copy(dy, dx, rows * op.nOut)
  },
}

export const OPERATIONS = {
  dense,
  activation: separate,
  dropout,
  layer_norm: rowNorm(true, 1e-5),
  rms_norm: rowNorm(false, 1e-6),
  batch_norm: batchNorm,
  add,
}

// What the browser does not have, and why.
const COLUMNS = "it is for columns of a table, and the playground in the browser has points of a plane"
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
}
