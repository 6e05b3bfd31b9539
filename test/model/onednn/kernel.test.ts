import fc from 'fast-check'
import t from 'tap'
import { createHeap, kernelBytes } from '../../../src/model/onednn/kernel.ts'
import { compiledSource } from '../../support/kernel-source.ts'

const value = fc.float({ noNaN: true, min: -100, max: 100 })

t.test('mixes experts as float32 does, and leaves all else unchanged', async () => {
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }).map((fours) => fours * 4),
      fc.boolean(),
      fc.array(value, { minLength: 11, maxLength: 60 }),
      (rows, tasks, count, width, relu, values) => {
        // Experts lie one behind the other; rows of gates and outputs have some columns of others behind them.
        const gates = { at: 16, stride: tasks * count + 1 }
        const experts = { at: 16 + rows * gates.stride, stride: width + 4 }
        const out = { at: experts.at + count * rows * experts.stride, stride: tasks * width + 4 }
        const { buffer, mix } = createHeap(4 * (out.at + rows * out.stride + 64))
        const [floats, integers] = [new Float32Array(buffer), new Int32Array(buffer)]
        for (let i = 16; i < out.at; i++) floats[i] = values[i % values.length]!
        for (let e = 0; e < count; e++)
          integers.set([4 * (experts.at + e * rows * experts.stride), 4 * experts.stride], 2 * e)
        const before = floats.slice(0, out.at)
        const floor = relu ? 0 : Number.NEGATIVE_INFINITY
        mix(rows, tasks, 0, count, 4 * gates.at, 4 * gates.stride, 4 * out.at, 4 * out.stride, 4 * width, floor)
        const expected = new Float32Array(rows * out.stride)
        for (let row = 0; row < rows; row++)
          for (let task = 0; task < tasks; task++)
            for (let i = 0; i < width; i++) {
              let sum = 0
              for (let e = 0; e < count; e++) {
                const gate = before[gates.at + row * gates.stride + task * count + e]!
                const x = before[experts.at + (e * rows + row) * experts.stride + i]!
                sum = Math.fround(sum + Math.fround(gate * x))
              }
              expected[row * out.stride + task * width + i] = Math.max(sum, floor)
            }
        const actual = floats.subarray(out.at, out.at + expected.length)
        actual.forEach((number, i) => {
          if (number !== expected[i]) throw new Error(`place ${i}: ${number}, not ${expected[i]}`)
        })
        if (!before.every((number, i) => Object.is(number, floats[i]))) throw new Error('an operand was changed')
        if (floats.subarray(out.at + expected.length).some((number) => number !== 0))
          throw new Error('it wrote too far')
      },
    ),
    { numRuns: 300 },
  )
})

t.test('softmax is within 4e-7 of the exact one, for any numbers', async () => {
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 11 }),
      fc.array(fc.oneof(value, fc.constantFrom(-1e30, 1e30, 0, Number.NEGATIVE_INFINITY)), {
        minLength: 5,
        maxLength: 60,
      }),
      (rows, runs, count, values) => {
        const width = runs * count
        const out = rows * (width + 1)
        const { buffer, softmax } = createHeap(4 * (2 * out + 16))
        const floats = new Float32Array(buffer)
        for (let i = 0; i < out; i++) floats[i] = values[i % values.length]!
        const before = floats.slice(0, out)
        softmax(rows, runs, count, 0, 4 * (width + 1), 4 * out, 4 * width)
        for (let run = 0; run < rows * runs; run++) {
          const from = Math.floor(run / runs) * (width + 1) + (run % runs) * count
          const own = [...before.subarray(from, from + count)]
          const most = Math.max(...own)
          if (most === Number.NEGATIVE_INFINITY) continue
          const powers = own.map((x) => Math.exp(x - most))
          const sum = powers.reduce((a, b) => a + b, 0)
          powers.forEach((power, i) => {
            const actual = floats[out + run * count + i]!
            if (!(Math.abs(actual - power / sum) <= 4e-7)) throw new Error(`${actual}, not ${power / sum}`)
          })
        }
        if (floats.subarray(out + rows * width).some((number) => number !== 0)) throw new Error('it wrote too far')
      },
    ),
    { numRuns: 500 },
  )
})

t.test('the kernels are what their source says', async (t) => {
  t.equal(await compiledSource('src/model/onednn/kernel.wat'), kernelBytes)
})
