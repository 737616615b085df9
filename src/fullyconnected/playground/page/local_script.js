// A run as a script in Python, which repeats it with the library: as fullyconnected/playing/script.py writes it.
import { LIBRARY, SOURCES } from "./knobs.js"
import { addressOf } from "./address.js"
import { inNumPy } from "./local_formula.js"

const INPUTS = {
  "x1": "x1",
  "x2": "x2",
  "x1^2": "x1 * x1",
  "x2^2": "x2 * x2",
  "x1*x2": "x1 * x2",
  "sin(x1)": "np.sin(x1)",
  "sin(x2)": "np.sin(x2)",
}
const NORMS = { batch: "fc.BatchNorm()", layer: "fc.LayerNorm()", rms: "fc.RMSNorm()" }
const LOSSES = {
  half_squared_error: "HalfSquaredError",
  mean_squared_error: "MeanSquaredError",
  absolute_error: "AbsoluteError",
  huber: "Huber",
  hinge: "Hinge",
  binary_cross_entropy: "BinaryCrossEntropy",
  softmax_cross_entropy: "SoftmaxCrossEntropy",
}
const RULES = {
  sgd: "SGD",
  momentum: "Momentum",
  nesterov: "Nesterov",
  rmsprop: "RMSProp",
  adam: "Adam",
  adamw: "AdamW",
  muon: "Muon",
}
const SCHEDULES = {
  step: (epochs) => `fc.StepDecay(0.5, ${epochs})`,
  exponential: (epochs) => `fc.ExponentialDecay(0.1 ** (1 / ${epochs}))`,
  linear: (epochs) => `fc.LinearDecay(${epochs})`,
  cosine: (epochs) => `fc.CosineDecay(${epochs})`,
  warmup: (epochs) => `fc.Warmup(${epochs})`,
}

// Return the script. It trains the complete epochs of the run; fc.fit knows no others.
export function scriptOf({ knobs, setup, made, trainer, edits }) {
  const late = edits.find(({ step }) => step > 0)
  if (late !== undefined) {
    throw new Error(
      `a weight was set by hand after step ${late.step}, in the midst of training, which no call of fc.fit repeats. ` +
        "Download the model instead, or rewind and set weights before the first step",
    )
  }
  const epochs = Math.floor(trainer.step / trainer.steps),
    more = trainer.step % trainer.steps
  const lines = [
    `"""A run of the playground: ${epochs} epochs, ${epochs * trainer.steps} steps.`,
    ...(more ? [`The playground has made ${more} more of the ${trainer.steps} steps of the next epoch.`] : []),
    "",
    // neither may end the text, nor be read as something else
    `Address: #${addressOf(knobs, setup)}`.replaceAll("\\", "\\\\").replaceAll('"""', "\'\'\'"),
    `Written in a browser, for fullyconnected ${LIBRARY}; the numbers are the same but for rounding.`,
    '"""',
    "",
    "import numpy as np",
    "",
    "import fullyconnected as fc",
    "",
    ...dataLines(setup, made),
    ...networkLines(setup, trainer, edits),
    ...trainingLines(setup, made, trainer, epochs),
  ]
  return { name: "playground.py", type: "text/x-python", text: `${lines.join("\n")}\n` }
}

const random = (seed, purpose) =>
  `np.random.Generator(np.random.Philox(key=np.array([${seed}, ${purpose}], np.uint64)))`

