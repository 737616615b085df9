// The page: it knows a backend, shows its frames, and tells it what is wanted. protocol.md says how they speak.

import { addressOf, setupIn } from "./address.js"
import { drawCurves, drawHistogram } from "./charts.js"
import { colours, css, mark, ofClass, onTheme, sharp } from "./colours.js"
import { Controls } from "./controls.js"
import { Ground } from "./ground.js"
import { NetworkPicture } from "./network.js"
import { exact, make, percent, plural, short, whole } from "./words.js"

const $ = (id) => document.getElementById(id)
const CALM = 4000 // ms between two things that a screen reader is told while training runs
const LESS_OFTEN = 200 // ms between two drawings of curves and numbers while training runs; nobody reads faster
const PATIENT = 140 // ms that a knob rests before it counts
const calm = matchMedia("(prefers-reduced-motion: reduce)")

let backend, controls, ground, picture
let setup = null // the one that runs
let wanted = null // the one that is shown by the knobs
let data = null
let network = null
let frame = null
let due = false // whether a drawing is asked for
let seeking = null // the step that the slider is pulled to
let saidAt = 0
let chosen = null // the row that was chosen
let lastDrawn = 0
let gone = false // whether the backend does not answer

start()

async function start() {
  try {
    const name = document.querySelector("meta[name=backend]").content
    const { connect } = await import(name)
    backend = await connect()
  } catch (error) {
    tell("gone", `The playground cannot be reached: ${error.message}`)
    return
  }
  const { hello } = backend
  controls = new Controls($("knobs"), hello, turn)
  picture = new NetworkPicture($("picture"), { select: showNumbers })
  ground = new Ground($("ground"), {
    say: (text) => ($("reading").textContent = text),
    pick: choose,
    add: (x1, x2) => drawPoint([...wanted.points, [round(x1), round(x2), controls.brush.brush]]),
    remove: (row) => drawPoint(wanted.points.filter((_, i) => i !== row)),
    choose: (k) => controls.brush.choose(k),
  })
  for (const [id, what] of Object.entries(EXPORTS)) {
    if (hello.capabilities.includes(what.needs)) {
      $("exports").append(make("button", { type: "button", "data-export": id, onclick: () => take(id) }, what.label))
    }
  }
  $("footer").textContent = `fullyconnected ${hello.version}${hello.engine ? `, by the ${hello.engine} engine` : ""}`
  backend.onframe = arrived
  backend.onstate = state
  wire()
  const link = location.hash // before the address is that of the setup at hand
  accept(hello)
  let at = hello.at ?? 0
  let found = null
  try {
    found = setupIn(hello.knobs, link)
  } catch (error) {
    tell("refused", `The link cannot be read: ${error.message}`)
  }
  if (found) {
    if (await send(found.setup)) at = found.at
  }
  if (at > 0) await command({ do: "run", until: at })
  document.documentElement.dataset.ready = "yes"
}

function wire() {
  $("run").addEventListener("click", () => (frame?.running ? command({ do: "pause" }) : go()))
  $("pace").addEventListener("change", () => frame?.running && go())
  $("pace-box").hidden = !backend.hello.capabilities.includes("pace")
  $("skip").addEventListener("click", () => $("network-title").focus())
  $("rewind").addEventListener("click", () => command({ do: "seek", to: 0 }))
  for (const button of document.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => command({ do: "step", what: button.dataset.step }))
  }
  $("seek").addEventListener("input", seek)
  $("explain-knobs").addEventListener("change", (event) => $("knobs").classList.toggle("explained", event.target.checked))
  document.addEventListener("visibilitychange", () => backend.show(!document.hidden))
  addEventListener("hashchange", arriveByLink)
  new ResizeObserver(() => {
    picture.resize()
    redraw()
  }).observe(document.body)
  onTheme(() => {
    legend()
    redraw()
  })
}

// Commands

function go() {
  const pace = Number($("pace").value)
  return command(pace && !$("pace-box").hidden ? { do: "run", pace } : { do: "run" })
}

async function command(what) {
  if (resting && !(await sendNow())) return null // what a knob asks for comes first
  try {
    const reply = await backend.send(what)
    tell("refused", "")
    return reply
  } catch (error) {
    if (!error.gone) tell("refused", error.message)
    return null
  }
}

