// Factors on the learning rate by the epoch, as in schedules.py: functions of the settings that give a function.

export const SCHEDULES = {
  StepDecay:
    ({ factor, every = 1 }) =>
    (epoch) =>
      factor ** Math.floor(epoch / every),
  ExponentialDecay:
    ({ factor }) =>
    (epoch) =>
      factor ** epoch,
  LinearDecay:
    ({ epochs, end = 0 }) =>
    (epoch) =>
      1 + (end - 1) * Math.min(epoch / epochs, 1),
  CosineDecay:
    ({ epochs, end = 0 }) =>
    (epoch) =>
      end + (1 - end) * 0.5 * (1 + Math.cos(Math.PI * Math.min(epoch / epochs, 1))),
  Warmup: ({ epochs, then = null }) => {
    const after = then === null ? () => 1 : schedule(then)
    return (epoch) => (epoch < epochs ? epoch / epochs : after(epoch - epochs))
  },
}

// What the browser does not have, and why.
const PLANNED = "it is a function of the share of planned epochs, and the playground plans none"
export const WITHOUT_SCHEDULES = { FlatCosine: PLANNED, LogCosine: PLANNED, LinearWarmup: PLANNED }

// Return a function of the epoch from {schedule: name, settings}; null for a constant rate.
export function schedule(plain) {
  if (!plain) return null
  const known = SCHEDULES[plain.schedule]
  if (known === undefined) throw new Error(`the browser has no schedule called ${plain.schedule}`)
  return known(plain.settings)
}
