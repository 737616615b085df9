/*
 * A playground in JavaScript alone, as fullyconnected/playing/session.py: a setup that is trained, taken step by
 * step, rewound and looked at. It runs in a worker of the browser, in its main thread, or under Node.
 */
import { Trainer } from "./engine.js"
import { explained, overfitting } from "./local_advice.js"
import { COMMANDS } from "./local_commands.js"
import { KnobError, built, setupOf } from "./local_setup.js"
import { Timeline } from "./local_timeline.js"
import { View, histogram, plain } from "./local_view.js"

const EVERY = 50 // ms between frames, or three times what a frame takes, if that is more
const PATIENCE = 20 // ms at most until it looks whether the next step of a slow pace is due
const SLICE = 10 // ms that training goes on before it looks whether a command waits
const LONGEST = 30 // ms that a step or a replay may take before it goes on as a run

export const CAPABILITIES = ["python", "model", "picture", "link", "advice", "edit", "pace"]

export class Session {
  // `knobs` is the table of knobs, without what is not to be had here; frames go to `onframe`.
  constructor(knobs, onframe) {
    this.knobs = knobs
    this.onframe = onframe
    this.run = Date.now() // counts setups, and grows over a page that is loaded again
    this.visible = true
    this.later = laterFor(() => this.train())
    this.waits = false // whether train() is going to be called
    this.begin(setupOf({}, knobs))
  }

  // Begin anew with a setup, at step 0; if it is refused, all stays as it was.
  begin(setup) {
    const made = built(setup),
      trainer = withKnob(() => new Trainer(made.plain))
    const view = new View(trainer, setup, made)
    view.places = made.places
    Object.assign(this, { setup, made, trainer, view, edits: [] })
    Object.assign(this, { running: false, until: null, stopped: null, now: null, sample: null, speed: 0 })
    this.timeline = new Timeline(trainer.snapshot())
    this.run += 1
    this.note()
  }

  // Answer a command of the page; what is returned is its reply.
  do({ do: what, ...more }) {
    const answer = Object.hasOwn(COMMANDS, what) ? COMMANDS[what] : null
    if (answer === null) throw new Error(`there is no command ${what} here; there are ${Object.keys(COMMANDS).join(", ")}`)
    return answer(this, more)
  }

  // The same as plain data: {reply}, or {error: {message, knob}}.
  answer(command) {
    try {
      return { reply: this.do(command) }
    } catch (error) {
      return { error: { message: error.message, knob: error.knob } }
    }
  }

  // Whether the page is seen: a hidden one wants no frames, and gets one when it is seen again.
  show(visible) {
    const before = this.visible
    this.visible = visible
    if (visible && !before) this.publish()
  }

  close() {
    this.running = false
  }

  pause() {
    if (!this.running) return
    this.running = false
    this.speed = 0
    this.publish()
  }

  // Train until pause() or a step, at full speed, or with at most ``pace`` steps a second.
  start(until = null, pace = null) {
    if (until !== null && until <= this.trainer.step) return
    Object.assign(this, { until, pace, stopped: null, now: null, sample: null })
    this.counted = this.began = [performance.now(), this.trainer.step]
    if (this.running) return
    this.running = true
    this.published = this.took = 0
    this.seen = -1
    this.portion = 1
    this.wake()
  }

  // Have train() called soon, but not twice: a run may begin before the last one has noticed that it was stopped.
  wake(wait = 0) {
    if (this.waits) return
    this.waits = true
    if (wait > 0) setTimeout(() => this.train(), wait)
    else this.later()
  }

  // Train for a moment, and ask to be called again.
  train() {
    this.waits = false
    if (!this.running) return
    const { trainer, pace, portion } = this
    const began = performance.now()
    const before = trainer.step
    const [start, first] = this.began
    const due = pace === null ? Infinity : first + Math.floor(((began - start) * pace) / 1000)
    this.go(Math.min(before + portion, due, this.until ?? Infinity))
    if (this.until !== null && trainer.step >= this.until) this.running = false
    const took = performance.now() - began
    if (trainer.step - before === portion) {
      // else a pace has held it up, which says nothing of its time
      if (took < SLICE / 2) this.portion *= 2
      else if (took > SLICE) this.portion = Math.max(1, Math.floor(portion / 2))
    }
    if (!this.running || (trainer.step > this.seen && this.isTime())) this.seenAt(performance.now())
    if (this.running) this.wake(trainer.step > before ? 0 : Math.min(1000 / pace, PATIENCE))
    else this.speed = 0
  }

  isTime() {
    return performance.now() - this.published >= Math.max(EVERY, 3 * this.took)
  }

  // Publish a frame of the run, and note how long that takes.
  seenAt(now) {
    const [since, step] = this.counted
    if (now - since > 500 || this.speed === 0)
      this.speed = (1000 * (this.trainer.step - step)) / Math.max(now - since, 1e-6)
    if (now - since > 500) this.counted = [now, this.trainer.step]
    this.publish()
    this.seen = this.trainer.step
    this.published = performance.now()
    this.took = this.published - now
  }

  // Train to a step, keeping what is to be kept on the way, and note it if the run diverges.
  go(step) {
    const { trainer, timeline } = this
    this.now = this.sample = null
    while (trainer.step < step) {
      const stop = Math.min(step, timeline.nextStop(trainer.step))
      while (trainer.step < stop && trainer.stopped === null) {
        trainer.train()
        if (this.edits.length > 0) this.applyEdits()
      }
      this.note()
      if (trainer.stopped !== null) {
        this.running = false
        this.stopped = explained(trainer)
        trainer.stopped = null
        return
      }
    }
  }