let resting = 0

// A knob was turned: what the knobs show is asked for once they rest.
function turn(name, value) {
  wanted = { ...(wanted ?? setup), [name]: value }
  mayNeedLoss = ["data", "task", "target"].includes(name)
  controls.set(wanted)
  clearTimeout(resting)
  resting = setTimeout(sendNow, PATIENT)
}

function sendNow() {
  clearTimeout(resting)
  resting = 0
  return send(wanted)
}

let mayNeedLoss = false // whether the data were changed: a loss for classes is not one for numbers

async function send(given) {
  const running = frame?.running ?? false
  sending++
  try {
    accept(await backend.send({ do: "setup", setup: given }))
    tell("refused", "")
    if (running) await go()
    return true
  } catch (error) {
    if (error.gone) return false
    if (mayNeedLoss && error.knob === "loss") {
      turn("loss", "auto")
      return false
    }
    putBack(given, error.knob)
    controls.wrong(error.knob, error.message)
    tell("refused", error.message)
    const isSeen = $("refused").getBoundingClientRect().top >= $("bar").getBoundingClientRect().bottom
    if (!isSeen) $(`knob-${error.knob}-wrong`)?.scrollIntoView({ block: "nearest" })
    return false
  } finally {
    sending--
  }
}

// What was refused is wanted no longer, else it would be sent with each knob that is turned next. Its field keeps it,
// with what is wrong, and knobs that were turned since keep theirs.
function putBack(given, knob) {
  const now = wanted ?? setup
  wanted = Object.fromEntries(Object.keys(setup).map((name) => [name, now[name] === given[name] ? setup[name] : now[name]]))
  controls.set(knob in given && now[knob] === given[knob] ? { ...wanted, [knob]: given[knob] } : wanted)
}

function drawPoint(points) {
  turn("points", points)
}

const round = (x) => Math.round(x * 1000) / 1000

let asked = Promise.resolve()

function seek() {
  const to = $("seek").valueAsNumber
  const first = seeking === null
  seeking = to
  if (!first) return
  // one request at a time: the newest wish, whatever was wished in between
  asked = asked.then(async () => {
    while (seeking !== null) {
      const wish = seeking
      await command({ do: "seek", to: wish })
      if (seeking === wish) seeking = null
    }
  })
}

function arriveByLink() {
  let found
  try {
    found = setupIn(backend.hello.knobs, location.hash)
  } catch (error) {
    tell("refused", `The link cannot be read: ${error.message}`)
    return
  }
  if (found && location.hash.slice(1) !== addressNow()) {
    send(found.setup).then((fine) => fine && found.at > 0 && command({ do: "run", until: found.at }))
  }
}

const addressNow = () => addressOf(backend.hello.knobs, setup, frame?.step ?? 0)

// What the backend says of a setup

function accept(told) {
  setup = told.setup
  if (!resting) wanted = setup // else a knob has been turned since, and is still to be sent
  data = told.data
  network = told.network
  run = told.run
  frame = null
  chosen = null
  picture.values = null
  controls.set(wanted)
  ground.data = data
  ground.chosen = null
  ground.frame = null
  ground.drawing = setup.data === "points" ? { task: setup.task } : null
  picture.set(network, data)
  $("network-says").textContent = `${network.inputs.length} ${network.inputs.length === 1 ? "input" : "inputs"}, ${network.layers
    .map((layer) => layer.units)
    .join(", ")} units; ${plural(network.params, "parameter")}`
  $("ground-says").textContent = data.says ?? ""
  $("ground").setAttribute("aria-label", groundLabel())
  showNumbers(picture.selected)
  layerBoxes()
  legend()
  putAddress()
  if (early?.run === run) arrived(early)
  early = null
  redraw()
}

let run = 0

function groundLabel() {
  const kinds = data.classes ? `${data.classes.length} classes` : `numbers from ${short(data.range[0])} to ${short(data.range[1])}`
  const tests = data.test.reduce((sum, each) => sum + each, 0)
  return `What the network says at each place: ${data.names[0]} to the right, ${data.names[1]} upwards, ${plural(data.t.length - tests, "training point")} and ${plural(tests, "test point")}, ${kinds}`
}

