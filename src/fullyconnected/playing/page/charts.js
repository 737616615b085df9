// Curves over the steps, and histograms.

import { colours, sharp } from "./colours.js"
import { short, whole } from "./words.js"

const LEFT = 50
const BOTTOM = 18
const TOP = 6
const DECADES = 2 // beyond which an axis is logarithmic

function ticks(low, high, log) {
  if (log) {
    const found = []
    for (let e = Math.ceil(Math.log10(low)); e <= Math.floor(Math.log10(high)); e++) found.push(10 ** e)
    const every = Math.ceil(found.length / 4)
    return found.length > 1 ? found.filter((_, i) => i % every === 0) : [low, high]
  }
  const raw = (high - low) / 3
  const unit = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((m) => m * unit).find((each) => each >= raw)
  const found = []
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at)
  return found
}

// Draw curves: lines are {values, dash, colour}. Returns whether the axis is logarithmic.
export function drawCurves(canvas, steps, lines, step, { from = null, to = null, mayLog = true } = {}) {
  const [w, h] = [canvas.clientWidth, canvas.clientHeight]
  if (!w || !h) return false
  const context = sharp(canvas, w, h)
  const theme = colours()
  let [low, high] = [Infinity, -Infinity]
  for (const { values } of lines) {
    for (const value of values) {
      if (!Number.isFinite(value)) continue
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  if (!Number.isFinite(low)) return false
  const log = mayLog && low > 0 && high / low > 10 ** DECADES
  if (from !== null && !log) low = Math.min(low, from)
  if (to !== null) high = Math.max(high, to)
  if (high - low < 1e-12 * Math.abs(high) || high === low) {
    high += Math.abs(high) * 0.1 || 1
    low -= Math.abs(low) * 0.1
  }
  const last = Math.max(1, steps.length ? steps[steps.length - 1] : 1, step)
  const x = (at) => LEFT + (at / last) * (w - LEFT - 8)
  const scale = log ? Math.log10 : (value) => value
  const y = (value) => TOP + (1 - (scale(value) - scale(low)) / (scale(high) - scale(low))) * (h - TOP - BOTTOM)

  context.font = "11px system-ui, sans-serif"
  context.lineWidth = 1
  context.textBaseline = "middle"
  context.textAlign = "right"
  for (const at of ticks(low, high, log)) {
    context.strokeStyle = theme.line
    context.beginPath()
    context.moveTo(LEFT, y(at))
    context.lineTo(w - 8, y(at))
    context.stroke()
    context.fillStyle = theme.soft
    context.fillText(short(at), LEFT - 6, y(at))
  }
  context.textBaseline = "alphabetic"
  context.textAlign = "left"
  context.fillText("0", LEFT, h - 4)
  context.textAlign = "right"
  context.fillText(`step ${whole(last)}`, w - 8, h - 4)

  for (const { values, dash, colour } of lines) {
    context.strokeStyle = theme[colour] ?? colour
    context.lineWidth = 1.8
    context.setLineDash(dash ?? [])
    context.beginPath()
    let drawing = false
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        drawing = false
        continue
      }
      if (drawing) context.lineTo(x(steps[i]), y(values[i]))
      else context.moveTo(x(steps[i]), y(values[i]))
      drawing = true
    }
    context.stroke()
  }
  context.setLineDash([])
  context.strokeStyle = theme.accent
  context.lineWidth = 1.5
  context.beginPath()
  context.moveTo(x(step), TOP)
  context.lineTo(x(step), h - BOTTOM)
  context.stroke()
  return log
}

export function drawHistogram(canvas, { low, high, counts }, colour) {
  const [w, h] = [canvas.clientWidth, canvas.clientHeight]
  if (!w || !h) return
  const context = sharp(canvas, w, h)
  const theme = colours()
  const most = Math.max(1, ...counts)
  const wide = w / counts.length
  context.fillStyle = theme[colour]
  counts.forEach((count, i) => {
    const high = count ? Math.max(2, (count / most) * (h - 16)) : 0
    context.fillRect(i * wide + 0.5, h - 14 - high, wide - 1, high)
  })
  context.fillStyle = theme.line
  context.fillRect(0, h - 14, w, 1)
  context.fillStyle = theme.soft
  context.font = "10.5px system-ui, sans-serif"
  context.textAlign = "left"
  context.fillText(short(low), 0, h - 3)
  context.textAlign = "center"
  context.fillText("0", w / 2, h - 3)
  context.textAlign = "right"
  context.fillText(short(high), w, h - 3)
}