  // Train to a step, for a moment, and then leave the rest to a run, which other commands may stop.
  reach(step) {
    const began = performance.now()
    while (this.trainer.step < step && this.stopped === null) {
      if (performance.now() - began > LONGEST) return this.start(step)
      this.go(this.trainer.step + 1)
    }
  }

  applyEdits() {
    for (const { step, place, value } of this.edits) {
      if (step === this.trainer.step) this.trainer.network.theta[place] = value
    }
  }

  // Keep what the timeline wants of this step.
  note() {
    const { timeline, trainer } = this,
      { step } = trainer
    if (timeline.wantsPoint(step)) timeline.add(step, this.view.point())
    if (timeline.wantsState(step)) timeline.keep(trainer.snapshot())
    timeline.reached(step)
  }

  seek(to) {
    this.pause()
    Object.assign(this, { stopped: null, now: null, sample: null })
    if (to > this.timeline.last) return this.start(to)
    const kept = this.timeline.before(to)
    if (to < this.trainer.step || kept.step > this.trainer.step) this.trainer.restore(kept)
    this.reach(to)
    this.publish()
  }

  // Look at the next sample of the batch; after the last, make the step.
  nextSample() {
    const sample = this.sample === null ? 0 : this.sample + 1
    if (sample === 0) this.trainer.load()
    if (sample >= this.trainer.count) return this.go(this.trainer.step + 1)
    this.now = this.view.backward(sample)
    this.sample = sample
  }

  setWeight({ layer, part, at, value }) {
    const { network, step } = this.trainer
    const i = network.operations.findIndex((op) => op.name === layer)
    const tensor = network.tensors.find((each) => each.operation === i && each.letter === part)
    if (tensor === undefined) throw new Error(`the network has no parameter ${layer}.${part}; it has ${network.operations.filter((op) => op.kind === "dense").map((op) => `${op.name}.W, ${op.name}.b`).join(", ")}`)
    if (!Number.isFinite(value) || Math.abs(value) > 1e6)
      throw new Error(`value is a weight, a number from -1000000 to 1000000; got ${value}`)
    const { nIn, nOut } = network.operations[i],
      sizes = part === "W" ? [nIn, nOut] : [nOut]
    if (
      !Array.isArray(at) ||
      at.length !== sizes.length ||
      !at.every((k, axis) => Number.isInteger(k) && k >= 0 && k < sizes[axis])
    ) {
      const last = JSON.stringify(sizes.map((n) => n - 1))
      throw new Error(
        `${layer}.${part} has entries from ${JSON.stringify(sizes.map(() => 0))} to ${last}; there is no entry ${JSON.stringify(at)}`,
      )
    }
    this.pause()
    const place = tensor.start + at.reduce((sum, k, axis) => sum * (axis === 0 ? 1 : sizes[axis]) + k, 0)
    this.edits = this.edits.filter((each) => each.step < step || (each.step === step && each.place !== place))
    this.edits.push({ step, place, value })
    this.applyEdits()
    this.timeline.forgetAfter(step)
    this.timeline.keep(this.trainer.snapshot())
    Object.assign(this, { now: null, sample: null, stopped: null })
    this.note()
    this.publish()
  }

  publish() {
    if (this.visible) this.onframe(this.frame())
  }

  // All that is to be seen at this step.
  frame() {
    const { trainer, view, timeline } = this,
      { step, steps } = trainer
    const [train, test, metricTrain, metricTest, rate, norm] = view.point()
    if (this.now?.phase === "sample") view.backward(this.sample) // the workspace holds the gradients up to the sample
    const layers = view.layers()
    const curves = timeline.curves()
    return {
      run: this.run,
      step,
      epoch: Math.floor(step / steps),
      in_epoch: step % steps,
      steps_a_epoch: steps,
      last: timeline.last,
      running: this.running,
      speed: this.speed,
      loss: { train: plain(train), test: plain(test) },
      metric: { name: view.metric, train: plain(metricTrain), test: plain(metricTest) },
      learning_rate: rate,
      gradient_norm: plain(norm),
      curves,
      grid: view.ground(),
      units: view.units(),
      layers,
      histograms: layers.map(({ W, b, dW, db }) => ({ weights: histogram(W, b), gradients: histogram(dW, db) })),
      dead: view.dead(),
      now: this.now,
      stopped: this.stopped,
      advice: this.stopped === null ? overfitting(curves, trainer) : [],
      edited: this.edits.length > 0,
    }
  }

  // What is said of a setup once: its data and its network.
  described() {
    const { setup, made, trainer } = this,
      { network } = trainer
    const { x1, x2, t, test, names, target, task, classes, domain, range, says } = made.data
    const dense = network.operations.filter((op) => op.kind === "dense").map((op) => op.name)
    const layers = made.hidden.map(({ units, says: said }, i) => ({ name: dense[i], units, says: said }))
    layers.push({ name: dense.at(-1), units: network.nOut, says: "no activation" })
    const params = network.theta.length
    return {
      run: this.run,
      setup,
      data: { x1, x2, t, test, names, target, task, classes, domain, range, says },
      network: { inputs: setup.features, layers, outputs: network.nOut, params },
      text: [...layers.map((each) => `${each.name}: ${each.units} units, ${each.says}`), `${params} parameters`].join(
        "\n",
      ),
      engine: "javascript",
    }
  }
}

// Return what has a work done after all else that waits by now: a message to oneself comes last, and no timer is as soon.
function laterFor(work) {
  if (typeof setImmediate === "function") return () => setImmediate(work) // under Node, where timers wait for messages
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = work
  return () => port2.postMessage(null)
}

// Make something of a checked setup, whose errors are about the network as a whole.
function withKnob(work) {
  try {
    return work()
  } catch (error) {
    throw error instanceof KnobError ? error : new KnobError("batch_size", error.message)
  }
}