function putAddress() {
  const text = `#${addressNow()}`
  if (location.hash !== text) history.replaceState(null, "", text)
}

// Frames

let early = null // a frame of a setup whose reply is still on its way
let sending = 0

function arrived(next) {
  if (next.run !== run) {
    if (next.run < run) return
    early = next
    if (!sending) adopt()
    return
  }
  const before = frame
  frame = next
  if (!next.running) putAddress()
  if (!before || before.running !== next.running || Date.now() - saidAt > CALM) announce()
  ground.frame = picture.frame = frame
  if (chosen !== null && !next.running && (before?.step !== next.step || before?.run !== next.run)) look()
  redraw()
}

// Another page of the same playground has changed the setup: this one follows.
async function adopt() {
  sending++
  try {
    accept(await backend.again())
  } catch {
    // the server is gone, and the backend says so
  } finally {
    sending--
  }
}

function state(what, text) {
  gone = what !== "back"
  tell("gone", what === "replaced" ? `${text} #${addressNow()}` : gone ? text : "")
  redraw()
  if (gone) return
  live(text)
  recover()
}

// A server that has begun anew does not have this page's run: it gets the setup again, and goes to the step.
async function recover() {
  try {
    const at = frame?.step ?? 0
    const was = frame?.running ?? false
    sending++
    const hello = await backend.again()
    if (hello.run === run || !(await send(setup))) return
    if (was) await go()
    else if (at > 0) await command({ do: "run", until: at })
  } catch {
    // it is gone again, and the backend says so
  } finally {
    sending--
  }
}

function redraw() {
  if (due) return
  due = true
  requestAnimationFrame(() => {
    due = false
    if (calm.matches && frame?.running && performance.now() - lastDrawn < 500) {
      setTimeout(redraw, 250) // calmer: twice a second
      return
    }
    lastDrawn = performance.now()
    ground.draw()
    picture.draw()
    if (frame) show()
  })
}

function show() {
  const { step, epoch, in_epoch, steps_a_epoch, last, speed } = frame
  const running = frame.running && !gone // what nobody hears of cannot be paused
  const button = $("run")
  if (button.getAttribute("aria-pressed") !== String(running)) {
    button.setAttribute("aria-pressed", String(running))
    $("run-word").textContent = running ? "Pause" : "Run"
  }
  const slider = $("seek")
  slider.max = String(Math.max(last, step))
  if (seeking === null) slider.value = String(step)
  slider.setAttribute("aria-valuetext", `step ${step} of ${last}`)
  const within = in_epoch ? ` + ${in_epoch}/${steps_a_epoch}` : ""
  $("where").replaceChildren(
    make("b", {}, whole(step)), ` of ${whole(last)}, epoch `, make("b", {}, whole(epoch)), within,
    running ? `, ${whole(speed)} steps/s` : "",
  ) // prettier-ignore
  tell("stopped", frame.stopped?.text ?? "")
  phase()
  advice()
  if (running && performance.now() - lastCharts < LESS_OFTEN) return
  lastCharts = performance.now()
  measures()
  curves()
  histograms()
  refreshNumbers()
}

let lastCharts = 0

function measures() {
  const { loss, metric, learning_rate } = frame
  const form = metric?.name === "accuracy" ? percent : short
  const name = metric?.name === "accuracy" ? "accuracy" : "R\u00b2"
  const said = (value, how = short) => (value === null ? "not finite" : how(value))
  const tests = data.test.includes(1)
  const items = [
    [said(loss.train), "training loss", exact(loss.train)],
    ...(tests ? [[said(loss.test), "test loss", exact(loss.test)]] : []),
    ...(metric ? [[said(metric.train, form), `training ${name}`, exact(metric.train)]] : []),
    ...(metric && tests ? [[said(metric.test, form), `test ${name}`, exact(metric.test)]] : []),
    [short(learning_rate), "learning rate", exact(learning_rate)],
  ] // prettier-ignore
  const box = $("measures")
  if (box.children.length !== items.length) {
    box.replaceChildren(...items.map(() => make("div", {}, make("b"), make("small"))))
  }
  items.forEach(([value, label, all], i) => {
    const item = box.children[i]
    item.firstChild.textContent = value
    item.lastChild.textContent = label
    item.title = all
  })
}

