/*
 * What is seen of a network at a step, as fullyconnected/playing/view.py: the ground of the picture, each unit's own
 * picture, gradients, dead units, and a step in parts. Nothing of it changes the run.
 */
import { lossOf, normOf } from "./engine.js"
import { Workspace } from "./engine_network.js"
import { inputsOf } from "./local_data.js"

const GRID = 80,
  SMALL = 20 // cells on a side of the ground, and of a unit's picture
const MOST_PICTURES = 16 // of the units of a layer
const BINS = 21
const CONFIDENT = 1 // a score of the hinge loss beyond its margin counts as sure

export class View {
  // Of a trainer, and what `built` gave for its setup.
  constructor(trainer, setup, { data, hidden, testing, training }) {
    Object.assign(this, { trainer, setup, data, hidden })
    this.metric = data.classes === null ? "r2" : "accuracy"
    this.nOut = trainer.network.nOut
    this.training = this.part(training)
    this.testing = testing === null ? null : this.part(testing)
    this.grid = this.workspace(this.cells(GRID))
    this.small = this.workspace(this.cells(SMALL))
    this.one = new Workspace(trainer.network, 1)
  }

  // A workspace that holds rows of the network's input.
  workspace(x) {
    const found = new Workspace(this.trainer.network, x.length / this.trainer.network.nIn)
    found.x.set(x)
    return found
  }

  part({ x, t }) {
    return { workspace: this.workspace(x), t: new this.trainer.t.constructor(t) }
  }

  // The inputs at the centres of the cells of a square, row by row from the top, as in a picture.
  cells(size) {
    const [left, right, low, high] = this.data.domain,
      n = size * size
    const share = (i) => (i + 0.5) / size
    const x1 = Float64Array.from({ length: n }, (_, i) => left + share(i % size) * (right - left))
    const x2 = Float64Array.from({ length: n }, (_, i) => high - share(Math.floor(i / size)) * (high - low))
    return inputsOf(this.setup.features, x1, x2)
  }

  // The loss and the metric of some rows; NaN if there are none.
  judged(part) {
    if (part === null) return [NaN, NaN]
    const { workspace, t } = part,
      { nOut } = this,
      { z } = workspace,
      n = workspace.rows
    workspace.forward(n, false)
    const loss = lossOf(this.trainer, workspace, t, n)
    if (this.data.classes === null) {
      let mean = 0,
        spread = 0,
        squares = 0
      for (let i = 0; i < n; i++) mean += t[i] / n
      for (let i = 0; i < n; i++) {
        spread += (t[i] - mean) ** 2
        squares += (z[i] - t[i]) ** 2
      }
      return [loss, 1 - squares / spread]
    }
    let right = 0
    for (let i = 0; i < n; i++) right += this.classOf(z, i * nOut) === t[i] ? 1 : 0
    return [loss, right / n]
  }

  // The class that outputs stand for, -1 if one of them is NaN.
  classOf(z, start) {
    const { nOut } = this
    if (nOut === 1) return Number.isNaN(z[start]) ? -1 : z[start] > 0 ? 1 : 0
    let best = 0
    for (let j = 0; j < nOut; j++) {
      if (Number.isNaN(z[start + j])) return -1
      if (z[start + j] > z[start + best]) best = j
    }
    return best
  }

  // A point of the curves; the trainer's workspace then holds the gradient of the batch that comes next.
  point() {
    const [train, metric] = this.judged(this.training),
      [test, ofTest] = this.judged(this.testing)
    return [train, test, metric, ofTest, this.trainer.rate, this.gradient()]
  }

  // Compute the gradient of the batch that comes next, and return its norm.
  gradient() {
    const { trainer } = this
    trainer.look((n) => trainer.workspace.backward(n))
    trainer.addL2()
    return normOf(trainer.workspace.gradient)
  }

  // What the network says at each place of the picture.
  ground() {
    const { data, nOut, grid, setup } = this,
      { z } = grid,
      n = grid.rows
    grid.forward(n, false)
    const found = { size: [GRID, GRID], shares: null }
    if (data.classes === null) {
      const [low, high] = data.range
      return { ...found, kind: "value", low, high, data: asBytes(z, low, high) }
    }
    if (data.classes.length === 2) {
      const score = new Float64Array(n)
      for (let i = 0; i < n; i++) score[i] = nOut === 1 ? 1 / (1 + Math.exp(-z[i])) : z[2 * i + 1] - z[2 * i]
      const [low, high] = nOut === 1 ? [0, 1] : [-CONFIDENT, CONFIDENT]
      return { ...found, kind: "probability", low, high, data: asBytes(score, low, high) }
    }
    const best = new Uint8Array(n),
      sure = new Float64Array(n).fill(1)
    for (let i = 0, start = 0; i < n; i++, start += nOut) {
      const c = (best[i] = Math.max(0, this.classOf(z, start)))
      if (setup.loss === "hinge") continue
      let sum = 0
      for (let j = 0; j < nOut; j++) sum += Math.exp(z[start + j] - z[start + c])
      sure[i] = 1 / sum
    }
    return { ...found, kind: "classes", low: 0, high: 1, data: best, shares: asBytes(sure, 0, 1) }
  }

