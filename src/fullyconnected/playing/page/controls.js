// The controls: one for each knob of the backend's table, with its label, what it does, and what is wrong with its value.

import { make } from "./words.js"

const GROUPS = { data: "Data", network: "Network", training: "Training" }
const SLIDER = 1000 // positions of a slider whose scale is logarithmic

const toSlider = (knob, value) => {
  const least = knob.least > 0 ? knob.least : 1e-3
  return Math.round((SLIDER * Math.log(Math.max(value, least) / least)) / Math.log(knob.most / least))
}
const fromSlider = (knob, at) => {
  const least = knob.least > 0 ? knob.least : 1e-3
  const value = least * (knob.most / least) ** (at / SLIDER)
  return Number(value.toPrecision(2))
}

export class Controls {
  // change(name, value): a knob was turned; hello: what the backend has said
  constructor(form, hello, change) {
    this.form = form
    this.hello = hello
    this.change = change
    this.rows = new Map()
    form.addEventListener("submit", (event) => event.preventDefault())
    for (const [group, title] of Object.entries(GROUPS)) {
      const box = make("details", { class: "group", open: true }, make("summary", {}, make("h2", {}, title)))
      for (const knob of hello.knobs.filter((each) => each.group === group && this.can(each.needs))) {
        const row = this.row(knob)
        this.rows.set(knob.name, row)
        box.append(row.element)
      }
      form.append(box)
    }
  }

  can(word) {
    return !word || this.hello.capabilities.includes(word)
  }

  row(knob) {
    const id = `knob-${knob.name}`
    const says = make("p", { class: "says", id: `${id}-says` }, knob.says)
    const wrong = make("p", { class: "wrong", id: `${id}-wrong`, hidden: true })
    const row = { knob, says, wrong, inputs: [], set: () => {} }
    const kinds = {
      choice: () => this.choice(knob, row, id), choices: () => this.choices(knob, row, id),
      integer: () => this.number(knob, row, id), number: () => this.number(knob, row, id),
      text: () => this.text(knob, row, id), flag: () => this.flag(knob, row, id),
      widths: () => this.widths(knob, row, id), points: () => this.points(knob, row, id),
    } // prettier-ignore
    row.element = make("div", { class: `knob ${knob.kind}`, "data-knob": knob.name }, ...kinds[knob.kind](), says, wrong)
    for (const input of row.inputs) input.setAttribute("aria-describedby", `${id}-says ${id}-wrong`)
    return row
  }

  turn(knob, value) {
    this.change(knob.name, value)
  }

  choice(knob, row, id) {
    const select = make("select", { id, onchange: () => this.turn(knob, select.value) })
    for (const { value, label, needs } of knob.choices) {
      if (this.can(needs)) select.append(make("option", { value }, label))
    }
    row.inputs = [select]
    row.set = (value) => {
      select.value = value
      const said = knob.choices.find((choice) => choice.value === value)?.says
      row.says.textContent = said ? `${knob.says} ${said}` : knob.says
    }
    return [make("label", { for: id }, knob.label), select]
  }

  choices(knob, row, id) {
    const boxes = knob.choices.map(({ value, label, says }) => {
      const input = make("input", { type: "checkbox", value, id: `${id}-${value}`, title: says })
      input.addEventListener("change", () => {
        const chosen = row.inputs.filter((each) => each.checked).map((each) => each.value)
        if (chosen.length) this.turn(knob, chosen)
        else input.checked = true // one at least
      })
      return input
    })
    row.inputs = boxes
    row.set = (value) => boxes.forEach((box) => (box.checked = value.includes(box.value)))
    const labels = boxes.map((box, i) => make("label", { class: "chip" }, box, make("span", {}, knob.choices[i].label)))
    return [make("fieldset", {}, make("legend", {}, knob.label), make("div", { class: "chips" }, ...labels))]
  }