function curves() {
  const { curves: c, step, metric } = frame
  const solid = (values, colour = "ink") => ({ values, colour })
  const dashed = (values) => ({ values, colour: "ink", dash: [5, 4] })
  const log = drawCurves($("loss-chart"), c.step, [solid(c.train), dashed(c.test)], step, { from: 0 })
  $("loss-scale").textContent = log ? "(logarithmic)" : ""
  const accuracy = metric?.name === "accuracy"
  $("metric-name").textContent = accuracy ? "Accuracy" : "R\u00b2"
  $("metric-word").textContent = accuracy ? "accuracy" : "R\u00b2"
  for (const each of document.querySelectorAll(".empty")) each.hidden = c.step.length > 1
  drawCurves($("metric-chart"), c.step, [solid(c.metric_train), dashed(c.metric_test)], step, accuracy ? { from: 0, to: 1, mayLog: false } : { to: 1, mayLog: false })
  drawCurves($("rate-chart"), c.step, [solid(c.learning_rate, "accent")], step, { from: 0 })
  drawCurves($("gradient-chart"), c.step, [solid(c.gradient_norm, "accent")], step, { from: 0 })
  if (!frame.running) {
    const ends = (values) => `${short(values[0])} at step 0, ${short(values[values.length - 1])} at step ${c.step[c.step.length - 1]}`
    $("loss-chart").setAttribute("aria-label", `Loss of the training points: ${ends(c.train)}. Of the test points: ${ends(c.test)}`)
    $("metric-chart").setAttribute("aria-label", `${$("metric-name").textContent} of the training points: ${ends(c.metric_train)}. Of the test points: ${ends(c.metric_test)}`)
    $("rate-chart").setAttribute("aria-label", `Learning rate: ${ends(c.learning_rate)}`)
    $("gradient-chart").setAttribute("aria-label", `Length of the gradient: ${ends(c.gradient_norm)}`)
  }
}

let boxes = []

function layerBoxes() {
  boxes = network.layers.map((layer) => {
    const title = make("h3")
    const weights = make("canvas", { role: "img" })
    const gradients = make("canvas", { role: "img" })
    const two = make(
      "div", { class: "two" },
      make("figure", {}, make("figcaption", {}, "weights"), weights),
      make("figure", {}, make("figcaption", {}, "gradients"), gradients),
    ) // prettier-ignore
    return { layer, title, weights, gradients, element: make("div", {}, title, two) }
  })
  $("layers").replaceChildren(...boxes.map((box) => box.element))
}

function histograms() {
  boxes.forEach((box, k) => {
    const found = frame.histograms?.[k]
    if (!found) return
    const dead = frame.dead?.[k] ?? []
    const title = k === boxes.length - 1 ? "Output" : `Hidden layer ${k + 1}`
    const said = dead.length ? `: dead: ${dead.map((j) => j + 1).join(", ")}` : ""
    box.title.textContent = `${title} (${box.layer.name})${said}`
    drawHistogram(box.weights, found.weights, "ink")
    drawHistogram(box.gradients, found.gradients, "accent")
    if (!frame.running) {
      box.weights.setAttribute("aria-label", `Weights of ${box.layer.name}, none beyond ${short(found.weights.high)}`)
      box.gradients.setAttribute("aria-label", `Gradients of ${box.layer.name}, none beyond ${short(found.gradients.high)}`)
    }
  })
}

const PHASES = {
  forward: (now) => `Forward: the batch of ${plural(now.rows.length, "point")} that comes next (ringed) has gone through the network. Its loss is ${short(now.loss)}. Below the units are their values for the first point. Backward comes next.`,
  backward: (now) => `Backward: the gradients of the loss, ${short(now.loss)}, with respect to all weights are known. Batch makes the step.`,
  sample: (now) => `Sample ${now.sample + 1} of ${now.rows.length} of the batch: its loss is ${short(now.loss)}. The gradients are those of the samples so far. ${now.sample + 1 < now.rows.length ? "Sample goes on to the next." : "Sample now makes the step."}`,
} // prettier-ignore

