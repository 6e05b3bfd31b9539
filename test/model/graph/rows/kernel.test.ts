import t from 'tap'
import { onnxruntime as ort } from '../../../../src/base/onnxruntime.ts'
import { TensorProto_DataType } from '../../../../src/model/graph/ir/onnx_pb.ts'
import { declare, floatShape } from '../../../../src/model/graph/ir/tensor-shape.ts'
import { createHeap } from '../../../../src/model/graph/rows/program.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { answersOf, emptyGraph } from '../../../support/compile/run-graph.ts'
import { halfOf } from '../../../support/compile/widened.ts'

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
    { numRuns: randomCases(300) },
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
        softmax(rows, runs, count, 0, 4 * (width + 1), 4 * out)
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
        if (floats.subarray(out + rows * width + 3).some((number) => number !== 0)) throw new Error('it wrote too far')
      },
    ),
    { numRuns: randomCases(500) },
  )
})

t.test('sigmoid is within 2e-7 of the exact one, relative to it, and NaN of NaN', async () => {
  const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e30, -1e-30)
  await fc.assert(
    fc.property(fc.array(fc.oneof(fc.float({ noNaN: true, min: -80, max: 100 }), odd), { maxLength: 30 }), (values) => {
      const out = values.length + 4
      const { buffer, sigmoid } = createHeap(4 * (2 * out + 8))
      const floats = new Float32Array(buffer)
      floats.set(values)
      sigmoid(0, 4 * out, values.length)
      values.forEach((value, i) => {
        const [actual, exact] = [floats[out + i]!, 1 / (1 + Math.exp(-Math.fround(value)))]
        const isNear = Number.isNaN(exact) ? Number.isNaN(actual) : Math.abs(actual - exact) <= 2e-7 * exact
        if (!isNear) throw new Error(`of ${value}: ${actual}, not ${exact}`)
      })
      if (floats.subarray(out + values.length + 3).some((number) => number !== 0)) throw new Error('it wrote too far')
    }),
    { numRuns: randomCases(500) },
  )
})

t.test('multiplies rows by ranges of columns, adds a bias, and clips', async () => {
  const range = fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => [4 * Math.min(a, b), 4 * Math.max(a, b)] as const)
  await fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4 }),
      fc.array(range, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.array(value, { minLength: 7, maxLength: 60 }),
      (rows, ranges, relu, values) => {
        const [width, count] = [25, ranges.length]
        const [weights, list] = [rows * width, rows * width + 24 * count]
        const out = list + 4 * count
        const { buffer, dot } = createHeap(4 * (out + rows * (count + 1)))
        const [floats, integers] = [new Float32Array(buffer), new Int32Array(buffer)]
        for (let i = 0; i < list; i++) floats[i] = values[i % values.length]!
        ranges.forEach(([start, end], i) => {
          integers.set([4 * (weights + 24 * i), 4 * start, 4 * end], list + 4 * i)
          floats[list + 4 * i + 3] = i - 1.5
        })
        dot(rows, 0, 4 * width, 4 * list, count, 4 * out, 4 * (count + 1), relu ? 0 : Number.NEGATIVE_INFINITY)
        for (let row = 0; row < rows; row++) {
          ranges.forEach(([start, end], column) => {
            let [sum, size] = [column - 1.5, 1]
            for (let i = start; i < end; i++) {
              const term = floats[row * width + i]! * floats[weights + 24 * column + i - start]!
              sum += term
              size += Math.abs(term)
            }
            const [actual, exact] = [floats[out + row * (count + 1) + column]!, relu ? Math.max(0, sum) : sum]
            if (!(Math.abs(actual - exact) <= 1e-6 * size)) throw new Error(`${actual}, not ${exact}`)
          })
          if (floats[out + row * (count + 1) + count] !== 0) throw new Error('it wrote too far')
        }
      },
    ),
    { numRuns: randomCases(300) },
  )
})

/** Rows of columns in a memory of numbers; some columns of others lie behind each row. */
const columns = fc.record({
  rows: fc.integer({ min: 0, max: 4 }),
  width: fc.integer({ min: 1, max: 21 }),
  apart: fc.integer({ min: 0, max: 3 }),
  values: fc.array(value, { minLength: 7, maxLength: 60 }),
})

