/*
 * The random numbers of the library, bit for bit: those of core/randomness.py, which are NumPy's Philox and
 * Generator.
 *
 * Every draw is a function of its purpose: a key (seed, purpose) and a counter (block, index...). A number of 64 bits
 * is held as two halves of 32 bits, so that nothing is allocated while numbers are drawn.
 *
 * Sources: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011; Marsaglia and
 * Tsang, "The ziggurat method for generating random variables", 2000; Lemire, "Fast random integer generation in an
 * interval", 2019; and numpy/random, whose order of draws is kept.
 */
import { NORMAL_FI, NORMAL_INVERSE_R, NORMAL_KI, NORMAL_R, NORMAL_WI } from "./engine_ziggurat.js"

export const INIT = 0,
  SHUFFLE = 1,
  MASK = 2 // the purpose of a draw: the second word of the key

const TWO32 = 2 ** 32

// Return a seed, a whole number from 0 to 2^64 - 1 as a number, a BigInt or decimal text, as two halves.
export function halvesOf(seed) {
  const whole = BigInt(seed)
  if (whole < 0n || whole >= 1n << 64n) throw new RangeError(`the seed is from 0 to 2^64 - 1; got ${seed}`)
  return [Number(whole >> 32n), Number(whole & 0xffffffffn)]
}

// Return the upper half of the product of two numbers of 32 bits; Math.imul gives the lower one.
function upper(a, b) {
  const al = a & 0xffff,
    ah = a >>> 16,
    bl = b & 0xffff,
    bh = b >>> 16
  const middle = ah * bl + ((al * bl) >>> 16) // below 2^32
  const other = al * bh + (middle & 0xffff)
  return ah * bh + Math.floor(middle / 65536) + Math.floor(other / 65536)
}

export class Generator {
  constructor(seed = 0, purpose = 0, ...index) {
    this.counter = new Uint32Array(8) // four words of 64 bits, the lower half of each first
    this.key = new Uint32Array(4)
    this.block = new Uint32Array(8)
    this.kept = 0 // the upper half of a number of which the lower one was drawn
    const [high, low] = halvesOf(seed)
    this.begin(high, low, purpose, index[0] ?? 0, index[1] ?? 0, index[2] ?? 0)
  }

  // Begin another stream, in the same memory: of a seed in halves, a purpose, and an index of whole numbers.
  begin(seedHigh, seedLow, purpose, first = 0, second = 0, third = 0) {
    const { key, counter } = this
    key[0] = seedLow
    key[1] = seedHigh
    key[2] = purpose
    key[3] = 0
    counter[0] = counter[1] = 0 // the position in the stream
    counter[2] = first % TWO32
    counter[3] = Math.floor(first / TWO32)
    counter[4] = second
    counter[5] = 0
    counter[6] = third
    counter[7] = 0
    this.place = 8 // the next half in the block; 8 if there is none left
    this.hasKept = false
  }

  // Compute the next block: Philox 4x64 with ten rounds.
  refill() {
    const { counter, key, block } = this
    for (let i = 0; i < 8; i++) {
      counter[i] += 1 // NumPy counts before it draws
      if (counter[i] !== 0) break
    }
    for (let i = 0; i < 8; i++) block[i] = counter[i]
    let k0 = key[0],
      k1 = key[1],
      k2 = key[2],
      k3 = key[3]
    for (let round = 0; round < 10; round++) {
      if (round > 0) {
        const low = k0 + 0x7f4a7c15 // the key grows by 0x9E3779B97F4A7C15 and 0xBB67AE8584CAA73B
        k1 = (k1 + 0x9e3779b9 + (low >= TWO32 ? 1 : 0)) >>> 0
        k0 = low >>> 0
        const other = k2 + 0x84caa73b
        k3 = (k3 + 0xbb67ae85 + (other >= TWO32 ? 1 : 0)) >>> 0
        k2 = other >>> 0
      }
      // the products of words 0 and 2 with 0xD2E7470EE14C6C93 and 0xCA5A826395121157
      this.multiply(block[0], block[1], 0xe14c6c93, 0xd2e7470e)
      const a0 = this.p0,
        a1 = this.p1,
        a2 = this.p2,
        a3 = this.p3
      this.multiply(block[4], block[5], 0x95121157, 0xca5a8263)
      block[0] = this.p2 ^ block[2] ^ k0
      block[1] = this.p3 ^ block[3] ^ k1
      block[2] = this.p0
      block[3] = this.p1
      block[4] = a2 ^ block[6] ^ k2
      block[5] = a3 ^ block[7] ^ k3
      block[6] = a0
      block[7] = a1
    }
    this.place = 0
  }