  number(knob, row, id) {
    const log = knob.scale === "log"
    const seeds = knob.most > 1e9
    const input = make("input", { type: "number", id, min: knob.least, max: knob.most, step: "any", inputmode: "decimal" })
    if (knob.kind === "integer") input.step = 1
    const commit = () => {
      if (input.value !== "" && Number.isFinite(input.valueAsNumber)) this.turn(knob, input.valueAsNumber)
      else input.value = row.value
    }
    input.addEventListener("change", commit)
    const parts = [make("label", { for: id }, knob.label), input]
    row.inputs = [input]
    let slider = null
    if (!seeds) {
      slider = make("input", { type: "range", "aria-label": `${knob.label}, slider` })
      if (log) Object.assign(slider, { min: 0, max: SLIDER, step: 1 })
      else Object.assign(slider, { min: knob.least, max: knob.most > 500 ? 20 : knob.most, step: knob.step ?? 0.01 })
      slider.addEventListener("input", () => {
        const raw = log ? fromSlider(knob, slider.valueAsNumber) : slider.valueAsNumber
        const value = knob.kind === "integer" ? Math.round(raw) : Number(raw.toPrecision(6))
        input.value = value
        this.turn(knob, Math.min(knob.most, Math.max(knob.least, value)))
      })
      row.inputs.push(slider)
      parts.splice(1, 0, slider)
    } else {
      const other = make("button", { type: "button", class: "small", onclick: () => this.turn(knob, row.value + 1) }, "Another")
      other.setAttribute("aria-label", `Another ${knob.label.toLowerCase()}`)
      parts.push(other)
    }
    row.set = (value) => {
      row.value = value
      input.value = String(value)
      if (!slider) return
      slider.value = log ? toSlider(knob, value) : value
      if (log) slider.setAttribute("aria-valuetext", String(value))
    }
    return parts
  }

  text(knob, row, id) {
    const names = this.hello.columns ?? []
    if (knob.name === "target" && names.length) return this.pick(knob, row, id, names, "the last column")
    if (knob.name === "columns" && names.length) return this.pair(knob, row, id, names)
    const input = make("input", { type: "text", id, maxlength: knob.most, spellcheck: "false", autocomplete: "off" })
    input.addEventListener("change", () => this.turn(knob, input.value))
    row.inputs = [input]
    row.set = (value) => (input.value = value)
    return [make("label", { for: id }, knob.label), input]
  }

  pick(knob, row, id, names, none) {
    const select = make("select", { id, onchange: () => this.turn(knob, select.value) })
    select.append(make("option", { value: "" }, none), ...names.map((name) => make("option", { value: name }, name)))
    row.inputs = [select]
    row.set = (value) => (select.value = value)
    return [make("label", { for: id }, knob.label), select]
  }

  // Two columns, or all: the first select says which.
  pair(knob, row, id, names) {
    const selects = [0, 1].map((k) => make("select", { id: k ? `${id}-2` : id, "aria-label": k ? "Second column" : null }))
    selects[0].append(make("option", { value: "" }, "all, on a plane"))
    for (const select of selects) select.append(...names.map((name) => make("option", { value: name }, name)))
    const commit = () => {
      const [one, other] = selects.map((each) => each.value)
      if (!one) this.turn(knob, "")
      else if (one === other) this.turn(knob, `${one},${names.find((name) => name !== one)}`)
      else this.turn(knob, `${one},${other}`)
    }
    for (const select of selects) select.addEventListener("change", commit)
    row.inputs = selects
    row.set = (value) => {
      const [one, other] = value.split(",").map((part) => part.trim())
      selects[0].value = one ?? ""
      selects[1].value = other ?? names[1] ?? names[0]
      selects[1].hidden = !one
    }
    return [make("label", { for: id }, knob.label), ...selects]
  }

  flag(knob, row, id) {
    const input = make("input", { type: "checkbox", id, onchange: () => this.turn(knob, input.checked) })
    row.inputs = [input]
    row.set = (value) => (input.checked = value)
    return [make("label", { for: id }, knob.label), input]
  }

