/*
 * What is kept of a run while it grows, as fullyconnected/playing/timeline.py: states to go back to, and curves, at
 * the multiples of a stride that doubles whenever there are too many. So it depends on the step that was reached
 * alone.
 */
const POINTS = 256
const MEMORY = 2 ** 26 // bytes for states, of which 8 at least are kept
export const CURVES = ["train", "test", "metric_train", "metric_test", "learning_rate", "gradient_norm"]

export class Timeline {
  // Begin with a state, as Trainer.snapshot gives it.
  constructor(start) {
    const size = [start.theta, start.state, ...Object.values(start.slots)].reduce((sum, a) => sum + a.byteLength, 0)
    this.mostStates = Math.max(8, Math.min(POINTS, Math.floor(MEMORY / Math.max(1, size))))
    this.stride = this.statesStride = 1
    this.states = new Map()
    this.points = new Map()
    this.last = 0 // the furthest step of the run
    this.keep(start)
  }

  // The next step, after this one, of which something is to be kept.
  nextStop(step) {
    const stride = Math.min(this.stride, this.statesStride)
    return (Math.floor(step / stride) + 1) * stride
  }

  wantsPoint(step) {
    return step % this.stride === 0 && !this.points.has(step)
  }

  wantsState(step) {
    return step % this.statesStride === 0 && !this.states.has(step)
  }

  // Add a point to the curves: its numbers in the order of CURVES.
  add(step, values) {
    this.points.set(step, values)
    while (this.points.size > POINTS) this.points = thinned(this.points, (this.stride *= 2))
  }

  keep(state) {
    this.states.set(state.step, state)
    while (this.states.size > this.mostStates) this.states = thinned(this.states, (this.statesStride *= 2))
  }

  reached(step) {
    this.last = Math.max(this.last, step)
  }

  // The last state that was kept at this step or before it.
  before(step) {
    return this.states.get(Math.max(...[...this.states.keys()].filter((at) => at <= step)))
  }

  // Forget what came after a step, and at it: something else follows from here.
  forgetAfter(step) {
    for (const kept of [this.states, this.points]) for (const at of [...kept.keys()]) if (at >= step) kept.delete(at)
    this.last = Math.min(this.last, step)
  }

  curves() {
    const steps = [...this.points.keys()].sort((a, b) => a - b)
    const found = { step: Float64Array.from(steps) }
    CURVES.forEach((name, i) => {
      found[name] = Float64Array.from(steps, (step) => this.points.get(step)[i])
    })
    return found
  }
}

const thinned = (kept, stride) => new Map([...kept].filter(([at]) => at % stride === 0))
