/*
 * A setup, checked by the table of knobs, and what it trains: as fullyconnected/playing/setup.py and building.py.
 */
import { pointOf, unitsOf, wanted } from "./address.js"
import { dataOf, inputsOf, requireVariety, taskOf } from "./local_data.js"
import { compiled } from "./local_formula.js"

export const VERSION = 1
const CLASS_LOSSES = ["cross_entropy", "hinge"]
const MOST_CLASSES = 6,
  MOST_LAYERS = 8

// An error of which the page knows the knob.
export class KnobError extends Error {
  constructor(knob, message) {
    super(message)
    this.knob = knob
  }
}

const shown = (value) => JSON.stringify(value)?.slice(0, 80) ?? String(value)
const isNumber = (value) => typeof value === "number" && !Number.isNaN(value)

const CHECKS = {
  choice(knob, value) {
    const known = knob.choices.map((choice) => choice.value)
    if (!known.includes(value))
      throw new KnobError(knob.name, `${knob.name} is one of ${known.join(", ")}; got ${shown(value)}`)
    return value
  },
  choices(knob, value) {
    if (!Array.isArray(value)) throw new KnobError(knob.name, `${knob.name} is a list of names, such as ${shown(knob.default)}; got ${shown(value)}`)
    value.forEach((each) => CHECKS.choice(knob, each))
    if (value.length === 0) throw new KnobError(knob.name, `${knob.name} is empty: choose one or more`)
    return knob.choices.map((choice) => choice.value).filter((each) => value.includes(each))
  },
  number(knob, value) {
    if (!isNumber(value) || !(value >= knob.least && value <= knob.most)) {
      throw new KnobError(knob.name, `${knob.name} is ${wanted(knob)}; got ${shown(value)}`)
    }
    return value
  },
  integer(knob, value) {
    if (!Number.isInteger(CHECKS.number(knob, value))) {
      throw new KnobError(knob.name, `${knob.name} is ${wanted(knob)}; got ${shown(value)}`)
    }
    return value
  },
  text(knob, value) {
    if (typeof value !== "string") throw new KnobError(knob.name, `${knob.name} is text; got ${shown(value)}`)
    if (value.length > knob.most) {
      throw new KnobError(knob.name, `${knob.name} has at most ${knob.most} characters; got ${value.length}. Shorten it`)
    }
    return value
  },
  flag(knob, value) {
    if (typeof value !== "boolean") throw new KnobError(knob.name, `${knob.name} is yes or no; got ${shown(value)}`)
    return value
  },
  widths(knob, value) {
    if (!Array.isArray(value)) {
      throw new KnobError(knob.name, `${knob.name} is a list of the units of each hidden layer, such as ${shown(knob.default)}; got ${shown(value)}`)
    }
    if (value.length > MOST_LAYERS)
      throw new KnobError(knob.name, `${knob.name} has at most ${MOST_LAYERS} layers; got ${value.length}. Remove some`)
    value.forEach((units, i) => {
      if (!Number.isInteger(units) || units < knob.least || units > knob.most)
        throw new KnobError(knob.name, `${unitsOf(knob, i)}; got ${shown(units)}`)
    })
    return [...value]
  },
  points(knob, value) {
    if (!Array.isArray(value))
      throw new KnobError(knob.name, `${knob.name} is a list of points x1, x2 and t, such as [[-1, 1, 0], [1, 1, 1]]; got ${shown(value)}`)
    if (value.length > knob.most)
      throw new KnobError(knob.name, `${knob.name} has at most ${knob.most} points; got ${value.length}. Remove some`)
    value.forEach((point, i) => {
      const fine =
        Array.isArray(point) && point.length === 3 && point.every((each) => isNumber(each) && Math.abs(each) <= 1e6)
      if (!fine) {
        throw new KnobError(knob.name, `${pointOf(knob, i)}; got ${shown(point)}`)
      }
    })
    return value.map((point) => [...point])
  },
}

// Return the setup with these values, and the defaults of all other knobs, or throw.
export function setupOf(given, knobs) {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Error(`a setup is a value for each knob, by name, such as {"data": "moons"}; got ${shown(given)}`)
  }
  const { v = VERSION, ...values } = given
  if (v !== VERSION) throw new Error(`this playground reads setups of version ${VERSION}; got v=${shown(v)}. Newer ones need a newer fullyconnected`)
  const setup = { v }
  for (const knob of knobs) {
    setup[knob.name] = CHECKS[knob.kind](knob, knob.name in values ? values[knob.name] : knob.default)
  }
  const unknown = Object.keys(values).find((name) => !(name in setup))
  if (unknown !== undefined) throw new KnobError(unknown, `there is no knob ${shown(unknown)} here; there are ${knobs.map((each) => each.name).join(", ")}`)
  requireSense(setup)
  return setup
}

// Throw if values do not go together.
function requireSense(setup) {
  const { data, points, task, loss } = setup
  if (setup.init === "file")
    throw new KnobError("init", "init: there is no file with weights; choose other initial weights")
  if (data === "table") {
    throw new KnobError(
      "data",
      "data: for a table of yours, open the playground with it: fullyconnected playground t.csv",
    )
  }
  if (data === "formula") within("formula", () => compiled(setup.formula))
  if (data === "points") {
    if (points.length < 2)
      throw new KnobError("points", `points: two points or more are needed; got ${points.length}. Draw some`)
    const odd = points.find(([, , t]) => !Number.isInteger(t) || t < 0 || t >= MOST_CLASSES)
    if (task === "classification" && odd !== undefined) {
      throw new KnobError(
        "points",
        `points: the point at (${odd[0]}, ${odd[1]}) has class ${odd[2]}; classes are from 0 to ` +
          `${MOST_CLASSES - 1}. For numbers, choose task=regression`,
      )
    }
  }
  const isClasses = taskOf(setup) === "classification"
  if (loss !== "auto" && CLASS_LOSSES.includes(loss) !== isClasses) {
    const [what, suited] = isClasses ? ["numbers", "classes"] : ["classes", "numbers"]
    throw new KnobError("loss", `loss: ${loss} is for ${what}, and these data are ${suited}; choose auto`)
  }
}

