// The network as a file of safetensors, as fullyconnected/files writes it: Network.load reads it.

const ROWS = { W: ({ nIn, nOut }) => [nIn, nOut] }

export function modelOf({ trainer, made }) {
  const { network } = trainer
  const description = {
    version: 2,
    dtype: "float64",
    layers: filled(made.plain.layers, network.operations.values()),
    loss: { loss: made.plain.loss.loss, settings: trainer.lossSettings },
    extras: {},
  }
  const header = { __metadata__: { fullyconnected: JSON.stringify(description) } }
  const parts = []
  let at = 0
  for (const [tensors, vector] of [
    [network.tensors, network.theta],
    [network.statistics, network.state],
  ]) {
    for (const { name, operation, letter, start, stop } of tensors) {
      const shape = ROWS[letter]?.(network.operations[operation]) ?? [stop - start]
      header[name] = { dtype: "F64", shape, data_offsets: [at, (at += 8 * (stop - start))] }
      parts.push(vector.subarray(start, stop))
    }
  }
  const text = JSON.stringify(header),
    head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8))
  const bytes = new Uint8Array(8 + head.length + at),
    view = new DataView(bytes.buffer)
  view.setUint32(0, head.length, true)
  bytes.set(head, 8)
  let place = 8 + head.length
  for (const part of parts) for (const value of part) view.setFloat64((place += 8) - 8, value, true)
  let letters = ""
  for (const byte of bytes) letters += String.fromCharCode(byte)
  return { name: "playground.safetensors", type: "application/octet-stream", base64: btoa(letters) }
}

// Return plain layers with the widths that the network has given them.
function filled(layers, operations) {
  return layers.map(({ layer, settings }) => {
    if (layer === "residual") {
      const inner = filled(settings.layers, operations)
      return { layer, settings: { n_in: operations.next().value.nIn, layers: inner } }
    }
    const op = operations.next().value
    return { layer, settings: layer === "dense" ? settings : { n_in: op.nIn, ...settings } }
  })
}
