/*
 * The points of the playground, as fullyconnected/playing/points.py and data.py make them: the classics, a formula,
 * or drawn by hand; and what the network is given of them.
 */
import { Generator } from "./engine_random.js"
import { compiled } from "./local_formula.js"

const DATA = 16,
  SPLIT = 17 // purposes of draws
const REACH = 2,
  MARGIN = 1.2

// what the network can be given of a point
export const FEATURES = {
  "x1": (x1) => x1,
  "x2": (_, x2) => x2,
  "x1^2": (x1) => x1 * x1,
  "x2^2": (_, x2) => x2 * x2,
  "x1*x2": (x1, x2) => x1 * x2,
  "sin(x1)": (x1) => Math.sin(x1),
  "sin(x2)": (_, x2) => Math.sin(x2),
}

const square = (u) => 2 * REACH * u - REACH
const apart = (x) => x + 0.1 * (x < 0 ? -1 : 1)
const { cos, sin, sqrt, exp, PI } = Math

// Functions of the number of a row, two uniform numbers, two normal ones, the noise and the number of classes, which
// return x1, x2 and the target.
const KINDS = {
  xor(i, u0, u1, n1, n2, noise) {
    const x1 = apart(square(u0)),
      x2 = apart(square(u1))
    return [x1 + noise * n1, x2 + noise * n2, x1 * x2 < 0 ? 1 : 0]
  },
  circles(i, u0, u1, n1, n2, noise) {
    const c = i % 2,
      a = 2 * PI * u0
    const radius = c === 0 ? 0.9 * sqrt(u1) : 1.4 + 0.6 * u1
    return [radius * cos(a) + noise * n1, radius * sin(a) + noise * n2, c]
  },
  spirals(i, u0, u1, n1, n2, noise, classes) {
    const c = i % classes,
      s = 0.05 + 0.95 * u0
    const a = 3.5 * PI * s + (2 * PI * c) / classes
    return [2 * s * sin(a) + 0.3 * noise * n1, 2 * s * cos(a) + 0.3 * noise * n2, c]
  },
  moons(i, u0, u1, n1, n2, noise) {
    const c = i % 2,
      a = PI * u0
    const x1 = c === 0 ? cos(a) - 0.5 : 0.5 - cos(a)
    const x2 = c === 0 ? sin(a) - 0.25 : 0.25 - sin(a)
    return [1.3 * x1 + noise * n1, 1.3 * x2 + noise * n2, c]
  },
  blobs(i, u0, u1, n1, n2, noise, classes) {
    const c = i % classes,
      a = (2 * PI * c) / classes
    return [1.3 * cos(a) + (0.2 + noise) * n1, 1.3 * sin(a) + (0.2 + noise) * n2, c]
  },
  plane(i, u0, u1, n1, n2, noise) {
    const x1 = square(u0),
      x2 = square(u1)
    return [x1, x2, (x1 + x2) / 2 + noise * n1]
  },
  hills(i, u0, u1, n1, n2, noise) {
    const x1 = square(u0),
      x2 = square(u1)
    const hill = (x1 - 1) ** 2 + (x2 - 1) ** 2,
      valley = (x1 + 1) ** 2 + (x2 + 1) ** 2
    return [x1, x2, exp(-hill) - exp(-valley) + noise * n1]
  },
}

// Return what is learned: "classification" or "regression".
export function taskOf({ data, task }) {
  if (data === "points" || data === "formula") return task
  return data === "plane" || data === "hills" ? "regression" : "classification"
}

// Return a function like those of KINDS for a formula.
function byFormula({ formula, task }) {
  const f = compiled(formula)
  return (i, u0, u1, n1, n2, noise) => {
    const x1 = square(u0),
      x2 = square(u1),
      v = f(x1, x2)
    if (!Number.isFinite(v)) {
      const [a, b] = [x1, x2].map((x) => Number(x.toPrecision(3)))
      throw new Error(
        `formula: '${formula}' has no finite value at x1 = ${a}, x2 = ${b}; it is needed for all from -${REACH} to ${REACH}`,
      )
    }
    return task === "regression" ? [x1, x2, v + noise * n1] : [x1 + noise * n1, x2 + noise * n2, v > 0 ? 1 : 0]
  }
}

// Return the points, a list of [x1, x2, t].
function drawn(setup) {
  if (setup.data === "points") return setup.points
  const kind = setup.data === "formula" ? byFormula(setup) : KINDS[setup.data]
  const rng = new Generator(setup.data_seed, DATA)
  return Array.from({ length: setup.rows }, (_, i) => {
    const u0 = rng.double(),
      u1 = rng.double()
    const r = sqrt(-2 * Math.log(1 - rng.double())),
      a = 2 * PI * rng.double()
    return kind(i, u0, u1, r * cos(a), r * sin(a), setup.noise, setup.classes)
  })
}

// Return which rows are for testing, as bytes.
function split(rows, { test_share, data_seed }) {
  const nTest = Math.min(Math.floor(test_share * rows + 0.5), rows - 1)
  const test = new Uint8Array(rows)
  for (const row of new Generator(data_seed, SPLIT).permutation(rows).subarray(0, nTest)) test[row] = 1
  return test
}

// Throw if R2 is not defined: it compares the errors with how the numbers vary.
export function requireVariety({ t, test }) {
  for (const [which, is] of [["test", 1], ["training", 0]]) {
    const given = t.filter((_, row) => test[row] === is)
    if (given.length === 0 || !given.every((each) => each === given[0])) continue
    const many = given.length === 1 ? "the one" : `all ${given.length}`
    throw new Error(
      `test_share: the target is ${Number(given[0].toPrecision(4))} in ${many} ${which} row${given.length > 1 ? "s" : ""}, ` +
        `and R2 needs numbers that differ; take more rows, or another share or data seed`,
    )
  }
}

// Return the rows of the network's input for places in the picture, flat.
export function inputsOf(features, x1, x2) {
  const made = features.map((name) => FEATURES[name]),
    rows = new Float64Array(x1.length * made.length)
  for (let i = 0, at = 0; i < x1.length; i++) for (const f of made) rows[at++] = f(x1[i], x2[i])
  return rows
}

// Return the data of a setup: places x1 and x2, targets t, which rows are for testing, and what is said of them.
export function dataOf(setup) {
  const points = drawn(setup)
  const [x1, x2, t] = [0, 1, 2].map((j) => Float64Array.from(points, (point) => point[j]))
  const task = taskOf(setup),
    isClasses = task === "classification"
  const many = isClasses ? Math.max(2, Math.max(...t) + 1) : 1
  const far = setup.data === "points" ? Math.max(REACH, ...x1.map(Math.abs), ...x2.map(Math.abs)) : REACH
  const reach = far * MARGIN
  let low = Math.min(...t),
    high = Math.max(...t)
  if (low === high) [low, high] = [low - 1, high + 1]
  return {
    x1,
    x2,
    t,
    test: split(t.length, setup),
    names: ["x1", "x2"],
    target: isClasses ? "class" : "t",
    task,
    classes: isClasses ? Array.from({ length: many }, (_, c) => String(c)) : null,
    domain: [-reach, reach, -reach, reach],
    range: isClasses ? null : [low, high],
    says: null,
  }
}
