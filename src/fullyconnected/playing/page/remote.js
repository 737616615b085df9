// The backend that asks the library, in the user's Python: frames by Server-Sent Events, commands by POST.

const RETRY = 1000 // ms between two attempts to find a server that is gone
const SILENCE = 6000 // ms without a word after which it is gone: it speaks every two seconds

const GONE = {
  lost: "The playground's server does not answer. This page waits for it; all that it shows stays.",
  replaced:
    "Another playground runs at this port now. Open the address that it has printed; the setup of this page is in its link, whose part behind the address works there too:",
}

const READING = ["export", "look", "data"]

function unpacked(value) {
  if (Array.isArray(value)) return value.map(unpacked)
  if (value === null || typeof value !== "object") return value
  const packed = value.u1 ?? value.f8
  if (typeof packed === "string") {
    const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0))
    return value.u1 === undefined ? new Float64Array(bytes.buffer) : bytes
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unpacked(each)]))
}

class Remote {
  constructor(hello) {
    this.hello = hello
    this.onframe = () => {}
    this.onstate = () => {}
    this.stream = null
    this.timer = 0
    this.gone = null // or how it is: "lost" or "replaced"
    this.visible = true
    this.last = Promise.resolve()
    this.listen()
  }

  listen() {
    this.stop()
    if (!this.visible) return
    const stream = (this.stream = new EventSource("stream"))
    this.wait()
    stream.onmessage = (event) => {
      this.wait()
      if (this.gone) {
        this.gone = null
        this.onstate("back", "The playground is there again.")
      }
      this.onframe(unpacked(JSON.parse(event.data)))
    }
    stream.onopen = () => this.wait()
    stream.onerror = () => this.lost()
  }

  // A proxy or a sleeping machine may leave a stream open that nobody writes to.
  wait() {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.check(), SILENCE)
  }

  async check() {
    try {
      await this.again()
      if (this.gone || this.stream === null || this.stream.readyState === EventSource.CLOSED) this.listen()
      else this.wait()
    } catch (error) {
      this.lost(error.replaced)
    }
  }

  // replaced: whether another server answers in its place, to which this page's token says nothing
  lost(replaced = false) {
    if (!this.visible) return
    this.stop()
    const how = replaced ? "replaced" : "lost"
    if (this.gone !== how) {
      this.gone = how
      this.onstate(how, GONE[how])
    }
    this.timer = setTimeout(() => this.check(), RETRY)
  }

  stop() {
    clearTimeout(this.timer)
    this.stream?.close()
    this.stream = null
  }

  // One command after another, since two requests at once may arrive in any order; but what only reads waits for none.
  send(command) {
    if (READING.includes(command.do)) return this.post(command)
    const done = this.last.then(() => this.post(command))
    this.last = done.catch(() => {})
    return done
  }

  async post(command) {
    let answer
    try {
      answer = await fetch("command", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(command),
      })
    } catch {
      this.lost()
      throw Object.assign(new Error("The playground's server does not answer."), { gone: true })
    }
    if (answer.status === 403) {
      this.lost(true)
      throw Object.assign(new Error(GONE.replaced), { gone: true })
    }
    const told = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }))
    if (!answer.ok) throw Object.assign(new Error(told.error), { knob: told.knob ?? null })
    return unpacked(told)
  }

  // What the server says of itself now.
  async again() {
    const answer = await fetch("hello", { cache: "no-store" })
    if (!answer.ok) throw Object.assign(new Error(`The server answered ${answer.status}.`), { replaced: answer.status === 403 })
    return unpacked(await answer.json())
  }

  show(visible) {
    if (visible === this.visible) return
    this.visible = visible
    if (visible) this.listen()
    else this.stop()
  }

  close() {
    this.visible = false
    this.stop()
  }
}

export async function connect() {
  const answer = await fetch("hello", { cache: "no-store" })
  if (!answer.ok) throw new Error((await answer.text()).trim())
  return new Remote(unpacked(await answer.json()))
}
