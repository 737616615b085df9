// The network: each unit with its own picture, weights as lines between them, and a button on each unit.

import { colours, css, ofClass, paint, sharp } from "./colours.js"
import { make, plural, short } from "./words.js"

const MOST = 16 // pictures of a layer
const SMALL = 20

// What the inputs look like over the picture, by their names.
const INPUTS = {
  x1: (a) => a, x2: (_, b) => b, "x1^2": (a) => a * a, "x2^2": (_, b) => b * b, "x1*x2": (a, b) => a * b,
  "sin(x1)": (a) => Math.sin(a), "sin(x2)": (_, b) => Math.sin(b),
} // prettier-ignore

export class NetworkPicture {
  // events: select(layer, unit), where layer -1 is the input; say(text)
  constructor(holder, events) {
    this.holder = holder
    this.events = events
    this.canvas = make("canvas", { "aria-hidden": "true" })
    this.buttons = make("div", { class: "units" })
    this.tip = make("div", { class: "tip", hidden: true })
    holder.append(this.canvas, this.buttons, this.tip)
    this.network = null
    this.selected = null
    this.stop = "-1,0" // the unit that Tab comes to
    this.tiles = new Map()
    this.lines = []
    holder.addEventListener("pointermove", (event) => this.hover(event))
    holder.addEventListener("pointerleave", () => (this.tip.hidden = true))
  }

  set(network, data) {
    this.network = network
    this.data = data
    this.frame = null
    this.columns = [
      { name: "input", units: network.inputs.length, names: network.inputs },
      ...network.layers.slice(0, -1),
      { ...network.layers.at(-1), last: true },
    ]
    if (this.selected && (this.selected[0] >= network.layers.length || this.selected[1] >= (this.columns[this.selected[0] + 1]?.units ?? 0))) this.selected = null
    this.inputs = network.inputs.map((name, k) => this.inputPicture(name, k))
    this.build()
  }

  inputPicture(name, k) {
    const { domain, names } = this.data
    const f = INPUTS[name] ?? (name === names[0] ? INPUTS.x1 : name === names[1] ? INPUTS.x2 : null)
    if (!f) return null
    const [left, right, low, high] = domain
    const values = new Float64Array(SMALL * SMALL)
    for (let i = 0; i < SMALL; i++)
      for (let j = 0; j < SMALL; j++)
        values[i * SMALL + j] = f(left + ((j + 0.5) / SMALL) * (right - left), high - ((i + 0.5) / SMALL) * (high - low))
    const reach = Math.max(...values.map(Math.abs)) || 1
    return Uint8Array.from(values, (value) => Math.round(127.5 + (127.5 * value) / reach))
  }

  shown(column) {
    return Math.min(column.units, MOST)
  }

  // Where everything is, for the width at hand.
  lay() {
    const width = this.holder.clientWidth
    const most = Math.max(...this.columns.map((column) => this.shown(column) + (column.units > MOST ? 0.6 : 0)))
    const gaps = this.columns.length
    const size = Math.max(18, Math.min(54, (width - 30) / (1.75 * gaps), 430 / most))
    const row = size + Math.max(6, Math.min(16, 470 / most - size))
    const height = Math.ceil(most * row + 46)
    const step = gaps > 1 ? (width - size - 16) / (gaps - 1) : 0
    return { width, height, size, row, step }
  }

  at(column, unit) {
    const { size, row, step, height } = this.laid
    const c = this.columns[column]
    const units = this.shown(c) + (c.units > MOST ? 0.6 : 0)
    const top = 30 + (height - 46 - units * row + row - size) / 2
    return [8 + column * step, top + unit * row, size]
  }

