/*
 * A network: operations in order, one vector of all parameters, one of running statistics; and a workspace, which is
 * all that a pass over rows writes. As program/description.py and program/workspace.py.
 */
import { OPERATIONS } from "./engine_layers.js"
import { Generator, INIT, MASK } from "./engine_random.js"

// Return the operations of plain layers, [{layer: name, settings}], for inputs of some columns: name, kind, what each
// reads (-1 is the input), the number of its stream of random numbers, settings and widths. As program/description.py.
export function flatten(layers, nIn) {
  const found = []
  let blocks = 0 // the beginning of a block also takes a number
  const append = (name, kind, settings, reads, n, nOut) => {
    found.push({ name, kind, settings, reads, number: found.length + blocks, nIn: n, nOut })
  }
  const put = (layers, prefix, block, blockWidth) => {
    const counts = {}
    let before = block,
      width = blockWidth
    for (const { layer, settings } of layers) {
      counts[layer] = (counts[layer] ?? 0) + 1
      const name = `${prefix}${layer}_${counts[layer]}`
      if (layer === "residual") {
        blocks += 1
        const out = put(settings.layers, `${name}.`, before, width)
        if (out !== width) throw new Error(`${name} needs ${width} outputs, but its last layer gives ${out}`)
        append(`${name}.add`, "add", {}, [found.length - 1, before], width, width)
      } else {
        if (!(layer in OPERATIONS) || layer === "add") throw new Error(`the browser has no layer called ${layer}`)
        const given = settings.n_in ?? width,
          nOut = layer === "dense" ? settings.n_out : width
        if (given !== width) throw new Error(`${name} takes ${given} columns, and gets ${width}`)
        append(name, layer, settings, [before], width, nOut)
        width = nOut
      }
      before = found.length - 1
    }
    return width
  }
  put(layers, "", -1, nIn)
  return found
}

export class Network {
  // layers are plain, as flatten takes them
  constructor(layers, nIn) {
    this.nIn = nIn
    this.operations = flatten(layers, nIn)
    this.nOut = this.operations.at(-1).nOut
    this.tensors = [] // {name, operation, letter, start, stop, decays}
    this.statistics = []
    let start = 0,
      at = 0
    this.operations.forEach((op, i) => {
      op.kindOf = OPERATIONS[op.kind]
      op.kindOf.prepare(op)
      for (const [letter, size] of Object.entries(op.kindOf.params(op))) {
        const decays = op.kindOf.decays?.includes(letter) ?? false
        this.tensors.push({ name: `${op.name}.${letter}`, operation: i, letter, start, stop: start + size, decays })
        start += size
      }
      for (const [letter, size] of Object.entries(op.kindOf.state(op))) {
        this.statistics.push({ name: `${op.name}.${letter}`, operation: i, letter, start: at, stop: at + size })
        at += size
      }
    })
    this.leastRows = Math.max(...this.operations.map((op) => op.kindOf.leastRows ?? 1))
    this.theta = new Float64Array(start)
    this.state = new Float64Array(at)
  }

  // Draw the initial parameters of a seed.
  initialize(seed) {
    this.theta.fill(0)
    this.state.fill(0)
    for (const op of bound(this, null)) op.kindOf.initialize(op, new Generator(seed, INIT, op.number))
  }
}

// Return the operations of a network with views of its vectors: parameters p, statistics s, gradients g.
function bound(network, gradient) {
  const operations = network.operations.map((op, index) => ({ ...op, index, p: {}, s: {}, g: {}, c: {} }))
  for (const { operation, letter, start, stop } of network.tensors) {
    operations[operation].p[letter] = network.theta.subarray(start, stop)
    if (gradient) operations[operation].g[letter] = gradient.subarray(start, stop)
  }
  for (const { operation, letter, start, stop } of network.statistics) {
    operations[operation].s[letter] = network.state.subarray(start, stop)
  }
  return operations
}

export class Workspace {
  // For batches of up to so many rows; only one that trains can go back.
  constructor(network, rows, trains = false) {
    this.network = network
    this.rows = rows
    this.x = new Float64Array(rows * network.nIn)
    this.gradient = trains ? new Float64Array(network.theta.length) : null
    this.operations = bound(network, this.gradient)
    this.y = this.operations.map((op) => new Float64Array(rows * op.nOut))
    this.z = this.y.at(-1)
    for (const op of this.operations) {
      for (const [name, size] of Object.entries(op.kindOf.cache(op, rows))) op.c[name] = new Float64Array(size)
      op.from = op.reads[0] < 0 ? this.x : this.y[op.reads[0]]
      op.skip = op.kindOf.skips ? (op.reads[1] < 0 ? this.x : this.y[op.reads[1]]) : null
    }
    if (!trains) return
    this.dy = this.operations.map((op) => new Float64Array(rows * op.nOut))
    this.dz = this.dy.at(-1)
    this.slopes = this.dy.map((each) => new Float64Array(each.length)) // a copy, for those who look
    const written = new Set() // gradients that a later operation has written: what else reads it adds its own
    for (let i = this.operations.length - 1; i >= 0; i--) {
      const op = this.operations[i],
        [source, skipped = -1] = op.reads
      op.dx = source < 0 ? null : this.dy[source]
      op.adds = source >= 0 && written.has(source)
      if (op.adds) op.own = new Float64Array(op.dx.length)
      written.add(source)
      op.dSkip = skipped < 0 ? null : this.dy[skipped]
      op.addsSkip = written.has(skipped)
      written.add(skipped)
    }
    this.random = new Generator()
    this.isRandom = this.operations.some((op) => op.kindOf.random)
  }

  // Choose the random numbers of the next pass in training: those of a seed, in halves, and a step.
  at(seedHigh, seedLow, step) {
    this.seedHigh = seedHigh
    this.seedLow = seedLow
    this.step = step
  }

  // Run the first rows of x through the network; the outputs are in z.
  forward(rows, train) {
    for (const op of this.operations) {
      const { kindOf } = op
      if (train && kindOf.random) this.random.begin(this.seedHigh, this.seedLow, MASK, this.step, op.number)
      kindOf.forward(op, op.from, this.y[op.index], rows, train, this.random, op.skip)
    }
  }

  // Turn dz into the gradient; with ``looked``, keep the gradients of all outputs in slopes.
  backward(rows, looked = false) {
    for (let i = this.operations.length - 1; i >= 0; i--) {
      const op = this.operations[i],
        dy = this.dy[i]
      if (looked) this.slopes[i].set(dy)
      const dx = op.adds ? op.own : op.dx
      const n = op.dSkip === null ? 0 : rows * op.nOut
      if (op.addsSkip) for (let j = 0; j < n; j++) op.dSkip[j] += dy[j]
      else for (let j = 0; j < n; j++) op.dSkip[j] = dy[j]
      op.kindOf.backward(op, op.from, this.y[i], dy, dx, rows)
      if (op.adds) for (let j = 0; j < rows * op.nIn; j++) op.dx[j] += op.own[j]
    }
  }

  // Name the first operation whose parameters or output are not finite, or "loss".
  firstNotFinite(rows) {
    for (const op of this.operations) {
      for (const [letter, view] of Object.entries({ ...op.p, ...op.s })) {
        if (!view.every(Number.isFinite)) return `${op.name}.${letter}`
      }
      if (!this.y[op.index].subarray(0, rows * op.nOut).every(Number.isFinite)) return `the output of ${op.name}`
    }
    return "loss"
  }
}
