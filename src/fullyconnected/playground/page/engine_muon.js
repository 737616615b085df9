/*
 * Muon: momentum of hidden matrices, made orthogonal; all other parameters have another optimizer. As optimizers.py
 * and orthogonal.py, where the sources are.
 */
const LINEAR = 3.4445,
  CUBIC = -4.775,
  QUINTIC = 2.0315
const LEAST_NORM = 1e-7,
  TINY = 2.3e-308

export const MUON = {
  settings: {
    lr: 0.02,
    momentum: 0.95,
    nesterov: true,
    weight_decay: 0,
    rounds: 5,
    rest: { optimizer: "adamw", settings: { lr: 0.001 } },
  },
  slots: ["v"],
}

// Return the operations whose matrix of weights lies between others.
export function hiddenOf(network) {
  const dense = [...network.operations.keys()].filter((i) => network.operations[i].kind === "dense")
  return new Set(dense.slice(1, -1))
}

// Return a function (lr, step) that updates a matrix (nIn, nOut) of theta.
export function updateOf({ theta, g, v, nIn, nOut, settings }) {
  const { momentum, nesterov, weight_decay, rounds } = settings,
    n = Math.min(nIn, nOut),
    wide = nIn <= nOut
  const x = new Float64Array(nIn * nOut),
    y = new Float64Array(nIn * nOut)
  const a = new Float64Array(n * n),
    b = new Float64Array(n * n)
  const byShape = Math.sqrt(Math.max(1, nOut / nIn))
  return (lr) => {
    for (let i = 0; i < x.length; i++) {
      v[i] = v[i] * momentum + g[i]
      x[i] = nesterov ? v[i] * momentum + g[i] : v[i]
    }
    normalize(x)
    for (let round = 0; round < rounds; round++) {
      if (wide)
        multiply(x, x, a, nIn, nOut, nIn, [nOut, 1], [1, nOut]) // X X'
      else multiply(x, x, a, nOut, nIn, nOut, [1, nOut], [nOut, 1]) // X' X
      multiply(a, a, b, n, n, n, [n, 1], [n, 1])
      for (let i = 0; i < b.length; i++) b[i] = b[i] * QUINTIC + a[i] * CUBIC
      if (wide) multiply(b, x, y, n, n, nOut, [n, 1], [nOut, 1])
      else multiply(x, b, y, nIn, n, n, [nOut, 1], [n, 1])
      for (let i = 0; i < x.length; i++) x[i] = x[i] * LINEAR + y[i]
    }
    const shrink = 1 - lr * weight_decay
    for (let i = 0; i < x.length; i++) theta[i] = theta[i] * shrink - x[i] * (lr * byShape)
  }
}

// Divide a matrix by its norm, or by LEAST_NORM if that is larger.
function normalize(x) {
  let largest = TINY,
    squares = 0
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs(x[i]))
  for (let i = 0; i < x.length; i++) {
    x[i] /= largest
    squares += x[i] * x[i]
  }
  const norm = Math.max(Math.sqrt(squares), LEAST_NORM / largest)
  for (let i = 0; i < x.length; i++) x[i] /= norm
}

// Write the product of a (rows, inner) and b (inner, columns), whose entries are as far apart as their strides say.
function multiply(a, b, out, rows, inner, columns, [aRow, aColumn], [bRow, bColumn]) {
  for (let i = 0, at = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++, at++) {
      let sum = 0
      for (let k = 0; k < inner; k++) sum += a[i * aRow + k * aColumn] * b[k * bRow + j * bColumn]
      out[at] = sum
    }
  }
}
