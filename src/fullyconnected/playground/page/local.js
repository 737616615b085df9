/*
 * The backend of the playground that trains in the browser: see protocol.md. A worker trains; where there is none,
 * such as under Node, the main thread does, in slices that let it answer.
 */
import { KNOBS, LIBRARY } from "./knobs.js"
import { CAPABILITIES, Session } from "./local_session.js"

class Local {
  // `described` is what the session says of the setup that it begins with.
  constructor(described) {
    const capabilities = CAPABILITIES
    this.hello = { protocol: 1, version: LIBRARY, capabilities, columns: [], knobs: KNOBS, at: 0, ...described }
    this.onframe = this.onstate = () => {}
  }

  // The hello as it would be now.
  async again() {
    return { ...this.hello, ...(await this.send({ do: "again" })) }
  }

  // Throw the error of an answer, or return its reply.
  taken({ reply, error }) {
    if (error === undefined) return reply
    throw Object.assign(new Error(error.message), { knob: error.knob ?? null })
  }
}

// Trains in this thread.
class Here extends Local {
  constructor() {
    const session = new Session(KNOBS, (frame) => this.onframe(frame))
    super(session.described())
    this.session = session
  }

  async send(command) {
    return this.taken(this.session.answer(command))
  }

  show(visible) {
    this.session.show(visible)
  }

  close() {
    this.session.close()
  }
}

// Trains in a worker.
class Beside extends Local {
  constructor(worker, described) {
    super(described)
    this.worker = worker
    this.waiting = new Map() // the commands that are not answered yet, by number
    this.sent = 0
    worker.onmessage = ({ data }) => {
      if ("frame" in data) return this.onframe(data.frame)
      this.waiting.get(data.id)(data)
      this.waiting.delete(data.id)
    }
    worker.onerror = (event) => {
      this.onstate("lost", `The training has stopped: ${event.message}. Load the page again.`)
    }
  }

  async send(command) {
    const id = (this.sent += 1)
    const answer = new Promise((resolve) => this.waiting.set(id, resolve))
    this.worker.postMessage({ id, command })
    return this.taken(await answer)
  }

  show(visible) {
    this.worker.postMessage({ visible })
  }

  close() {
    this.worker.terminate()
  }
}

// Return the backend of a worker once it has said what it begins with, or null where there can be none.
function started() {
  if (typeof Worker === "undefined") return null
  return new Promise((resolve) => {
    const worker = new Worker(new URL("./local_worker.js", import.meta.url), { type: "module" })
    worker.onmessage = ({ data }) => resolve(new Beside(worker, data.described))
    worker.onerror = () => resolve(null) // a policy may forbid it
  })
}

export async function connect() {
  return (await started()) ?? new Here()
}