t.test('adds rows, and one row to each', async () => {
  await fc.assert(
    fc.property(columns, fc.boolean(), ({ rows, width, apart, values }, repeats) => {
      const stride = width + apart
      const [b, out] = [rows * stride, 2 * rows * stride + width]
      const { buffer, add } = createHeap(4 * (out + rows * stride + 8))
      const floats = new Float32Array(buffer)
      for (let i = 0; i < out; i++) floats[i] = values[i % values.length]!
      const expected = floats.slice()
      for (let row = 0; row < rows; row++)
        for (let i = 0; i < width; i++)
          expected[out + row * stride + i] = floats[row * stride + i]! + floats[b + (repeats ? 0 : row * stride) + i]!
      add(rows, 0, 4 * stride, 4 * b, repeats ? 0 : 4 * stride, 4 * out, 4 * stride, 4 * width)
      if (!floats.every((number, i) => Object.is(number, expected[i]))) throw new Error(`${floats} is not ${expected}`)
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('multiplies negative numbers by slopes, and leaves the others', async () => {
  await fc.assert(
    fc.property(columns, ({ rows, width, apart, values }) => {
      const stride = width + apart
      const [slopes, out] = [rows * stride, rows * stride + width]
      const { buffer, prelu } = createHeap(4 * (out + rows * stride + 8))
      const floats = new Float32Array(buffer)
      for (let i = 0; i < out; i++) floats[i] = i % 11 === 7 ? Number.NaN : values[i % values.length]!
      const expected = floats.slice()
      for (let row = 0; row < rows; row++)
        for (let i = 0; i < width; i++) {
          const x = floats[row * stride + i]!
          expected[out + row * stride + i] = x < 0 ? x * floats[slopes + i]! : x
        }
      prelu(rows, 0, 4 * stride, 4 * slopes, 4 * out, 4 * stride, 4 * width)
      if (!floats.every((number, i) => Object.is(number, expected[i]))) throw new Error(`${floats} is not ${expected}`)
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('splits numbers into two of bfloat16, both finite', async () => {
  const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38, -3.4e38, 0, -0)
  await fc.assert(
    fc.property(fc.array(fc.array(fc.oneof(value, odd), { minLength: 8, maxLength: 8 }), { maxLength: 4 }), (rows) => {
      const out = 12 * rows.length
      const { buffer, split } = createHeap(4 * (out + 8 * rows.length + 4))
      const [floats, words] = [new Float32Array(buffer), new Uint32Array(buffer)]
      for (const [i, row] of rows.entries()) floats.set(row, 12 * i)
      split(rows.length, 0, 48, 4 * out, 32)
      const halves = new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer)
      const uppers = new Float32Array(Uint32Array.from(words, (word) => word & 0xffff0000).buffer)
      rows.flat().forEach((number, i) => {
        const [high, low] = [halves[out + i]!, uppers[out + i]!]
        const most = 2 ** 127 * (2 - 2 ** -7)
        const clamped = Number.isNaN(number) ? -most : Math.max(-most, Math.min(most, number))
        if (!Number.isFinite(high + low) || Math.abs(high + low - clamped) > Math.abs(clamped) * 2 ** -16 + 2 ** -126)
          throw new Error(`${number}: ${high} + ${low}`)
      })
      if (words.subarray(out + 8 * rows.length).some((word) => word !== 0)) throw new Error('it wrote too far')
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('copies bytes of rows, and no others', async () => {
  await fc.assert(
    fc.property(columns, fc.nat(40), ({ rows, width, apart, values }, more) => {
      const [bytes, stride] = [width + more, width + more + apart]
      const out = rows * stride
      const { buffer, copy } = createHeap(2 * out + 64)
      const memory = new Uint8Array(buffer)
      for (let i = 0; i < out; i++) memory[i] = values[i % values.length]!
      const expected = memory.slice()
      for (let row = 0; row < rows; row++)
        for (let i = 0; i < bytes; i++) expected[out + row * stride + i] = memory[row * stride + i]!
      copy(rows, 0, stride, out, stride, bytes)
      if (!memory.every((byte, i) => byte === expected[i])) throw new Error(`${memory} is not ${expected}`)
    }),
    { numRuns: randomCases(300) },
  )
})

t.test('rounds floats to bytes as ONNX Runtime does', async () => {
  const odd = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5, 1.5, 2.5, -0.5, 1e30)
  await fc.assert(
    fc.asyncProperty(
      columns,
      fc.array(fc.oneof(value, odd), { minLength: 7, maxLength: 60 }),
      fc.array(fc.constantFrom(1, 0.5, 0.3, 2.7), { minLength: 4, maxLength: 9 }),
      fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: 4, maxLength: 9 }),
      async ({ rows, width, apart }, values, scale, zero) => {
        const [stride, filled] = [width + apart, Math.ceil(width / 4) * 4]
        const [scales, zeros, out] = [rows * stride, rows * stride + filled, rows * stride + 2 * filled]
        const { buffer, quantize } = createHeap(4 * out + rows * stride + 64)
        const [floats, bytes] = [new Float32Array(buffer), new Uint8Array(buffer)]
        for (let i = 0; i < rows * stride; i++) floats[i] = values[i % values.length]!
        for (let i = 0; i < filled; i++) {
          floats[scales + i] = scale[i % scale.length]!
          floats[zeros + i] = zero[i % zero.length]!
        }
        quantize(rows, 0, 4 * stride, 4 * scales, 4 * zeros, 4 * out, stride, width)
        const x = Float32Array.from(
          { length: rows * width },
          (_, i) => floats[Math.floor(i / width) * stride + (i % width)]!,
        )
        const columnsOf = (start: number) => floats.slice(start, start + width)
        const expected = await quantized(x, columnsOf(scales), Uint8Array.from(columnsOf(zeros)), rows)
        for (let row = 0; row < rows; row++)
          for (let i = 0; i < stride; i++) {
            const [actual, wanted] = [bytes[4 * out + row * stride + i], i < width ? expected[row * width + i] : 0]
            if (actual !== wanted) throw new Error(`row ${row}, column ${i}: ${actual}, not ${wanted}`)
          }
      },
    ),
    { numRuns: randomCases(200) },
  )
})

/** The result of ONNX Runtime's QuantizeLinear for x [rows, columns]. */
async function quantized(
  x: Float32Array,
  scale: Float32Array,
  zero: Uint8Array,
  rows: number,
): Promise<ArrayLike<number>> {
  if (rows === 0) return []
  const width = scale.length
  const graph = emptyGraph({ x: floatShape(-1, width) })
  const names = [graph.constant('scale', scale, [width]), graph.constant('zero', zero, [width])]
  const shape = { dtype: TensorProto_DataType.UINT8, dims: [-1, width] }
  const y = graph.node('QuantizeLinear', ['x', ...names], { attributes: { axis: 1 }, shape })
  graph.outputs.push(declare(y, shape))
  const [answers] = await answersOf(graph, [{ x: new ort.Tensor('float32', x, [rows, width]) }])
  return answers![y]!.values
}

t.test('widens every float16, in rows of any width', async () => {
  const [rows, width, stride] = [9363, 7, 9]
  const { buffer, widen } = createHeap(8 * rows * stride + 64)
  const [halves, floats, out] = [new Uint16Array(buffer), new Float32Array(buffer), rows * stride]
  const bitsOf = (row: number, i: number) => (row * width + i) & 0xffff
  for (let row = 0; row < rows; row++) for (let i = 0; i < width; i++) halves[row * stride + i] = bitsOf(row, i)
  widen(rows, 0, 2 * stride, 4 * out, 4 * width, width)
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < width; i++) {
      const actual = floats[out + row * width + i]!
      const expected = halfOf(bitsOf(row, i))
      if (!Object.is(actual, expected)) throw new Error(`${bitsOf(row, i)} is ${expected}, not ${actual}`)
    }
})

t.test('multiplies rows of int8 by the scale of each', async () => {
  await fc.assert(
    fc.property(
      fc.array(value, { maxLength: 9 }),
      fc.integer({ min: 1, max: 18 }),
      fc.array(fc.integer({ min: -128, max: 127 }), { minLength: 5, maxLength: 50 }),
      (steps, width, bytes) => {
        const { length: rows } = steps
        const [scales, out] = [rows * width, 2 * rows * width]
        const { buffer, dequantize } = createHeap(8 * (out + rows * width) + 64)
        const [integers, floats] = [new Int8Array(buffer), new Float32Array(buffer)]
        for (let i = 0; i < rows * width; i++) integers[i] = bytes[i % bytes.length]!
        floats.set(steps, scales)
        dequantize(rows, 0, 4 * scales, 4 * out, width)
        for (let i = 0; i < rows * width; i++) {
          const expected = Math.fround(integers[i]! * floats[scales + Math.floor(i / width)]!)
          if (!Object.is(floats[out + i], expected)) throw new Error(`${i}: ${floats[out + i]}, not ${expected}`)
        }
      },
    ),
    { numRuns: randomCases(300) },
  )
})
