// Products and sums of arrays in rows, all of which lie flat in memory.

export const copy = (from, to, n) => {
  for (let i = 0; i < n; i++) to[i] = from[i]
}

// Write the sums over the rows of a (rows, k).
export function overRows(a, out, rows, k) {
  for (let j = 0; j < k; j++) out[j] = 0
  for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) out[j] += a[i]
}

// Write the sums over the rows of the products of a and b, both (rows, k).
export function productsOverRows(a, b, out, rows, k) {
  for (let j = 0; j < k; j++) out[j] = 0
  for (let r = 0, i = 0; r < rows; r++) for (let j = 0; j < k; j++, i++) out[j] += a[i] * b[i]
}

// The three products of a dense layer. Four rows are taken at a time, so that an entry of W is read once for them.

// Write x W into z: x (rows, nIn), W (nIn, nOut).
export function multiply(x, W, z, rows, nIn, nOut) {
  let r = 0
  for (; r + 4 <= rows; r += 4) {
    const x0 = r * nIn,
      x1 = x0 + nIn,
      x2 = x1 + nIn,
      x3 = x2 + nIn,
      at = r * nOut
    for (let j = 0; j < nOut; j++) {
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0
      for (let i = 0, w = j; i < nIn; i++, w += nOut) {
        const v = W[w]
        s0 += x[x0 + i] * v
        s1 += x[x1 + i] * v
        s2 += x[x2 + i] * v
        s3 += x[x3 + i] * v
      }
      z[at + j] = s0
      z[at + nOut + j] = s1
      z[at + 2 * nOut + j] = s2
      z[at + 3 * nOut + j] = s3
    }
  }
  for (; r < rows; r++) {
    for (let j = 0; j < nOut; j++) {
      let sum = 0
      for (let i = 0, w = j; i < nIn; i++, w += nOut) sum += x[r * nIn + i] * W[w]
      z[r * nOut + j] = sum
    }
  }
}

// Write x' dz into dW.
export function multiplyRows(x, dz, dW, rows, nIn, nOut) {
  dW.fill(0)
  let r = 0
  for (; r + 4 <= rows; r += 4) {
    const d0 = r * nOut,
      d1 = d0 + nOut,
      d2 = d1 + nOut,
      d3 = d2 + nOut
    for (let i = 0, w = 0, from = r * nIn; i < nIn; i++, from++) {
      const a0 = x[from],
        a1 = x[from + nIn],
        a2 = x[from + 2 * nIn],
        a3 = x[from + 3 * nIn]
      for (let j = 0; j < nOut; j++, w++) {
        dW[w] += a0 * dz[d0 + j] + a1 * dz[d1 + j] + (a2 * dz[d2 + j] + a3 * dz[d3 + j])
      }
    }
  }
  for (; r < rows; r++) {
    for (let i = 0, w = 0; i < nIn; i++) {
      const a = x[r * nIn + i]
      for (let j = 0; j < nOut; j++, w++) dW[w] += a * dz[r * nOut + j]
    }
  }
}

// Write dz W' into dx.
export function multiplyBack(dz, W, dx, rows, nIn, nOut) {
  let r = 0
  for (; r + 4 <= rows; r += 4) {
    const d0 = r * nOut,
      d1 = d0 + nOut,
      d2 = d1 + nOut,
      d3 = d2 + nOut
    for (let i = 0, w = 0, to = r * nIn; i < nIn; i++, to++) {
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0
      for (let j = 0; j < nOut; j++, w++) {
        const v = W[w]
        s0 += dz[d0 + j] * v
        s1 += dz[d1 + j] * v
        s2 += dz[d2 + j] * v
        s3 += dz[d3 + j] * v
      }
      dx[to] = s0
      dx[to + nIn] = s1
      dx[to + 2 * nIn] = s2
      dx[to + 3 * nIn] = s3
    }
  }
  for (; r < rows; r++) {
    for (let i = 0, w = 0; i < nIn; i++) {
      let sum = 0
      for (let j = 0; j < nOut; j++, w++) sum += dz[r * nOut + j] * W[w]
      dx[r * nIn + i] = sum
    }
  }
}
