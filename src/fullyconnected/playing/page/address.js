// A setup as the part of an address behind #, and back: what differs from the defaults, readable. setup.py does the same.

const KEPT = /[A-Za-z0-9_.~,:;*+()^-]/

function quoted(text) {
  return Array.from(text, (c) => (KEPT.test(c) ? c : encodeURIComponent(c))).join("")
}

function written(knob, value) {
  if (knob.kind === "points") return value.map((point) => point.map(String).join(":")).join(";")
  if (Array.isArray(value)) return value.join(",")
  if (typeof value === "boolean") return value ? "yes" : "no"
  return String(value)
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)

export function addressOf(knobs, setup, at = 0) {
  const told = ["v=1"]
  for (const knob of knobs) {
    const value = setup[knob.name]
    if (value !== undefined && !same(value, knob.default)) told.push(`${knob.name}=${quoted(written(knob, value))}`)
  }
  if (at > 0) told.push(`at=${at}`)
  return told.join("&")
}

const LARGEST_STEP = 1e9
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i

// What a knob of numbers takes, in words.
export function wanted({ kind, least, most, default: usual }) {
  return `${kind === "integer" ? "a whole number" : "a number"} from ${least} to ${most}, such as ${usual}`
}

// What is wanted of a part of a layer's units, and of a point.
export const unitsOf = ({ name, least, most }, i) => `${name}: layer ${i + 1} has a whole number of units from ${least} to ${most}`
export const pointOf = ({ name }, i) => `${name}: point ${i + 1} is three numbers from -1000000 to 1000000, x1, x2 and t`

function number(text, what) {
  if (!NUMBER.test(text)) throw new Error(`${what}; got '${text.slice(0, 80)}'`)
  return Number(text)
}

function step(text) {
  const what = `at is the step to train to, a whole number from 0 to ${LARGEST_STEP}`
  const found = number(text, what)
  if (!Number.isInteger(found) || found < 0 || found > LARGEST_STEP) throw new Error(`${what}; got '${text.slice(0, 80)}'`)
  return found
}

function read(knob, text) {
  switch (knob.kind) {
    case "choice":
    case "text":
      return text
    case "choices":
      return text === "" ? [] : text.split(",")
    case "flag":
      if (text !== "yes" && text !== "no") throw new Error(`${knob.name} is yes or no; got '${text.slice(0, 80)}'`)
      return text === "yes"
    case "widths":
      return text === "" ? [] : text.split(",").map((each, i) => number(each, unitsOf(knob, i)))
    case "points":
      return text === "" ? [] : text.split(";").map((point, i) => point.split(":").map((each) => number(each, pointOf(knob, i))))
    default:
      return number(text, `${knob.name} is ${wanted(knob)}`)
  }
}

// The setup and the step in an address; null if there is none. Throws for what cannot be read; a backend checks the rest.
export function setupIn(knobs, hash) {
  const text = hash.replace(/^#/, "")
  if (!text) return null
  const known = new Map(knobs.map((knob) => [knob.name, knob]))
  const setup = {}
  let at = null
  for (const part of text.split("&").filter(Boolean)) {
    const place = part.indexOf("=")
    if (place < 0) throw new Error(`a link has name=value between the signs &, such as v=1&data=moons&at=120; got '${part.slice(0, 80)}'`)
    let name, value
    try {
      name = decodeURIComponent(part.slice(0, place))
      value = decodeURIComponent(part.slice(place + 1))
    } catch {
      throw new Error(`a link writes odd characters as % and two digits, such as %3D; got '${part.slice(0, 80)}'`)
    }
    if (name in setup || (name === "at" && at !== null)) throw new Error(`${name} is in the link twice: leave one of them out`)
    if (name === "at") at = step(value)
    else if (name === "v") setup.v = NUMBER.test(value) ? Number(value) : value
    else if (known.has(name)) setup[name] = read(known.get(name), value)
    else throw new Error(`there is no knob '${name.slice(0, 80)}'; there are ${[...known.keys()].join(", ")}`)
  }
  return { setup, at: at ?? 0 }
}
