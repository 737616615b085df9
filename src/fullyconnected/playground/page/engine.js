/*
 * Training as fullyconnected.fit does it: the same rows in the same order, the same masks, the same updates, in
 * float64.
 *
 * A Trainer is made of plain values, and its run is a function of them: whoever restores what `snapshot` gave goes on
 * as if nothing had been between. Nothing is allocated in a step.
 */
import { OPTIMIZERS as FORMULAS } from "./engine_formulas.js"
import { LOSSES } from "./engine_losses.js"
import { MUON, hiddenOf, updateOf } from "./engine_muon.js"
import { Network, Workspace } from "./engine_network.js"
import { Generator, SHUFFLE, halvesOf } from "./engine_random.js"
import { schedule } from "./engine_schedules.js"

export const OPTIMIZERS = { ...FORMULAS, muon: MUON }

// What the browser does not have, and why.
export const WITHOUT_OPTIMIZERS = {
  lbfgs: "it is a solver for all rows at once, which the playground's steps are not",
}

// Return the number of batches that rows are cut into; a last one of fewer than ``least`` rows joins the one before.
export function batchesOf(rows, batchSize, least = 1) {
  return Math.max(1, Math.ceil((rows - least + 1) / batchSize))
}

export class Trainer {
  /*
   * x and t are flat, in rows: t has numbers, or class numbers for a loss of classes. loss and optimizer are
   * {loss: name, settings} and {optimizer: name, settings}, schedule {schedule: name, settings} or null.
   */
  constructor({
    layers,
    nIn,
    x,
    t,
    loss,
    optimizer,
    seed,
    batchSize,
    schedule: rates = null,
    shuffle = true,
    l2 = 0,
    maxGradNorm = null,
  }) {
    const network = (this.network = new Network(layers, nIn))
    this.rows = x.length / nIn
    this.loss = LOSSES[loss.loss]
    if (this.loss === undefined) throw new Error(`the browser has no loss called ${loss.loss}`)
    this.lossSettings = withSettings(this.loss, loss)
    this.x = Float64Array.from(x)
    this.t = this.loss.classes ? Uint32Array.from(t) : Float64Array.from(t)
    this.width = this.t.length / this.rows // of a row of targets
    this.rule = ruleOf(optimizer)
    this.ruleSettings = this.rule.settings
    this.schedule = schedule(rates)
    Object.assign(this, { seed, batchSize: Math.min(batchSize, this.rows), shuffle, l2, maxGradNorm })
    const least = network.leastRows
    if (this.rows < least || this.batchSize < least) {
      throw new Error(`batch normalisation needs ${least} rows or more in a batch; got ${this.batchSize}`)
    }
    this.steps = batchesOf(this.rows, this.batchSize, least) // of an epoch
    this.workspace = new Workspace(network, Math.min(this.batchSize + least - 1, this.rows), true)
    this.batchT = new this.t.constructor(this.workspace.rows * this.width)
    this.decaying = piecesOf(network.tensors, true).filter(([, , decays]) => decays)
    this.bindRule()
    ;[this.seedHigh, this.seedLow] = halvesOf(seed)
    this.order = new Uint32Array(this.rows)
    this.shuffler = new Generator()
    this.before = new Float64Array(network.state.length)
    this.begin()
    this.last = this.snapshot() // what the last step began with
  }

  // Prepare the slots of the rule, and the functions (lr, step) that make an update.
  bindRule() {
    const {
        network,
        rule,
        workspace: { gradient },
      } = this,
      { theta } = network
    const rest = rule.settings.rest ? ruleOf(rule.settings.rest) : rule
    const names = new Set([...rule.slots, ...rest.slots])
    const slots = (this.slots = Object.fromEntries([...names].map((name) => [name, new Float64Array(theta.length)])))
    const matrices = rest === rule ? new Set() : hiddenOf(network)
    const isMatrix = ({ operation, letter }) => letter === "W" && matrices.has(operation)
    const { known, settings } = rest,
      factor = settings.lr / rule.settings.lr // a schedule changes both rates
    this.updates = piecesOf(
      network.tensors.filter((tensor) => !isMatrix(tensor)),
      settings.weight_decay > 0,
    ).map(([start, stop, decays]) =>
      decays
        ? (lr, step) => known.decay(theta, gradient, slots, start, stop, lr * factor, step, settings)
        : (lr, step) => known.update(theta, gradient, slots, start, stop, lr * factor, step, settings),
    )
    for (const { start, stop, operation } of network.tensors.filter(isMatrix)) {
      const [own, g, v] = [theta, gradient, slots.v].map((vector) => vector.subarray(start, stop))
      const { nIn, nOut } = network.operations[operation]
      this.updates.push(updateOf({ theta: own, g, v, nIn, nOut, settings: rule.settings }))
    }
  }