function phase() {
  const { now, edited } = frame
  const said = [now ? PHASES[now.phase](now) : "", edited ? "A weight has been set by hand. Turning a knob begins anew without that." : ""]
  tell("phase", said.filter(Boolean).join(" "))
}

let advised = ""

function advice() {
  const key = JSON.stringify(frame.advice ?? [])
  if (key === advised) return
  advised = key
  $("advice").replaceChildren(...(frame.advice ?? []).map(({ title, text }) => make("p", {}, make("b", {}, `${title[0].toUpperCase()}${title.slice(1)}. `), text)))
}

// Words for who does not see the picture, at a calm pace.
function announce() {
  saidAt = Date.now()
  const { step, epoch, loss, metric, running } = frame
  const test = loss.test === null ? "" : `, test loss ${short(loss.test)}`
  const score = metric?.name === "accuracy" ? `, training accuracy ${percent(metric.train)}` : ""
  live(`${running ? "Running. " : ""}Step ${whole(step)}, epoch ${whole(epoch)}: training loss ${short(loss.train)}${test}${score}.`)
}

function live(text) {
  $("live").textContent = text
}

function tell(id, text) {
  const element = $(id)
  if (element.textContent !== text) element.textContent = text
  element.hidden = !text
}

// The numbers of a unit

function showNumbers(selected) {
  const box = $("numbers")
  box.hidden = !selected || selected[0] < 0
  if (box.hidden) {
    box.replaceChildren()
    return
  }
  const [layer, unit] = selected
  const from = layer === 0 ? network.inputs : Array.from({ length: network.layers[layer - 1].units }, (_, i) => `unit ${i + 1}`)
  const edits = backend.hello.capabilities.includes("edit")
  const row = (name, part, at) => {
    const cell = edits
      ? make("input", { type: "text", inputmode: "decimal", "aria-label": `Weight from ${name}`, "data-part": part, "data-at": at.join(",") })
      : make("span", { "data-part": part, "data-at": at.join(",") })
    if (part === "b" && edits) cell.setAttribute("aria-label", "Bias")
    if (edits) cell.addEventListener("change", () => edit(layer, part, at, cell))
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, cell), make("td", { "data-slope": part, "data-at": at.join(",") }))
  }
  const head = make("tr", {}, ...["from", "weight", "gradient"].map((text) => make("th", { scope: "col" }, text)))
  const rows = [...from.map((name, i) => row(name, "W", [i, unit])), row("bias", "b", [unit])]
  box.replaceChildren(
    make("h3", {}, picture.name(layer, unit)),
    make("p", { class: "sub" }, `${network.layers[layer].says}${edits ? ". A weight can be set; the run goes on from there." : ""}`),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of the unit" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))),
  )
  refreshNumbers()
}

function refreshNumbers() {
  const box = $("numbers")
  if (box.hidden || !frame || !picture.selected) return
  const found = frame.layers[picture.selected[0]]
  if (!found) return
  const of = (part, at) => {
    const place = at.split(",").map(Number)
    return part.endsWith("W") ? found[part][place[0] * found.n_out + place[1]] : found[part][place[0]]
  }
  for (const cell of box.querySelectorAll("[data-part]")) {
    const text = String(of(cell.dataset.part, cell.dataset.at))
    if (cell.tagName !== "INPUT") cell.textContent = text
    else if (cell !== document.activeElement && cell.value !== text) cell.value = text
  }
  for (const cell of box.querySelectorAll("[data-slope]")) cell.textContent = exact(of(`d${cell.dataset.slope}`, cell.dataset.at))
}

async function edit(layer, part, at, cell) {
  const value = Number(cell.value.replace("\u2212", "-"))
  if (cell.value.trim() === "" || !Number.isFinite(value)) {
    tell("refused", `A weight is a number from -1000000 to 1000000, such as -0.5; got '${cell.value}'`)
    return
  }
  await command({ do: "weight", layer: network.layers[layer].name, part, at, value })
}

async function choose(row) {
  chosen = row
  ground.chosen = row
  await look()
  redraw()
}

