/*
 * Formulas of x1 and x2 that a user writes or an address brings: the texts that fullyconnected/playing/formula.py reads,
 * with the values of Python, ^ being **. Nothing is ever run that was written: the text is parsed, and each part is a
 * known operation.
 */
const FUNCTIONS = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  abs: Math.abs,
  sign: Math.sign,
  tanh: Math.tanh,
  floor: Math.floor,
  min: Math.min,
  max: Math.max,
}
const SEVERAL = ["min", "max"] // functions of two numbers or more
const CONSTANTS = { pi: Math.PI, e: Math.E }
const MOST = 200 // characters
const TOKEN =
  /[ \t]*(?:((?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w.]))|([a-z]\w*)|(\*\*|[-+*/^<>(),]))/iy

// Return a function of x1 and x2, or throw an error that says what is wrong.
export const compiled = (text) => parsed(text).f

// Return the same as an expression of NumPy.
export const inNumPy = (text) => parsed(text).python

// Return both; each part of a formula is a pair of them.
function parsed(text) {
  if (text.length > MOST) throw new Error(`formula has at most ${MOST} characters; got ${text.length}`)
  const tokens = []
  TOKEN.lastIndex = 0
  while (/[^ \t]/.test(text.slice(TOKEN.lastIndex))) {
    const found = TOKEN.exec(text)
    if (found === null) throw unreadable(text)
    const [, number, name, sign] = found
    tokens.push(number !== undefined ? { number: Number(number) } : name !== undefined ? { name } : { sign })
  }
  let at = 0
  const take = (...signs) => {
    const sign = tokens[at]?.sign
    if (sign === undefined || !signs.includes(sign)) return null
    at += 1
    return sign === "**" ? "^" : sign
  }
  const must = (sign) => {
    if (take(sign) === null) throw unreadable(text)
  }

  function comparison() {
    const left = sum(),
      sign = take("<", ">")
    if (sign === null) return left
    const right = sum(),
      [a, b] = [left.f, right.f]
    if (take("<", ">") !== null) throw new Error("formula: compare two numbers at a time, such as (x1 < x2) * (x2 < 1)")
    const f = sign === "<" ? (x, y) => +(a(x, y) < b(x, y)) : (x, y) => +(a(x, y) > b(x, y))
    return { f, python: `((${left.python} ${sign} ${right.python}) * 1.0)` }
  }
  function sum() {
    let left = product()
    for (let sign; (sign = take("+", "-")) !== null;) {
      left = joined(left, sign, product())
    }
    return left
  }
  function product() {
    let left = unary()
    for (let sign; (sign = take("*", "/")) !== null;) {
      left = joined(left, sign, unary())
    }
    return left
  }
  function unary() {
    const sign = take("+", "-")
    if (sign === null) return power()
    const { f, python } = unary()
    return sign === "-" ? { f: (x, y) => -f(x, y), python: `(-${python})` } : { f, python }
  }
  function power() {
    const base = atom()
    if (take("^", "**") === null) return base
    return joined(base, "**", unary()) // so that 2^3^2 is 2^9, and 2^-1 is known
  }
  function atom() {
    const token = tokens[at++]
    if (token?.number !== undefined) return { f: () => token.number, python: `np.float64(${token.number})` }
    if (token?.sign === "(") {
      const inner = comparison()
      must(")")
      return inner
    }
    if (token?.name === undefined) throw unreadable(text)
    const { name } = token
    if (take("(") !== null) return called(name)
    if (name === "x1") return { f: (x) => x, python: "x1" }
    if (name === "x2") return { f: (_, y) => y, python: "x2" }
    if (!Object.hasOwn(CONSTANTS, name)) throw unknown(name)
    return { f: () => CONSTANTS[name], python: `np.${name}` }
  }
  function called(name) {
    if (!Object.hasOwn(FUNCTIONS, name)) throw unknown(name)
    const given = []
    while (take(")") === null) {
      given.push(comparison())
      if (take(",") === null) {
        must(")")
        break
      }
    }
    const f = FUNCTIONS[name]
    if (SEVERAL.includes(name)) {
      if (given.length < 2) throw new Error(`formula: ${name} takes two numbers or more`)
      const python = given.map((each) => each.python).reduce((a, b) => `np.${name}imum(${a}, ${b})`)
      return { f: (x, y) => f(...given.map((each) => each.f(x, y))), python }
    }
    if (given.length !== 1) throw new Error(`formula: ${name} takes one number`)
    const [only] = given
    return { f: (x, y) => f(only.f(x, y)), python: `np.${name}(${only.python})` }
  }

  const whole = comparison()
  if (at < tokens.length) throw unreadable(text)
  return whole
}

const OPERATIONS = {
  "+": (a, b) => (x, y) => a(x, y) + b(x, y),
  "-": (a, b) => (x, y) => a(x, y) - b(x, y),
  "*": (a, b) => (x, y) => a(x, y) * b(x, y),
  "/": (a, b) => (x, y) => a(x, y) / b(x, y),
  "**": (a, b) => (x, y) => a(x, y) ** b(x, y),
}
const joined = (left, sign, right) => ({
  f: OPERATIONS[sign](left.f, right.f),
  python: `(${left.python} ${sign} ${right.python})`,
})

const unreadable = (text) =>
  new Error(`formula: '${text}' cannot be read as a formula of x1 and x2, such as sin(2*x1) + x2`)
const unknown = (what) =>
  new Error(
    `formula: ${what} is not known; there are x1, x2, numbers, pi, e, + - * / ^ < >, brackets, and ` +
      Object.keys(FUNCTIONS).join(", "),
  )
