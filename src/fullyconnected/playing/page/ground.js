// The large picture: what the network says at each place, and the points. It can be read, and drawn in, by mouse and keys.

import { colours, css, mark, ofClass, paint, paintClasses, sharp } from "./colours.js"
import { percent, short } from "./words.js"

const NEAR = 14 // pixels within which a point is meant

export class Ground {
  // events: pick(row), add(x1, x2, t), remove(index in the points drawn), say(text), choose(class)
  constructor(canvas, events) {
    this.canvas = canvas
    this.events = events
    this.data = null
    this.frame = null
    this.cursor = null // [x1, x2] of the keyboard
    this.chosen = null
    this.drawing = null // { task, value } while points are drawn
    this.image = document.createElement("canvas")
    canvas.addEventListener("pointermove", (event) => this.read(this.at(event)))
    canvas.addEventListener("pointerleave", () => this.events.say(""))
    canvas.addEventListener("click", (event) => this.press(this.at(event), event.shiftKey))
    canvas.addEventListener("keydown", (event) => this.key(event))
    canvas.addEventListener("focus", () => {
      this.cursor ??= this.data ? this.middle() : null
      this.draw()
    })
    canvas.addEventListener("blur", () => {
      this.cursor = null
      this.draw()
    })
  }

  middle() {
    const [left, right, low, high] = this.data.domain
    return [(left + right) / 2, (low + high) / 2]
  }

  get size() {
    return this.canvas.clientWidth
  }

  place(x1, x2) {
    const [left, right, low, high] = this.data.domain
    return [((x1 - left) / (right - left)) * this.size, ((high - x2) / (high - low)) * this.size]
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect()
    const [left, right, low, high] = this.data.domain
    const [h, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
    return [left + h * (right - left), high - v * (high - low)]
  }

  // What stands at a place, in words.
  words([x1, x2]) {
    const [first, second] = this.data.names
    const where = `${first} ${short(x1)}, ${second} ${short(x2)}`
    const grid = this.frame?.grid
    if (!grid) return where
    const [left, right, low, high] = this.data.domain
    const [rows, columns] = grid.size
    const i = Math.floor(((high - x2) / (high - low)) * rows)
    const j = Math.floor(((x1 - left) / (right - left)) * columns)
    if (i < 0 || j < 0 || i >= rows || j >= columns) return where
    const byte = grid.data[i * columns + j]
    const { classes, target } = this.data
    if (grid.kind === "classes") {
      const share = grid.shares ? `, probability ${percent(grid.shares[i * columns + j] / 255)}` : ""
      return `${where}: ${target} ${classes[byte]}${share}`
    }
    const value = grid.low + (byte / 255) * (grid.high - grid.low)
    if (grid.kind === "value") return `${where}: ${target} about ${short(value)}`
    return grid.low === 0
      ? `${where}: ${target} ${classes[1]} with probability ${percent(value)}`
      : `${where}: score ${short(value)}, which is ${target} ${classes[value > 0 ? 1 : 0]}`
  }

  read(place) {
    if (this.data) this.events.say(this.words(place))
  }

  nearest(place) {
    const [h, v] = this.place(...place)
    let [best, least] = [-1, NEAR ** 2]
    for (let i = 0; i < this.data.t.length; i++) {
      const [x, y] = this.place(this.data.x1[i], this.data.x2[i])
      const far = (x - h) ** 2 + (y - v) ** 2
      if (far < least) [best, least] = [i, far]
    }
    return best
  }

  press(place, removing) {
    const row = this.nearest(place)
    if (this.drawing && removing) {
      if (row >= 0) this.events.remove(row)
    } else if (this.drawing) {
      this.events.add(place[0], place[1])
    } else if (row >= 0) {
      this.events.pick(row)
    }
  }

  key(event) {
    if (!this.data) return
    this.cursor ??= this.middle()
    const [left, right, low, high] = this.data.domain
    const step = ((right - left) / 80) * (event.shiftKey ? 8 : 1)
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }
    if (event.key in moves) {
      const [d1, d2] = moves[event.key]
      this.cursor = [
        Math.min(right, Math.max(left, this.cursor[0] + d1)),
        Math.min(high, Math.max(low, this.cursor[1] + d2)),
      ]
      this.read(this.cursor)
    } else if (event.key === "Enter" || event.key === " ") {
      this.press(this.cursor, false)
    } else if ((event.key === "Delete" || event.key === "Backspace") && this.drawing) {
      this.press(this.cursor, true)
    } else if (/^[0-5]$/.test(event.key) && this.drawing?.task === "classification") {
      this.events.choose(Number(event.key))
    } else return
    event.preventDefault()
    this.draw()
  }

