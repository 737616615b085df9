// What a page may ask of a session, as fullyconnected/playing/commands.py: each command with what it takes.

import { inputsOf } from "./local_data.js"
import { modelOf } from "./local_model.js"
import { scriptOf } from "./local_script.js"
import { setupOf } from "./local_setup.js"

const EXPORTS = { model: modelOf, python: scriptOf }
const STEPS = ["sample", "forward", "backward", "batch", "epoch"]

export const COMMANDS = {
  setup(session, { setup }) {
    session.begin(setupOf(setup, session.knobs))
    session.publish()
    return session.described()
  },
  run(session, { until = null, pace = null }) {
    if (pace !== null && !(pace > 0 && Number.isFinite(pace))) throw new Error(`pace is how many steps a second are made at most, a number above 0; got ${pace}`)
    session.start(until === null ? null : whole("until", until), pace)
    return {}
  },
  pause(session) {
    session.pause()
    return { step: session.trainer.step }
  },
  step(session, { what = "batch" }) {
    if (!STEPS.includes(what)) throw new Error(`a step is one of ${STEPS.join(", ")}; got ${what}`)
    const { trainer, view } = session,
      { step, steps } = trainer
    session.pause()
    session.stopped = null
    if (what === "forward" || what === "backward") {
      session.sample = null
      session.now = view[what]()
    } else if (what === "sample") {
      session.nextSample()
    } else {
      session.reach(what === "batch" ? step + 1 : (Math.floor(step / steps) + 1) * steps)
    }
    session.publish()
    return { step: trainer.step }
  },
  seek(session, { to }) {
    session.seek(whole("to", to))
    return { step: session.trainer.step }
  },
  look(session, { row = null, x = null }) {
    const { made, setup, view } = session,
      { t } = made.data,
      nIn = setup.features.length
    if (row !== null) {
      if (!Number.isInteger(row) || row < 0 || row >= t.length)
        throw new Error(`row is the number of a point, a whole number from 0 to ${t.length - 1}; got ${row}`)
      return view.look(made.rows.subarray(row * nIn, (row + 1) * nIn), t[row])
    }
    if (!Array.isArray(x) || x.length !== 2 || !x.every((each) => Number.isFinite(each) && Math.abs(each) <= 1e6)) {
      throw new Error(`x is a place in the picture, two numbers from -1000000 to 1000000; got ${JSON.stringify(x)}`)
    }
    return view.look(inputsOf(setup.features, [x[0]], [x[1]]), null)
  },
  weight(session, given) {
    session.setWeight(given)
    return {}
  },
  export(session, { what }) {
    if (!Object.hasOwn(EXPORTS, what)) {
      throw new Error(
        `what can be taken away here is ${Object.keys(EXPORTS).join(" and ")}; for ${what}, use fullyconnected playground`,
      )
    }
    return EXPORTS[what](session)
  },
  data(session) {
    return { data: session.described().data }
  },
  again(session) {
    return session.described()
  },
}

function whole(name, value) {
  if (!Number.isInteger(value) || value < 0 || value > 1e9)
    throw new Error(`${name} is the step to go to, a whole number from 0 to 1000000000; got ${value}`)
  return value
}
