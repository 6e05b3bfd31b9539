/* Functions of one number, over runs of them in an array. */

/** Computes `count` numbers from place `x` on, and stores them from place `out` on. */
export type Unary = (floats: Float32Array, x: number, out: number, count: number) => void

/* A loop each: through one for all, V8 would call a function for every number. */
export const unaries = {
  Abs: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.abs(floats[x + i]!)
  },
  Exp: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.exp(floats[x + i]!)
  },
  Log: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.log(floats[x + i]!)
  },
  Neg: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = -floats[x + i]!
  },
  Relu: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.max(floats[x + i]!, 0)
  },
  Sigmoid: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = 1 / (1 + Math.exp(-floats[x + i]!))
  },
  Sqrt: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.sqrt(floats[x + i]!)
  },
  Tanh: (floats, x, out, count) => {
    for (let i = 0; i < count; i++) floats[out + i] = Math.tanh(floats[x + i]!)
  },
} satisfies Record<string, Unary>