  draw() {
    if (!this.data || !this.size) return
    const size = this.size
    const context = sharp(this.canvas, size, size)
    const theme = colours()
    const grid = this.frame?.grid
    if (grid) {
      const [rows, columns] = grid.size
      this.image.width = columns
      this.image.height = rows
      const small = this.image.getContext("2d")
      const pixels = small.createImageData(columns, rows)
      if (grid.kind === "classes") paintClasses(pixels.data, grid.data, grid.shares, this.data.classes.length)
      else paint(pixels.data, grid.data)
      small.putImageData(pixels, 0, 0)
      context.imageSmoothingEnabled = true
      context.imageSmoothingQuality = "high"
      context.drawImage(this.image, 0, 0, size, size)
    }
    this.axes(context, theme, size)
    this.points(context, theme)
    if (this.cursor) {
      const [h, v] = this.place(...this.cursor)
      context.strokeStyle = theme.ink
      context.lineWidth = 1.5
      context.beginPath()
      for (const [a, b] of [[-12, -4], [4, 12]]) { // prettier-ignore
        context.moveTo(h + a, v)
        context.lineTo(h + b, v)
        context.moveTo(h, v + a)
        context.lineTo(h, v + b)
      }
      context.stroke()
    }
  }

  axes(context, theme, size) {
    const [left, right, low, high] = this.data.domain
    context.strokeStyle = theme.ink
    context.globalAlpha = 0.18
    context.lineWidth = 1
    context.beginPath()
    const [h, v] = this.place(0, 0)
    if (left < 0 && right > 0) {
      context.moveTo(h, 0)
      context.lineTo(h, size)
    }
    if (low < 0 && high > 0) {
      context.moveTo(0, v)
      context.lineTo(size, v)
    }
    context.stroke()
    context.globalAlpha = 1
  }

  colour(t) {
    const { classes, range } = this.data
    if (classes) return css(ofClass(t, classes.length))
    const { table } = colours()
    const at = 3 * Math.round(255 * Math.min(1, Math.max(0, (t - range[0]) / (range[1] - range[0]))))
    return css([table[at], table[at + 1], table[at + 2]])
  }

  points(context, theme) {
    const { x1, x2, t, test, classes } = this.data
    const now = new Set(this.frame?.now?.rows ?? [])
    const r = Math.max(2.4, Math.min(4.5, (this.size / 110) * (t.length > 600 ? 0.75 : 1)))
    for (let i = 0; i < t.length; i++) {
      const [h, v] = this.place(x1[i], x2[i])
      mark(context, classes ? t[i] : test[i] ? 3 : 0, h, v, r)
      context.lineWidth = test[i] && classes ? 1.8 : 1.1
      if (!classes) {
        context.fillStyle = this.colour(t[i])
        context.fill()
        context.strokeStyle = theme.ink
      } else if (test[i]) {
        context.fillStyle = theme.paper
        context.fill()
        context.strokeStyle = this.colour(t[i])
      } else {
        context.fillStyle = this.colour(t[i])
        context.fill()
        context.strokeStyle = theme.paper
      }
      context.stroke()
    }
    const ring = (i, width) => {
      const [h, v] = this.place(x1[i], x2[i])
      context.beginPath()
      context.arc(h, v, r + 3.5, 0, 2 * Math.PI)
      context.lineWidth = width
      context.strokeStyle = theme.ink
      context.stroke()
    }
    for (const i of now) ring(i, 1.2)
    if (this.chosen !== null && this.chosen < t.length) ring(this.chosen, 2.2)
    const sample = this.frame?.now?.phase === "sample" ? this.frame.now.rows[this.frame.now.sample] : null
    if (sample !== null) ring(sample, 2.6)
  }
}
