// Runs a session beside the page: commands come as {id, command}, and what is said goes as {id, reply} and {frame}.
import { KNOBS } from "./knobs.js"
import { Session } from "./local_session.js"

const session = new Session(KNOBS, (frame) => postMessage({ frame }))
onmessage = ({ data }) => {
  if ("visible" in data) session.show(data.visible)
  else postMessage({ id: data.id, ...session.answer(data.command) })
}
postMessage({ described: session.described() })