function dataLines(setup, { data }) {
  const { noise, classes } = setup,
    lines = [],
    n = data.t.length,
    nTest = data.test.reduce((sum, each) => sum + each, 0)
  if (setup.data === "points") {
    lines.push("x = np.array([", ...setup.points.map(([x1, x2]) => `    [${x1}, ${x2}],`), "], float)")
    lines.push(`t = np.array([${setup.points.map(([, , t]) => t).join(", ")}], float)`)
  } else {
    const kind = setup.data === "formula" ? [] : [setup.data]
    lines.push(`REACH = ${SOURCES.REACH}`, "", "")
    for (const name of ["normal", "square", "class_of", ...kind]) lines.push(SOURCES[name], "", "")
    lines.push(`u = ${random(setup.data_seed, 16)}.random((${setup.rows}, 4))`, "n = normal(u)")
    if (kind.length > 0) {
      lines.push(`x, t = ${kind[0]}(u, n, noise=${noise}, classes=${classes})`)
    } else {
      lines.push("x = square(u)", "x1, x2 = x[:, 0], x[:, 1]", `v = ${inNumPy(setup.formula)} + np.zeros(len(x))`)
      if (setup.task === "regression") lines.push(`t = v + ${noise} * n[:, 0]`)
      else lines.push("t = (v > 0).astype(float)", `x = x + ${noise} * n`)
    }
  }
  lines.push("x1, x2 = x[:, 0], x[:, 1]")
  lines.push(`inputs = np.column_stack([${setup.features.map((name) => INPUTS[name]).join(", ")}])`)
  lines.push(data.classes === null ? "t = t[:, None]" : "t = t.astype(np.int64)", "")
  lines.push(`# ${nTest} of ${n} rows are for testing`, `split = ${random(setup.data_seed, 17)}`)
  lines.push(`test = np.zeros(${n}, bool)`, `test[split.permutation(${n})[:${nTest}]] = True`, "")
  return lines
}

function networkLines(setup, { network }, edits) {
  const init = setup.init === "auto" ? "" : `, init="${setup.init}"`,
    lines = ["net = fc.Network(", "    ["]
  let width = network.nIn
  for (const units of setup.hidden) {
    const block =
      setup.norm === "none"
        ? [`fc.Dense(${width}, ${units}, "${setup.activation}"${init})`]
        : [`fc.Dense(${width}, ${units}${init})`, NORMS[setup.norm], `fc.Activation("${setup.activation}")`]
    if (setup.dropout > 0) block.push(`fc.Dropout(${setup.dropout})`)
    const text = block.join(", ")
    lines.push(setup.residual && units === width ? `        fc.Residual([${text}]),` : `        ${text},`)
    width = units
  }
  lines.push(
    `        fc.Dense(${width}, ${network.nOut}),`,
    "    ],",
    '    dtype="float64",',
    `    seed=${setup.seed},`,
    ")",
  )
  return [...lines, ...edits.map(({ place, value }) => `net.theta[${place}] = ${value}  # set by hand`)]
}

function trainingLines(setup, { plain, testing }, trainer, epochs) {
  const { optimizer } = plain,
    settings = [`batch_size=${trainer.batchSize}`]
  settings.push(`shuffle=${setup.shuffle ? "True" : "False"}`, `seed=${setup.seed}`)
  if (setup.l2 > 0) settings.push(`l2=${setup.l2}`)
  if (setup.max_grad_norm > 0) settings.push(`max_grad_norm=${setup.max_grad_norm}`)
  if (setup.schedule !== "constant") settings.push(`schedule=${SCHEDULES[setup.schedule](setup.schedule_epochs)}`)
  const given = Object.entries(optimizer.settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ")
  const lines = [`loss, rule = fc.${LOSSES[plain.loss.loss]}(), fc.${RULES[optimizer.optimizer]}(${given})`]
  const rows = (which) => `inputs[${which}], t[${which}]`
  if (epochs > 0)
    lines.push(`fc.fit(net, ${rows("~test")}, loss, rule, epochs=${epochs}, ${settings.join(", ")}, warn=False)`)
  lines.push(`print("loss of the training rows", repr(float(net.evaluate(${rows("~test")}, loss).loss)))`)
  if (testing !== null)
    lines.push(`print("loss of the test rows    ", repr(float(net.evaluate(${rows("test")}, loss).loss)))`)
  return lines
}
