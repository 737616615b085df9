// What the playground says beside the curves, as fullyconnected/playing/advice.py: why a run stopped, and overfitting.

const STEPS = 500,
  EPOCHS = 10 // before which nothing is said of what has been learned
const WORSE = 1.2 // how much above its least a test loss is when it has got worse

// Why the run stopped: the step whose numbers are not finite, and what to change.
export function explained(trainer) {
  const { step, rate, layer } = trainer.stopped,
    { l2, ruleSettings, maxGradNorm } = trainer
  const decay = Math.max(l2, ruleSettings.weight_decay ?? 0) * rate,
    short = (value) => Number(value.toPrecision(3))
  const tried = ["a learning rate ten times smaller", ...(maxGradNorm === null ? ["1 for the largest gradient"] : [])]
  const advice =
    decay > 1
      ? `Weight decay multiplies the weights by ${short(1 - decay)} in a step: l2 times the learning rate must be below 1.`
      : `Try ${tried.join(", or ")}.`
  const text =
    `Step ${step} gives numbers that are not finite, at learning rate ${short(rate)}: the first are in ${layer}. ` +
    `The weights are those before that step. ${advice}`
  return { why: "diverged", text }
}

// What the curves show up to a step: as fullyconnected/playing/advice.py says it.
export function overfitting(curves, { step: now, steps }) {
  const seen = curves.step.filter((each) => each <= now).length
  const [test, train, step] = [curves.test, curves.train, curves.step].map((each) => each.slice(0, seen))
  if (now < Math.max(STEPS, EPOCHS * steps) || seen < 10 || !test.every(Number.isFinite)) return []
  const best = test.indexOf(Math.min(...test)),
    short = (value) => Number(value.toPrecision(4))
  if (test.at(-1) < WORSE * test[best] || train.at(-1) > train[best]) return []
  const text =
    `The test loss was least at step ${step[best]}, ${short(test[best])}, and is ${short(test.at(-1))} now, while the ` +
    `training loss went on falling: the network learns the training points by heart. Rewind to that step, or try more ` +
    `points, some l2 or dropout, or fewer units.`
  return [{ title: "overfitting", text }]
}
