// Initial values of parameters, as in initializers.py: a name or a standard deviation.

const uniform = (limit) => (rng, out, fanIn, fanOut) => {
  const a = limit(fanIn, fanOut)
  for (let i = 0; i < out.length; i++) out[i] = rng.uniform(-a, a)
}
const normal = (deviation) => (rng, out, fanIn, fanOut) => {
  const scale = deviation(fanIn, fanOut)
  for (let i = 0; i < out.length; i++) out[i] = rng.normal(0, scale)
}

export const INITIALIZERS = {
  glorot_uniform: uniform((fanIn, fanOut) => Math.sqrt(6 / (fanIn + fanOut))),
  glorot_normal: normal((fanIn, fanOut) => Math.sqrt(2 / (fanIn + fanOut))),
  he_uniform: uniform((fanIn) => Math.sqrt(6 / fanIn)),
  he_normal: normal((fanIn) => Math.sqrt(2 / fanIn)),
  lecun_uniform: uniform((fanIn) => Math.sqrt(3 / fanIn)),
  lecun_normal: normal((fanIn) => Math.sqrt(1 / fanIn)),
  uniform_fan_in: uniform((fanIn) => 1 / Math.sqrt(fanIn)),
  uniform01: (rng, out) => {
    for (let i = 0; i < out.length; i++) out[i] = rng.double()
  },
  zeros: (rng, out) => out.fill(0),
  signs: (rng, out) => {
    for (let i = 0; i < out.length; i++) out[i] = rng.integer(1) ? 1 : -1
  },
  ones: (rng, out) => out.fill(1),
}

// What the browser does not draw, and why.
export const WITHOUT_INITIALIZERS = {
  unit_variance: "its weights depend on the training rows as they reach the layer",
}

// What an activation calls for, as suited_init of its class says.
export const SUITED = {
  relu: "he_normal",
  leaky_relu: "he_normal",
  elu: "he_normal",
  gelu: "he_normal",
  silu: "he_normal",
  mish: "he_normal",
  selu: "lecun_normal",
}

// Write the initial values of a parameter into ``out``.
export function draw(init, rng, out, fanIn, fanOut) {
  if (typeof init === "number") return normal(() => init)(rng, out, fanIn, fanOut)
  const known = INITIALIZERS[init]
  if (known === undefined) throw new Error(`the browser has no initial values called ${init}`)
  return known(rng, out, fanIn, fanOut)
}
