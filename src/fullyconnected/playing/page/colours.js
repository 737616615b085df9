// Colours: those of the theme, read from the style sheet, and what is painted with them. Blue and orange can be told apart
// by nearly everybody; what they say is also said by dashes, marks and words.

const dark = matchMedia("(prefers-color-scheme: dark)")
let theme = null

function rgb(text) {
  const n = parseInt(text.trim().slice(1), 16)
  return [n >> 16, (n >> 8) & 255, n & 255]
}

function mixed(one, other, share) {
  return one.map((c, i) => Math.round(c + (other[i] - c) * share))
}

export function colours() {
  if (theme) return theme
  const style = getComputedStyle(document.documentElement)
  const of = (name) => style.getPropertyValue(`--${name}`).trim()
  const low = rgb(of("low"))
  const middle = rgb(of("middle"))
  const high = rgb(of("high"))
  // a table of 256 colours from low through middle to high, for the ground and the units
  const table = new Uint8ClampedArray(256 * 3)
  for (let i = 0; i < 256; i++) {
    const at = i / 127.5 - 1
    const strength = Math.abs(at) ** 0.85 * 0.82
    table.set(mixed(middle, at < 0 ? low : high, strength), 3 * i)
  }
  const classes = [0, 1, 2, 3, 4, 5].map((i) => rgb(of(`class-${i}`)))
  theme = {
    table, classes, middle, low, high,
    ink: of("ink"), soft: of("soft"), line: of("line"), paper: of("paper"), accent: of("accent"),
    lowText: of("low"), highText: of("high"),
  } // prettier-ignore
  return theme
}

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`

// What happens when the theme changes.
export function onTheme(redraw) {
  dark.addEventListener("change", () => {
    theme = null
    redraw()
  })
}

// The colour of a class among so many: with two, those of the ground.
export function ofClass(index, count) {
  const { classes, low, high } = colours()
  return count <= 2 ? (index ? high : low) : classes[index % classes.length]
}

// Paint bytes as pixels: 0 is low, 255 is high.
export function paint(pixels, bytes, offset = 0) {
  const { table } = colours()
  for (let i = 0; i < pixels.length / 4; i++) {
    const at = 3 * bytes[offset + i]
    pixels[4 * i] = table[at]
    pixels[4 * i + 1] = table[at + 1]
    pixels[4 * i + 2] = table[at + 2]
    pixels[4 * i + 3] = 255
  }
}

export function paintClasses(pixels, bytes, shares, count) {
  const { middle } = colours()
  for (let i = 0; i < bytes.length; i++) {
    const share = shares ? Math.max(0, (shares[i] / 255 - 1 / count) / (1 - 1 / count)) : 1
    const colour = mixed(middle, ofClass(bytes[i], count), 0.15 + 0.6 * share)
    pixels.set([...colour, 255], 4 * i)
  }
}

// A canvas that is sharp on this screen; its context draws in CSS pixels.
export function sharp(canvas, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1)
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)]
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w
    canvas.height = h
  }
  const context = canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, width, height)
  return context
}

// The mark of a class, so that colour is not alone: circle, square, triangle, diamond, cross, star.
export function mark(context, index, x, y, r) {
  context.beginPath()
  if (index === 0) context.arc(x, y, r, 0, 2 * Math.PI)
  else if (index === 1) context.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r)
  else {
    const corners = [3, 4, 4, 5][Math.min(index - 2, 3)]
    const inner = index === 4 ? 0.45 : index >= 5 ? 0.5 : 0
    const many = inner ? 2 * corners : corners
    for (let i = 0; i < many; i++) {
      const a = (2 * Math.PI * i) / many - Math.PI / 2
      const reach = 1.3 * r * (inner && i % 2 ? inner : 1)
      context.lineTo(x + reach * Math.cos(a), y + reach * Math.sin(a))
    }
    context.closePath()
  }
}
