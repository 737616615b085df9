// Numbers and sentences as the page shows them.

const MINUS = "\u2212"

// Three significant digits, for pictures.
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "none"
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : MINUS + "\u221e"
  if (value === 0) return "0"
  const size = Math.abs(value)
  const text =
    size >= 1e5 || size < 1e-3
      ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e")
      : String(Number(value.toPrecision(3)))
  return text.replace(/-/g, MINUS)
}

// All digits: those that tell the number from all others.
export function exact(value) {
  if (value === null || value === undefined) return "none"
  return String(value).replace(/^-/, MINUS)
}

export function whole(value) {
  return Math.round(value).toLocaleString("en")
}

export function plural(count, word) {
  return `${whole(count)} ${word}${count === 1 ? "" : "s"}`
}

export function percent(value) {
  return value === null ? "none" : `${(100 * value).toFixed(1)} %`
}

// An element with attributes and children; the children are text or elements, and never HTML.
export function make(tag, attributes = {}, ...children) {
  const found = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    if (name === "class") found.className = value
    else if (name.startsWith("on")) found.addEventListener(name.slice(2), value)
    else found.setAttribute(name, value === true ? "" : value)
  }
  found.append(...children)
  return found
}