async function look() {
  const found = await command({ do: "look", row: chosen })
  if (!found || chosen === null) return
  picture.values = found
  const t = data.classes ? `${data.target} ${data.classes[data.t[chosen]]}` : `${data.target} ${short(data.t[chosen])}`
  $("reading").textContent =
    `Point ${chosen + 1} (${data.test[chosen] ? "test" : "training"}), ${t}: output ${found.output.map(short).join(", ")}, loss ${short(found.loss)}`
  redraw()
}

// The legend of the large picture

function legend() {
  const items = []
  const { classes, range } = data
  if (classes) {
    classes.forEach((name, k) => {
      const canvas = make("canvas", { "aria-hidden": "true" })
      items.push(make("span", {}, canvas, `${data.target} ${name}`))
      requestAnimationFrame(() => {
        const context = sharp(canvas, 16, 16)
        mark(context, k, 8, 8, 5)
        context.fillStyle = css(ofClass(k, classes.length))
        context.fill()
      })
    })
  } else {
    const canvas = make("canvas", { class: "scale", "aria-hidden": "true" })
    items.push(make("span", {}, short(range[0]), canvas, `${short(range[1])} ${data.target}`))
    requestAnimationFrame(() => {
      const context = sharp(canvas, 130, 12)
      const { table } = colours()
      for (let i = 0; i < 130; i++) {
        const at = 3 * Math.round((255 * i) / 129)
        context.fillStyle = css([table[at], table[at + 1], table[at + 2]])
        context.fillRect(i, 0, 1.5, 12)
      }
    })
  }
  items.push(make("span", {}, classes ? "filled: training, hollow: test" : "circle: training, diamond: test"))
  $("legend").replaceChildren(...items)
}

// What can be taken away

const EXPORTS = {
  link: { label: "Copy the link", needs: "link" },
  python: { label: "Python script", needs: "python" },
  explanation: { label: "Explain this step", needs: "explanation" },
  model: { label: "Model", needs: "model" },
  png: { label: "Picture (PNG)", needs: "picture" },
  svg: { label: "Network (SVG)", needs: "svg" },
}

async function take(id) {
  const box = $("taken")
  const copy = (text) => navigator.clipboard.writeText(text).then(() => true, () => false) // prettier-ignore
  const copying = (text) => make("button", { type: "button", class: "small", onclick: async (event) => {
    event.target.textContent = (await copy(text)) ? "Copied" : "Copying is not allowed here"
  } }, "Copy") // prettier-ignore
  if (id === "link") {
    putAddress()
    const text = `#${addressNow()}`
    const done = await copy(location.href)
    box.replaceChildren(
      ...(frame?.edited ? [make("p", {}, "Weights that were set by hand are not in the link.")] : []),
      make("p", {}, done ? "The link is copied. It holds the whole setup and the step:" : "The link holds the whole setup and the step:"),
      make("pre", { tabindex: "0" }, backend.hello.capabilities.includes("server") ? text : location.href),
      ...(backend.hello.capabilities.includes("server") ? [make("p", { class: "sub" }, "The part behind # works in any playground; the address before it, and its token, are of this one alone.")] : []),
    )
    return
  }
  if (id === "png") {
    const canvas = $("ground")
    box.replaceChildren(make("p", {}, make("a", { href: canvas.toDataURL("image/png"), download: "playground.png" }, "Download playground.png")))
    return
  }
  box.textContent = "Making it..."
  const found = await command({ do: "export", what: id })
  if (!found) {
    box.textContent = ""
    return
  }
  const bytes = found.text ?? Uint8Array.from(atob(found.base64), (c) => c.charCodeAt(0))
  const url = URL.createObjectURL(new Blob([bytes], { type: found.type }))
  const parts = [make("a", { href: url, download: found.name }, `Download ${found.name}`)]
  if (found.url) parts.unshift(make("a", { href: found.url, target: "_blank", rel: "noopener noreferrer" }, "Open the explanation of this step"), " ")
  box.replaceChildren(make("p", {}, ...parts.flatMap((part) => [part, " "])))
  if (id === "python") box.append(copying(found.text), make("pre", { tabindex: "0" }, found.text))
}