  // Write the four halves of the product of two numbers of 64 bits into p0 (the lowest) to p3.
  multiply(aLow, aHigh, bLow, bHigh) {
    const low = upper(aLow, bLow)
    const crossed = low + (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bHigh) >>> 0)
    const next = Math.floor(crossed / TWO32) + upper(aHigh, bLow) + upper(aLow, bHigh) + (Math.imul(aHigh, bHigh) >>> 0)
    this.p0 = Math.imul(aLow, bLow) >>> 0
    this.p1 = crossed >>> 0 // below 2^34, so that >>> takes it modulo 2^32
    this.p2 = next >>> 0
    this.p3 = (upper(aHigh, bHigh) + Math.floor(next / TWO32)) >>> 0
  }

  // Draw 64 bits into the fields low and high.
  next64() {
    if (this.place === 8) this.refill()
    this.low = this.block[this.place]
    this.high = this.block[this.place + 1]
    this.place += 2
  }

  next32() {
    if (this.hasKept) {
      this.hasKept = false
      return this.kept
    }
    this.next64()
    this.hasKept = true
    this.kept = this.high
    return this.low
  }

  // A number in [0, 1) of 53 bits.
  double() {
    this.next64()
    return ((this.high * 2 ** 21 + (this.low >>> 11)) * 2) / 2 ** 54
  }

  // A number in [0, 1) of 24 bits, as of NumPy's float32.
  float() {
    return (this.next32() >>> 8) / 2 ** 24
  }

  // A whole number from 0 to last.
  integer(last) {
    if (last === 0) return 0
    const n = last + 1
    let draw = this.next32()
    let low = Math.imul(draw, n) >>> 0
    if (low < n) {
      const least = (TWO32 - n) % n
      while (low < least) {
        draw = this.next32()
        low = Math.imul(draw, n) >>> 0
      }
    }
    return upper(draw, n)
  }

  standardNormal() {
    for (;;) {
      this.next64()
      const { low, high } = this
      const i = low & 0xff
      const size = (high & 0x1fffffff) * 2 ** 23 + (low >>> 9)
      const x = ((low >>> 8) & 1 ? -1 : 1) * (size * NORMAL_WI[i])
      if (size < NORMAL_KI[i]) return x
      if (i === 0) {
        for (;;) {
          const beyond = -NORMAL_INVERSE_R * Math.log1p(-this.double())
          const y = -Math.log1p(-this.double())
          if (y + y > beyond * beyond) return (low >>> 17) & 1 ? -(NORMAL_R + beyond) : NORMAL_R + beyond
        }
      } else if ((NORMAL_FI[i - 1] - NORMAL_FI[i]) * this.double() + NORMAL_FI[i] < Math.exp(-0.5 * x * x)) {
        return x
      }
    }
  }

  uniform(low, high) {
    return low + (high - low) * this.double()
  }

  normal(mean, deviation) {
    return mean + deviation * this.standardNormal()
  }

  // The numbers from 0 to n - 1 in random order, in ``out``.
  permutation(n, out = new Uint32Array(n)) {
    for (let i = 0; i < n; i++) out[i] = i
    for (let i = n - 1; i > 0; i--) {
      const mask = (2 ** (32 - Math.clz32(i)) - 1) >>> 0
      let j = i + 1
      while (j > i) j = (this.next32() & mask) >>> 0 // not as in integer(): NumPy has two ways
      const kept = out[i]
      out[i] = out[j]
      out[j] = kept
    }
    return out
  }
}