// Run something, whose errors are about a knob.
function within(knob, work) {
  try {
    return work()
  } catch (error) {
    throw new KnobError(knob, error.message)
  }
}

const NORMS = { batch: "batch_norm", layer: "layer_norm", rms: "rms_norm" }
const RULES = { momentum: ["momentum"], nesterov: ["momentum"], adamw: ["weight_decay"] }
const SCHEDULES = {
  constant: () => null,
  step: (epochs) => ({ schedule: "StepDecay", settings: { factor: 0.5, every: epochs } }),
  exponential: (epochs) => ({ schedule: "ExponentialDecay", settings: { factor: 0.1 ** (1 / epochs) } }),
  linear: (epochs) => ({ schedule: "LinearDecay", settings: { epochs } }),
  cosine: (epochs) => ({ schedule: "CosineDecay", settings: { epochs } }),
  warmup: (epochs) => ({ schedule: "Warmup", settings: { epochs } }),
}

// Return the plain layers of a setup, and for each hidden layer its units, the operation whose output they are, and what
// is said of it.
function layersOf(setup, nIn, nOut) {
  const layers = [],
    hidden = []
  const activation = { activation: setup.activation, settings: {} }
  const init = setup.init === "auto" ? {} : { init: setup.init }
  let width = nIn,
    at = 0
  for (const units of setup.hidden) {
    const sizes = { n_in: width, n_out: units },
      block = []
    if (setup.norm === "none") {
      block.push({ layer: "dense", settings: { ...sizes, activation, ...init } })
    } else {
      // the activation, which stands apart, has no part in how weights are drawn
      block.push({ layer: "dense", settings: { ...sizes, ...init } })
      block.push({ layer: NORMS[setup.norm], settings: {} })
      block.push({ layer: "activation", settings: { activation } })
    }
    const last = at + block.length - 1
    if (setup.dropout > 0) block.push({ layer: "dropout", settings: { rate: setup.dropout } })
    const residual = setup.residual && units === width
    at += block.length + (residual ? 1 : 0)
    layers.push(...(residual ? [{ layer: "residual", settings: { layers: block } }] : block))
    const says = [setup.activation]
    if (setup.norm !== "none") says.push(`${setup.norm} norm`)
    if (residual) says.push("residual")
    if (setup.dropout > 0) says.push(`dropout ${setup.dropout}`)
    hidden.push({ units, operation: residual ? at - 1 : last, says: says.join(", ") })
    width = units
  }
  return { layers: [...layers, { layer: "dense", settings: { n_in: width, n_out: nOut } }], hidden }
}

// Return the data of a setup, what a Trainer is made of, and what is shown of the network.
export function built(setup) {
  const data = setup.data === "formula" ? within("formula", () => dataOf(setup)) : dataOf(setup)
  if (data.classes === null) within("test_share", () => requireVariety(data))
  const classes = data.classes?.length ?? 1
  const nOut = classes === 1 || (classes === 2 && setup.loss !== "hinge") ? 1 : classes
  const { layers, hidden } = layersOf(setup, setup.features.length, nOut)
  const auto = { 1: "half_squared_error", 2: "binary_cross_entropy" }[classes] ?? "softmax_cross_entropy"
  const rows = inputsOf(setup.features, data.x1, data.x2)
  const nIn = setup.features.length,
    { test } = data
  const places = Uint32Array.from(data.t.keys()).filter((row) => test[row] === 0) // of the training rows
  const some = Uint32Array.from(data.t.keys()).filter((row) => test[row] === 1)
  const taken = (chosen) => ({
    x: Float64Array.from(
      { length: chosen.length * nIn },
      (_, i) => rows[chosen[Math.floor(i / nIn)] * nIn + (i % nIn)],
    ),
    t: Float64Array.from(chosen, (row) => data.t[row]),
  })
  const training = taken(places)
  const settings = { lr: setup.learning_rate }
  for (const name of RULES[setup.optimizer] ?? []) settings[name] = setup[name]
  if (setup.norm === "batch" && setup.hidden.length > 0 && Math.min(setup.batch_size, places.length) < 2) {
    throw new KnobError(
      "batch_size",
      "batch_size: batch normalisation needs two rows or more in a batch; raise it, or choose another norm",
    )
  }
  return {
    data,
    rows,
    places,
    hidden,
    testing: some.length === 0 ? null : taken(some),
    training,
    plain: {
      layers,
      nIn,
      ...training,
      loss: { loss: ["auto", "cross_entropy"].includes(setup.loss) ? auto : setup.loss, settings: {} },
      optimizer: { optimizer: setup.optimizer, settings },
      seed: setup.seed,
      batchSize: setup.batch_size,
      shuffle: setup.shuffle,
      l2: setup.l2,
      maxGradNorm: setup.max_grad_norm || null,
      schedule: SCHEDULES[setup.schedule](setup.schedule_epochs),
    },
  }
}