  build() {
    this.laid = this.lay()
    this.canvas.style.height = this.holder.style.height = `${this.laid.height}px`
    const kept = this.buttons.contains(document.activeElement)
    this.buttons.replaceChildren()
    this.columns.forEach((column, k) => {
      for (let j = 0; j < this.shown(column); j++) {
        const [x, y, size] = this.at(k, j)
        const button = make("button", { type: "button", "data-unit": `${k - 1},${j}`, class: "unit" })
        Object.assign(button.style, { left: `${x}px`, top: `${y}px`, width: `${size}px`, height: `${size}px` })
        button.setAttribute("aria-label", this.name(k - 1, j))
        button.setAttribute("aria-pressed", String(this.isSelected(k - 1, j)))
        button.addEventListener("click", () => this.select(k - 1, j))
        button.addEventListener("focus", () => this.stopAt(button))
        button.addEventListener("keydown", (event) => this.move(event, k - 1, j))
        this.buttons.append(button)
      }
    })
    const stop = this.button(this.stop) ?? this.buttons.firstChild
    this.stopAt(stop)
    if (kept) stop.focus()
    this.draw()
  }

  button(unit) {
    return this.buttons.querySelector(`[data-unit="${unit}"]`)
  }

  // All units are one stop of Tab: the one that had the focus last.
  stopAt(button) {
    this.stop = button.dataset.unit
    for (const each of this.buttons.children) each.tabIndex = each === button ? 0 : -1
  }

  name(layer, unit) {
    if (layer < 0) return `Input ${this.network.inputs[unit]}`
    const last = layer === this.network.layers.length - 1
    if (!last) return `Unit ${unit + 1} of hidden layer ${layer + 1}`
    const { classes, target } = this.data
    if (classes && this.columns.at(-1).units > 1) return `Output for ${target} ${classes[unit]}`
    return "Output"
  }

  isSelected(layer, unit) {
    return this.selected !== null && this.selected[0] === layer && this.selected[1] === unit
  }

  select(layer, unit) {
    this.selected = this.isSelected(layer, unit) ? null : [layer, unit]
    for (const button of this.buttons.children)
      button.setAttribute("aria-pressed", String(button.dataset.unit === String(this.selected)))
    this.draw()
    this.events.select(this.selected)
  }

