// Normalisation: layers as in engine_layers.js, where their arguments are described.

import { copy, overRows, productsOverRows } from "./engine_products.js"

const none = () => ({})

// Normalisation over the units of a row: LayerNorm, and RMSNorm, which has no mean and no beta.
export const rowNorm = (centred, epsilon) => ({
  params: ({ nOut }) => (centred ? { gamma: nOut, beta: nOut } : { gamma: nOut }),
  state: none,
  cache: (op, rows) => ({ n: rows * op.nOut, rate: rows }),
  prepare(op) {
    op.epsilon = op.settings.epsilon ?? epsilon
  },
  initialize(op) {
    op.p.gamma.fill(1)
  },
  forward(op, x, y, rows) {
    const k = op.nOut,
      { n, rate } = op.c,
      { gamma, beta } = op.p
    for (let r = 0, start = 0; r < rows; r++, start += k) {
      let mean = 0,
        squares = 0
      if (centred) {
        for (let i = start; i < start + k; i++) mean += x[i]
        mean /= k
      }
      for (let i = start; i < start + k; i++) squares += (x[i] - mean) * (x[i] - mean)
      rate[r] = 1 / Math.sqrt(squares / k + op.epsilon)
      if (squares === Infinity) rate[r] = NaN // which is noticed, as zeros would not be
      for (let i = start, j = 0; j < k; i++, j++) {
        n[i] = (x[i] - mean) * rate[r]
        y[i] = n[i] * gamma[j]
        if (centred) y[i] += beta[j]
      }
    }
  },
  backward(op, x, y, dy, dx, rows) {
    const k = op.nOut,
      { n, rate } = op.c,
      { gamma } = op.p
    productsOverRows(dy, n, op.g.gamma, rows, k)
    if (centred) overRows(dy, op.g.beta, rows, k)
    if (dx === null) return
    for (let r = 0, start = 0; r < rows; r++, start += k) {
      let mean = 0,
        along = 0
      for (let i = start, j = 0; j < k; i++, j++) {
        dx[i] = dy[i] * gamma[j]
        along += dx[i] * n[i]
        if (centred) mean += dx[i]
      }
      mean /= k
      along /= k
      for (let i = start; i < start + k; i++) dx[i] = (dx[i] - mean - n[i] * along) * rate[r]
    }
  },
})

export const batchNorm = {
  leastRows: 2,
  params: ({ nOut }) => ({ gamma: nOut, beta: nOut }),
  state: ({ nOut }) => ({ running_mean: nOut, running_var: nOut }),
  cache: (op, rows) => ({ n: rows * op.nOut, rate: op.nOut, mean: op.nOut }),
  prepare(op) {
    op.epsilon = op.settings.epsilon ?? 1e-5
    op.momentum = op.settings.momentum ?? 0.1
  },
  initialize(op) {
    op.p.gamma.fill(1)
    op.s.running_var.fill(1)
  },
  forward(op, x, y, rows, train) {
    const k = op.nOut,
      { n, rate, mean } = op.c,
      { gamma, beta } = op.p,
      { running_mean, running_var } = op.s
    op.through = train // whether backward differentiates through the statistics
    if (train) {
      overRows(x, mean, rows, k)
      for (let j = 0; j < k; j++) mean[j] /= rows
      for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) n[i] = x[i] - mean[j]
      productsOverRows(n, n, rate, rows, k)
      const unbiased = rows / Math.max(rows - 1, 1),
        { momentum } = op
      for (let j = 0; j < k; j++) {
        rate[j] /= rows
        running_mean[j] = running_mean[j] * (1 - momentum) + mean[j] * momentum
        running_var[j] = running_var[j] * (1 - momentum) + rate[j] * (momentum * unbiased)
      }
    } else {
      for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) n[i] = x[i] - running_mean[j]
      copy(running_var, rate, k)
    }
    for (let j = 0; j < k; j++) rate[j] = 1 / Math.sqrt(rate[j] + op.epsilon)
    for (let r = 0, i = 0; r < rows; r++) {
      for (let j = 0; j < k; j++, i++) {
        n[i] *= rate[j]
        y[i] = n[i] * gamma[j] + beta[j]
      }
    }
  },
  backward(op, x, y, dy, dx, rows) {
    const k = op.nOut,
      { n, rate } = op.c,
      { gamma } = op.p,
      g = op.g
    overRows(dy, g.beta, rows, k)
    productsOverRows(dy, n, g.gamma, rows, k)
    if (dx === null) return
    for (let r = 0, i = 0; r < rows; r++) {
      for (let j = 0; j < k; j++, i++) {
        const own = op.through ? dy[i] - (n[i] * g.gamma[j] + g.beta[j]) / rows : dy[i]
        dx[i] = own * gamma[j] * rate[j]
      }
    }
  },
}