  // Go to step 0.
  begin() {
    this.network.initialize(this.seed)
    for (const slot of Object.values(this.slots)) slot.fill(0)
    this.step = this.epoch = this.done = 0 // updates, complete epochs, and batches of this epoch
    this.stopped = null
    this.ordered = -1 // the epoch of which `order` is
  }

  // The learning rate of the next step.
  get rate() {
    const { lr } = this.ruleSettings
    return this.schedule === null ? lr : lr * this.schedule(this.epoch + this.done / this.steps)
  }

  // Copy the rows of the next batch into the workspace, and return their number.
  load() {
    const { order, rows, workspace, x, t, batchT, width } = this,
      { nIn } = this.network
    if (this.ordered !== this.epoch) {
      if (this.shuffle) {
        this.shuffler.begin(this.seedHigh, this.seedLow, SHUFFLE, this.epoch)
        this.shuffler.permutation(rows, order)
      } else {
        for (let i = 0; i < rows; i++) order[i] = i
      }
      this.ordered = this.epoch
    }
    const start = (this.start = this.done * this.batchSize)
    const n = (this.count = (this.done + 1 === this.steps ? rows : start + this.batchSize) - start)
    for (let r = 0; r < n; r++) {
      const row = order[start + r]
      for (let i = 0; i < nIn; i++) workspace.x[r * nIn + i] = x[row * nIn + i]
      for (let i = 0; i < width; i++) batchT[r * width + i] = t[row * width + i]
    }
    return n
  }

  // The numbers of the rows of the batch that was loaded last.
  get batch() {
    return this.order.slice(this.start, this.start + this.count)
  }

  // Run the loaded batch of n rows forward, and return its loss without l2; the gradient of the outputs is then in
  // workspace.dz.
  forward(n) {
    const { workspace } = this,
      { nOut } = this.network
    if (workspace.isRandom) workspace.at(this.seedHigh, this.seedLow, this.step)
    workspace.forward(n, true)
    return this.loss.value(workspace.z, this.batchT, workspace.dz, n * nOut, nOut, 1 / n, this.lossSettings)
  }

  // Compute the gradient of the next batch, as the update takes it but for clipping, and return its loss with l2.
  lossAndGradient() {
    const n = this.load(),
      value = this.forward(n)
    this.workspace.backward(n)
    return value + this.addL2()
  }

  // Add the gradient of l2 / 2 sum(W^2) over the weights, and return its value.
  addL2() {
    const {
      l2,
      workspace: { gradient },
      network: { theta },
    } = this
    if (l2 === 0) return 0
    let squares = 0
    for (const [start, stop] of this.decaying) {
      for (let i = start; i < stop; i++) {
        gradient[i] += l2 * theta[i]
        squares += theta[i] * theta[i]
      }
    }
    return (l2 / 2) * squares
  }

  // Run the next batch as its step will, and leave no trace in the run; `then(rows)` goes back or not. Returns its
  // loss without l2.
  look(then) {
    const { state } = this.network,
      n = this.load()
    this.before.set(state)
    const value = this.forward(n)
    then(n)
    state.set(this.before)
    return value
  }