  // Arrow keys go from unit to unit, as they lie; Home and End to the first and the last.
  move(event, layer, unit) {
    const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0], Home: [-99, -99], End: [99, 99] }
    const move = moves[event.key]
    if (!move || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const k = Math.min(this.columns.length - 1, Math.max(0, layer + 1 + move[0]))
    const j = Math.min(this.shown(this.columns[k]) - 1, Math.max(0, unit + move[1]))
    this.button([k - 1, j]).focus()
  }

  resize() {
    if (this.network && this.holder.clientWidth !== this.laid.width) this.build()
  }

  draw() {
    if (!this.network || !this.holder.clientWidth) return
    const { width, height } = this.laid
    const context = sharp(this.canvas, width, height)
    const theme = colours()
    this.weights(context, theme)
    this.columns.forEach((column, k) => this.column(context, theme, column, k))
  }

  weights(context, theme) {
    this.lines = []
    const layers = this.frame?.layers
    if (!layers) return
    let most = 0
    for (const { W } of layers) for (const w of W) most = Math.max(most, Math.abs(w))
    layers.forEach(({ W, dW, n_in, n_out }, l) => {
      for (let j = 0; j < Math.min(n_out, MOST); j++) {
        for (let i = 0; i < Math.min(n_in, MOST); i++) {
          const w = W[i * n_out + j]
          const [x0, y0, size] = this.at(l, i)
          const [x1, y1] = this.at(l + 1, j)
          const line = { l, i, j, w, dw: dW[i * n_out + j], from: [x0 + size, y0 + size / 2], to: [x1, y1 + size / 2] }
          this.lines.push(line)
          const strength = most ? Math.abs(w) / most : 0
          const quiet = this.selected && !(this.isSelected(l, j) || this.isSelected(l - 1, i))
          context.globalAlpha = Number.isFinite(w) ? (quiet ? 0.12 : 0.25 + 0.75 * strength) : 0.1
          context.lineWidth = 0.6 + 4.4 * strength
          context.strokeStyle = w < 0 ? theme.lowText : theme.highText
          context.setLineDash(w < 0 ? [5, 4] : [])
          this.curve(context, line)
          context.stroke()
        }
      }
    })
    context.setLineDash([])
    context.globalAlpha = 1
  }

  curve(context, { from: [x0, y0], to: [x1, y1] }) {
    const bend = (x1 - x0) / 2
    context.beginPath()
    context.moveTo(x0, y0)
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1)
  }

  column(context, theme, column, k) {
    const shown = this.shown(column)
    const pictures = k > 0 && !column.last ? this.frame?.units?.[k - 1] : null
    const dead = new Set(k > 0 && !column.last ? (this.frame?.dead?.[k - 1] ?? []) : [])
    for (let j = 0; j < shown; j++) {
      const [x, y, size] = this.at(k, j)
      context.fillStyle = theme.paper
      context.fillRect(x, y, size, size)
      if (k === 0 && this.inputs[j]) this.tile(context, this.inputs[j], 0, x, y, size)
      else if (k === 0) this.label(context, theme, short4(this.network.inputs[j]), x, y, size)
      else if (pictures) this.tile(context, this.centred(pictures, j), 0, x, y, size)
      else if (column.last) this.output(context, theme, j, x, y, size)
      context.strokeStyle = this.isSelected(k - 1, j) ? theme.accent : theme.ink
      context.lineWidth = this.isSelected(k - 1, j) ? 3 : 1
      context.strokeRect(x, y, size, size)
      if (k > 0) this.bias(context, theme, k - 1, j, x, y, size)
      if (dead.has(j)) {
        context.strokeStyle = theme.ink
        context.lineWidth = 1.5
        context.beginPath()
        context.moveTo(x, y)
        context.lineTo(x + size, y + size)
        context.moveTo(x + size, y)
        context.lineTo(x, y + size)
        context.stroke()
      }
      this.value(context, theme, k, j, x, y, size)
    }
    const [x, y, size] = this.at(k, shown)
    context.fillStyle = theme.soft
    context.font = "11px system-ui, sans-serif"
    context.textAlign = "center"
    if (column.units > MOST) context.fillText(`+ ${column.units - MOST}`, x + size / 2, y + 10)
    const title = k === 0 ? "inputs" : column.last ? "output" : `layer ${k}`
    context.fillText(title, Math.max(22, Math.min(this.laid.width - 22, x + size / 2)), 14)
  }

  // A unit's picture with 0 in the middle of the colours, so that its sign shows.
  centred({ low, high, data, size }, j) {
    const cells = size * size
    const reach = Math.max(Math.abs(low[j]), Math.abs(high[j])) || 1
    const found = new Uint8Array(cells)
    const scale = (high[j] - low[j]) / 255
    for (let i = 0; i < cells; i++) found[i] = 127.5 + (127.5 * (low[j] + data[j * cells + i] * scale)) / reach
    return found
  }

  tile(context, bytes, offset, x, y, size) {
    this.small ??= document.createElement("canvas")
    this.small.width = this.small.height = SMALL
    const inner = this.small.getContext("2d")
    const pixels = inner.createImageData(SMALL, SMALL)
    paint(pixels.data, bytes, offset)
    inner.putImageData(pixels, 0, 0)
    context.drawImage(this.small, x, y, size, size)
  }

  label(context, theme, text, x, y, size) {
    context.fillStyle = theme.ink
    context.font = "10px system-ui, sans-serif"
    context.textAlign = "center"
    context.fillText(text, x + size / 2, y + size / 2 + 3, size - 4)
  }

  output(context, theme, j, x, y, size) {
    const { classes } = this.data
    const grid = this.frame?.grid
    const many = this.columns.at(-1).units
    if (many === 1 && grid) {
      // the ground itself, in small
      const bytes = new Uint8Array(SMALL * SMALL)
      const [rows, columns] = grid.size
      for (let i = 0; i < SMALL; i++)
        for (let k = 0; k < SMALL; k++)
          bytes[i * SMALL + k] = grid.data[Math.floor(((i + 0.5) * rows) / SMALL) * columns + Math.floor(((k + 0.5) * columns) / SMALL)]
      this.tile(context, bytes, 0, x, y, size)
    } else if (classes) {
      context.fillStyle = css(ofClass(j, classes.length))
      context.globalAlpha = 0.35
      context.fillRect(x, y, size, size)
      context.globalAlpha = 1
      this.label(context, theme, classes[j], x, y, size)
    }
  }

  bias(context, theme, layer, j, x, y, size) {
    const b = this.frame?.layers?.[layer]?.b?.[j]
    if (b === undefined || !Number.isFinite(b)) return
    const r = Math.max(3, size / 7)
    context.fillStyle = b < 0 ? theme.lowText : theme.highText
    context.fillRect(x - r / 2, y + size - r * 1.2, r, r)
    context.strokeStyle = theme.paper
    context.lineWidth = 1
    context.strokeRect(x - r / 2, y + size - r * 1.2, r, r)
  }

  // During a step, the value of each unit for the row at hand; and for a row that was chosen.
  value(context, theme, k, j, x, y, size) {
    const values = k === 0 ? this.values?.inputs : (this.frame?.now?.layers?.[k - 1] ?? this.values?.layers?.[k - 1])
    if (!values || values[j] === undefined) return
    context.font = "600 11px system-ui, sans-serif"
    context.textAlign = "center"
    const text = short(values[j])
    context.lineWidth = 3
    context.strokeStyle = theme.paper
    const at = Math.max(20, Math.min(this.laid.width - 20, x + size / 2))
    context.strokeText(text, at, y + size + 10)
    context.fillStyle = theme.ink
    context.fillText(text, at, y + size + 10)
  }

  hover(event) {
    const box = this.holder.getBoundingClientRect()
    const [px, py] = [event.clientX - box.left, event.clientY - box.top]
    const button = event.target.closest?.("button")
    let text = ""
    if (button) text = this.about(...button.dataset.unit.split(",").map(Number))
    else {
      const line = this.near(px, py)
      if (line) text = `${this.name(line.l - 1, line.i)} to ${this.name(line.l, line.j).toLowerCase()}\nweight ${line.w}\ngradient ${line.dw}`
    }
    this.tip.hidden = !text
    this.tip.textContent = text
    this.tip.style.left = `${Math.max(0, Math.min(px + 12, this.laid.width - 230))}px`
    this.tip.style.top = `${py + 14}px`
  }

  near(px, py) {
    let [best, least] = [null, 6]
    for (const line of this.lines) {
      const [[x0, y0], [x1, y1]] = [line.from, line.to]
      if (px < x0 || px > x1) continue
      const u = (px - x0) / (x1 - x0) // the curve is nearly u^2 (3 - 2u) between its ends
      const y = y0 + (y1 - y0) * u * u * (3 - 2 * u)
      const far = Math.abs(y - py)
      if (far < least) [best, least] = [line, far]
    }
    return best
  }

  about(layer, unit) {
    const name = this.name(layer, unit)
    if (layer < 0) return name
    const found = this.frame?.layers?.[layer]
    const says = this.network.layers[layer].says
    const dead = this.frame?.dead?.[layer]?.includes(unit) ? "\ndead: the same for all training points" : ""
    return `${name} (${says})\n${plural(found?.n_in ?? 0, "weight")}, bias ${found?.b?.[unit]}${dead}`
  }
}

function short4(text) {
  return text.length > 7 ? `${text.slice(0, 6)}\u2026` : text
}
