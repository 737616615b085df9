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

function number(name, text) {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) throw new Error(`${name} has numbers; got ${text.slice(0, 80)}`)
  return Number(text)
}

function read(knob, text) {
  switch (knob.kind) {
    case "choice":
    case "text":
      return text
    case "choices":
      return text.split(",")
    case "flag":
      if (text !== "yes" && text !== "no") throw new Error(`${knob.name} is yes or no; got ${text.slice(0, 80)}`)
      return text === "yes"
    case "widths":
      return text === "" ? [] : text.split(",").map((each) => number(knob.name, each))
    case "points":
      return text === "" ? [] : text.split(";").map((point) => point.split(":").map((each) => number(knob.name, each)))
    default:
      return number(knob.name, text)
  }
}

// The setup and the step in an address; null if there is none. Throws for what cannot be read; a backend checks the rest.
export function setupIn(knobs, hash) {
  const text = hash.replace(/^#/, "")
  if (!text) return null
  const known = new Map(knobs.map((knob) => [knob.name, knob]))
  const setup = {}
  let at = 0
  for (const part of text.split("&").filter(Boolean)) {
    const place = part.indexOf("=")
    if (place < 0) throw new Error(`an address has name=value between the signs &; got ${part.slice(0, 80)}`)
    let name, value
    try {
      name = decodeURIComponent(part.slice(0, place))
      value = decodeURIComponent(part.slice(place + 1))
    } catch {
      throw new Error(`the address has a sign % with no character behind it: ${part.slice(0, 80)}`)
    }
    if (name in setup) throw new Error(`${name} is in the address twice`)
    if (name === "at") at = Math.max(0, Math.floor(number(name, value)))
    else if (name === "v") setup.v = number(name, value)
    else if (known.has(name)) setup[name] = read(known.get(name), value)
    else throw new Error(`the address names a knob that is unknown: ${name.slice(0, 80)}`)
  }
  return { setup, at }
}