  // Make the next update; return the loss of its batch. If that or what it leads to is not finite, the run has
  // diverged: it stays at the step before, `stopped` says where, and NaN is returned.
  train() {
    const { network, workspace, slots, last, updates } = this,
      { theta, state } = network
    const { gradient } = workspace,
      lr = this.rate
    last.theta.set(theta)
    last.state.set(state)
    for (const name in slots) last.slots[name].set(slots[name])
    const value = this.lossAndGradient()
    if (!Number.isFinite(value)) return this.stop(lr)
    if (this.maxGradNorm !== null) clip(gradient, this.maxGradNorm)
    for (const update of updates) update(lr, this.step + 1)
    if (!isFinite(theta) || !isFinite(state)) return this.stop(lr) // a gradient can overflow although the loss is finite
    this.step += 1
    this.done += 1
    if (this.done === this.steps) {
      this.done = 0
      this.epoch += 1
    }
    return value
  }

  // Note why the next step cannot be made, and undo what was done of it.
  stop(rate) {
    const { network, slots, last } = this
    this.stopped = { step: this.step + 1, rate, layer: this.workspace.firstNotFinite(this.count) }
    network.theta.set(last.theta)
    network.state.set(last.state)
    for (const name in slots) slots[name].set(last.slots[name])
    return NaN
  }

  // All that changes in a run, copied.
  snapshot() {
    const { theta, state } = this.network
    const slots = Object.fromEntries(Object.entries(this.slots).map(([name, slot]) => [name, slot.slice()]))
    return { step: this.step, epoch: this.epoch, done: this.done, theta: theta.slice(), state: state.slice(), slots }
  }

  // Go back to what `snapshot` gave.
  restore({ step, epoch, done, theta, state, slots }) {
    this.network.theta.set(theta)
    this.network.state.set(state)
    for (const [name, slot] of Object.entries(slots)) this.slots[name].set(slot)
    Object.assign(this, { step, epoch, done, stopped: null })
  }
}

// The mean loss of rows, as the network predicts them, in a workspace that has run forward.
export function lossOf(trainer, workspace, t, n) {
  const { nOut } = trainer.network
  const scratch = (workspace.scratch ??= new Float64Array(workspace.z.length))
  return trainer.loss.value(workspace.z, t, scratch, n * nOut, nOut, 1 / n, trainer.lossSettings)
}

// Whether all numbers are finite; a sum of squares shows it fastest, unless it overflows.
function isFinite(vector) {
  let squares = 0
  for (let i = 0; i < vector.length; i++) squares += vector[i] * vector[i]
  return Number.isFinite(squares) || vector.every(Number.isFinite)
}

// Scale a gradient down to the norm ``limit`` if its norm is larger.
function clip(g, limit) {
  const norm = normOf(g)
  if (norm > limit && Number.isFinite(norm)) for (let i = 0; i < g.length; i++) g[i] *= limit / norm
}

export function normOf(g) {
  let squares = 0
  for (let i = 0; i < g.length; i++) squares += g[i] * g[i]
  if (Number.isFinite(squares)) return Math.sqrt(squares)
  let most = 0 // the squares may overflow although the entries are finite
  for (let i = 0; i < g.length; i++) most = Math.max(most, Math.abs(g[i]))
  squares = 0
  for (let i = 0; i < g.length; i++) squares += (g[i] / most) ** 2
  return most * Math.sqrt(squares)
}

// Return an optimizer: its functions, its settings and the names of its slots.
function ruleOf(plain) {
  const known = OPTIMIZERS[plain.optimizer]
  if (known === undefined) throw new Error(`the browser has no optimizer called ${plain.optimizer}`)
  return { known, slots: known.slots, settings: withSettings(known, plain) }
}

// Return the settings of a rule or loss: those of its class, unless others are given. One that it has not is refused.
function withSettings(known, { settings = {}, ...named }) {
  const odd = Object.keys(settings).find((name) => !(name in known.settings))
  if (odd !== undefined) throw new Error(`the browser knows no setting ${odd} of ${Object.values(named)[0]}`)
  return { ...known.settings, ...settings }
}

// Return the parts of theta, [start, stop, whether they decay], neighbours of one kind together.
function piecesOf(tensors, byDecay) {
  const pieces = []
  for (const { start, stop, decays } of tensors) {
    const last = pieces.at(-1),
      own = byDecay && decays
    if (last && last[2] === own && last[1] === start) last[1] = stop
    else pieces.push([start, stop, own])
  }
  return pieces
}