  // The pictures of the units of each hidden layer.
  units() {
    this.small.forward(this.small.rows, false)
    return this.hidden.map(({ units, operation }) => {
      const many = Math.min(units, MOST_PICTURES),
        y = this.small.y[operation],
        n = this.small.rows
      const low = new Float64Array(many),
        high = new Float64Array(many),
        data = new Uint8Array(many * n)
      const own = new Float64Array(n)
      for (let j = 0; j < many; j++) {
        for (let i = 0; i < n; i++) own[i] = y[i * units + j]
        ;[low[j], high[j]] = rangeOf(own)
        data.set(asBytes(own, low[j], high[j]), j * n)
      }
      return { size: SMALL, low, high, data }
    })
  }

  // The units of each hidden layer whose output is the same for all training rows, which point() has run forward.
  dead() {
    const { workspace } = this.training,
      n = workspace.rows
    return this.hidden.map(({ units, operation }) => {
      const y = workspace.y[operation],
        found = []
      for (let j = 0; j < units; j++) {
        let same = true
        for (let i = 1; i < n && same; i++) same = y[i * units + j] === y[j]
        if (same) found.push(j)
      }
      return found
    })
  }

  // The weights of each dense layer, and the gradient that the trainer's workspace holds.
  layers() {
    const { network, workspace } = this.trainer,
      found = []
    network.operations.forEach((op, i) => {
      if (op.kind !== "dense") return
      const layer = { name: op.name, n_in: op.nIn, n_out: op.nOut }
      for (const { letter, start, stop } of network.tensors.filter((tensor) => tensor.operation === i)) {
        layer[letter] = network.theta.slice(start, stop)
        layer[`d${letter}`] = workspace.gradient.slice(start, stop)
      }
      found.push(layer)
    })
    return found
  }

  // Run the next batch forward, as its step will.
  forward() {
    const loss = this.trainer.look(() => {})
    return this.now("forward", 0, loss, false)
  }

  // Run the next batch forward and backward; with a sample, backward for those up to it alone.
  backward(sample = null) {
    const { trainer, nOut } = this,
      { workspace } = trainer,
      at = sample ?? 0
    let loss = trainer.look((n) => {
      if (sample !== null) workspace.dz.fill(0, (sample + 1) * nOut, n * nOut)
      workspace.backward(n, true)
    })
    trainer.addL2()
    if (sample !== null) {
      const { batchT, width } = trainer,
        z = workspace.z.subarray(at * nOut, (at + 1) * nOut)
      const t = batchT.subarray(at * width, (at + 1) * width)
      loss = trainer.loss.value(z, t, new Float64Array(nOut), nOut, nOut, 1, trainer.lossSettings)
    }
    return this.now(sample === null ? "backward" : "sample", at, loss, true)
  }

  now(phase, sample, loss, slopes) {
    const { workspace } = this.trainer
    return {
      phase,
      rows: Array.from(this.trainer.batch, (row) => this.places[row]),
      sample,
      loss: plain(loss),
      layers: this.ofRow(workspace.y, sample),
      slopes: slopes ? this.ofRow(workspace.slopes, sample) : null,
    }
  }

  // The numbers of the hidden layers and of the last one for a row of a workspace.
  ofRow(arrays, row) {
    const last = { units: this.nOut, operation: arrays.length - 1 }
    return [...this.hidden, last].map(({ units, operation }) =>
      Array.from(arrays[operation].subarray(row * units, (row + 1) * units), plain),
    )
  }

  // The outputs of the hidden layers and of the last one for one row of the network's input, and their loss for a
  // target, or null.
  look(x, t) {
    const { one, nOut, trainer } = this
    one.x.set(x)
    one.forward(1, false)
    const target = t === null ? null : new trainer.t.constructor([t])
    const loss =
      target && trainer.loss.value(one.z, target, new Float64Array(nOut), nOut, nOut, 1, trainer.lossSettings)
    const layers = this.ofRow(one.y, 0)
    return { layers, inputs: Array.from(x), output: layers.at(-1), loss: loss && plain(loss) }
  }
}

// A number as JSON holds it: null where it is not finite.
export const plain = (value) => (Number.isFinite(value) ? value : null)

// The least and the largest number, NaN if one is.
function rangeOf(values) {
  let low = Infinity,
    high = -Infinity
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return [low, high]
}

// A histogram of the numbers of arrays, around 0.
export function histogram(...arrays) {
  let reach = 0
  for (const array of arrays)
    for (const value of array) if (Number.isFinite(value)) reach = Math.max(reach, Math.abs(value))
  reach ||= 1
  const counts = new Array(BINS).fill(0)
  for (const array of arrays) {
    for (const value of array) {
      if (!Number.isFinite(value)) continue
      counts[Math.min(BINS - 1, Math.floor(((value / reach + 1) / 2) * BINS))] += 1
    }
  }
  return { low: -reach, high: reach, counts }
}

// Numbers as bytes: 0 at ``low`` and below, 255 at ``high`` and above, and half of it for NaN.
function asBytes(values, low, high) {
  const span = high - low,
    found = new Uint8Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const share = span > 0 ? (values[i] - low) / span : 0.5
    found[i] = Math.floor(Math.min(Math.max(Number.isNaN(share) ? 0.5 : share, 0), 1) * 255 + 0.5)
  }
  return found
}