  widths(knob, row, id) {
    const list = make("div", { class: "widths" })
    const button = (text, label, run) => {
      const found = make("button", { type: "button", class: "small", onclick: run }, text)
      if (label) found.setAttribute("aria-label", label)
      return found
    }
    const more = button("Add a layer", null, () => this.turn(knob, [...row.value, row.value.at(-1) ?? 4]))
    const less = button("Remove the last", null, () => this.turn(knob, row.value.slice(0, -1)))
    row.inputs = [more, less]
    const width = (k, units) => {
      const next = [...row.value]
      next[k] = Math.min(knob.most, Math.max(knob.least, units))
      this.turn(knob, next)
    }
    row.set = (value) => {
      row.value = value
      less.disabled = value.length === 0
      more.disabled = value.length >= 8
      // keep the elements that are there, so that the focus stays where it is
      while (list.children.length > value.length) list.lastChild.remove()
      while (list.children.length < value.length) {
        const k = list.children.length
        const input = make("input", { type: "number", min: knob.least, max: knob.most, step: 1 })
        input.setAttribute("aria-label", `Units of hidden layer ${k + 1}`)
        input.setAttribute("aria-describedby", `${id}-says ${id}-wrong`)
        input.addEventListener("change", () => {
          if (Number.isFinite(input.valueAsNumber)) width(k, Math.round(input.valueAsNumber))
          else input.value = row.value[k]
        })
        const minus = button("\u2212", `One unit less in hidden layer ${k + 1}`, () => width(k, row.value[k] - 1))
        const plus = button("+", `One unit more in hidden layer ${k + 1}`, () => width(k, row.value[k] + 1))
        list.append(make("span", { class: "width" }, minus, input, plus))
      }
      value.forEach((units, k) => (list.children[k].querySelector("input").value = units))
    }
    return [make("fieldset", {}, make("legend", {}, knob.label), list, make("div", { class: "pair" }, more, less))]
  }

  points(knob, row, id) {
    row.brush = 0
    const brush = make("select", { id: `${id}-brush`, onchange: () => (row.brush = Number(brush.value)) })
    const value = make("input", { type: "number", id: `${id}-value`, step: "any", value: 0 })
    value.addEventListener("change", () => (row.brush = Number.isFinite(value.valueAsNumber) ? value.valueAsNumber : 0))
    for (let k = 0; k < 6; k++) brush.append(make("option", { value: k }, `class ${k}`))
    const undo = make("button", { type: "button", class: "small", onclick: () => this.turn(knob, row.value.slice(0, -1)) }, "Remove the last")
    const clear = make("button", { type: "button", class: "small", onclick: () => this.turn(knob, row.value.slice(0, 2)) }, "Remove all but two")
    const count = make("span", { class: "count" })
    const hint = make(
      "p",
      { class: "hint" },
      "Click into the large picture to set a point, with Shift to remove one. By keys: go there, arrows move, Enter sets, Delete removes, 0 to 5 choose the class.",
    )
    row.inputs = [brush, value, undo, clear]
    row.task = "classification"
    const label = make("label", { for: `${id}-brush` }, "New points")
    row.set = (points) => {
      row.value = points
      count.textContent = `${points.length} points`
      undo.disabled = clear.disabled = points.length <= 2
    }
    row.choose = (k) => {
      row.brush = k
      brush.value = k
    }
    row.show = (task) => {
      row.task = task
      const numbers = task === "regression"
      brush.hidden = numbers
      value.hidden = !numbers
      label.htmlFor = numbers ? value.id : brush.id
      row.brush = numbers ? Number(value.value) : Number(brush.value)
    }
    return [label, brush, value, count, make("div", { class: "pair" }, undo, clear), hint]
  }

  // Show a setup: all values, and the knobs that matter with them.
  set(setup) {
    this.setup = setup
    for (const [name, row] of this.rows) {
      row.set(setup[name])
      row.show?.(setup.task)
      const { when } = row.knob
      const shown = !when || Object.entries(when).every(([other, values]) => values.includes(setup[other]))
      row.element.hidden = !shown
    }
    // spirals and blobs alone have so many classes; points drawn are not made anew by a seed
    this.wrong(null)
  }

  // Say what is wrong with a knob; null: nothing with any.
  wrong(name, message = "") {
    for (const [each, row] of this.rows) {
      const is = each === name
      row.wrong.hidden = !is
      row.wrong.textContent = is ? message : ""
      for (const input of row.inputs) input.toggleAttribute("aria-invalid", is)
      if (!is) continue
      for (const input of row.inputs) input.setAttribute("aria-invalid", "true")
      row.element.closest("details").open = true
    }
  }

  get brush() {
    return this.rows.get("points")
  }
}
