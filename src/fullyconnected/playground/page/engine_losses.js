/*
 * The losses: those of the formulas, and those that mix the entries of a row, or take care of digits that the formula
 * would lose. Each gives the mean of the loss over the rows, and writes its gradient into dz: z are outputs (rows,
 * k), share is 1 / rows. Targets are numbers (rows, k), or class numbers (rows).
 */
import { LOSSES as FORMULAS } from "./engine_formulas.js"

const BY_HAND = {
  binary_cross_entropy: {
    settings: {},
    // With q = exp(-|z|), the value is log(1 + q) + ([z >= 0] - t) z and the slope [z >= 0] - t -+ q / (1 + q)
    value(z, t, dz, n, k, share, s) {
      let sum = 0
      for (let i = 0; i < n; i++) {
        const q = Math.exp(-Math.abs(z[i]))
        const side = (z[i] >= 0 ? 1 : 0) - t[i]
        const rest = q / (1 + q)
        sum += Math.log1p(q) + side * z[i]
        dz[i] = share * (z[i] >= 0 ? side - rest : side + rest)
      }
      return share * sum
    },
  },
  softmax_cross_entropy: {
    settings: {},
    classes: true,
    // 1 - p of the right class is the sum of the other p, so that nothing near 1 is subtracted from 1
    value(z, t, dz, n, k, share, s) {
      let sum = 0
      for (let start = 0, row = 0; start < n; start += k, row++) {
        let most = z[start]
        for (let j = 1; j < k; j++) most = Math.max(most, z[start + j])
        const right = start + t[row]
        let all = 0,
          others = 0
        for (let i = start; i < start + k; i++) {
          dz[i] = Math.exp(z[i] - most)
          all += dz[i]
        }
        for (let i = start; i < start + k; i++) {
          if (i === right) continue
          others += dz[i]
          dz[i] *= share / all
        }
        // all is 1 for the largest logit, and what is above 1: others, and exp(picked) - 1 of the right class
        const picked = z[right] - most
        sum += Math.log1p(Math.expm1(picked) + others) - picked
        dz[right] = (-others / all) * share
      }
      return share * sum
    },
  },
  hinge: {
    settings: {},
    classes: true,
    value(z, t, dz, n, k, share, s) {
      let sum = 0
      for (let start = 0, row = 0; start < n; start += k, row++) {
        const right = start + t[row]
        let within = 0
        for (let i = start; i < start + k; i++) {
          const margin = i === right ? 0 : Math.max(z[i] - z[right] + 1, 0)
          sum += margin
          dz[i] = margin > 0 ? share : 0
          within += margin > 0 ? 1 : 0
          if (Number.isNaN(margin)) dz[i] = margin
        }
        dz[right] = -within * share
      }
      return share * sum
    },
  },
}

export const LOSSES = { ...FORMULAS, ...BY_HAND }
