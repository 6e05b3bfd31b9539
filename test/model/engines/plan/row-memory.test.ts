import t from 'tap'
import { bytesOfSlot, createRowMemory, type SumFormat } from '../../../../src/model/engines/plan/row-memory.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { toByte } from '../../../support/to-byte.ts'

const word = new Uint32Array(1)
const number = new Float32Array(word.buffer)

/** The values of float32 arithmetic; a NaN and the sign of 0 count. */
function differs(actual: Float32Array, expected: readonly number[]): boolean {
  return actual.length !== expected.length || expected.some((value, i) => !Object.is(Math.fround(value), actual[i]))
}

const value = fc.oneof(
  { weight: 8, arbitrary: fc.float({ noNaN: true }) },
  { weight: 8, arbitrary: fc.integer({ min: -600, max: 600 }) },
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-45),
)

t.test('adds each request its context to what is kept of its candidates, for any widths', async () => {
  const layer = fc.record({
    width: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(16, 32, 48, 64)),
    kept: fc.boolean(),
    relu: fc.boolean(),
    apart: fc.boolean(),
  })
  await fc.assert(
    fc.property(
      fc.array(layer, { minLength: 1, maxLength: 4 }),
      fc.array(fc.array(fc.nat({ max: 4 }), { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      fc.array(value, { minLength: 7, maxLength: 50 }),
      (layers, requests, values) => {
        let columns = 0
        const inOrder = layers.toSorted((a, b) => Number(b.kept) - Number(a.kept))
        const parts = inOrder.map(({ width, kept, relu, apart }) => {
          const context = apart ? columns : -1
          if (apart) columns += width
          return { width, kept, relu, context }
        })
        const rows = requests.flat().length
        let next = 0
        const draw = () => values[next++ % values.length]!
        // Layers of a width that the kernels of bfloat16 and of bytes take, in turns.
        const formats = parts.map(({ width }, layer): SumFormat => {
          const turn = (layer + rows) % 3
          if (turn === 0 && width % 16 === 0) return 'bfloat16'
          if (turn !== 1 || width % 16 !== 0) return 'float32'
          // Some sums end up inside of the bytes' range, some on a half.
          return Float32Array.from({ length: width }, (_, i) => (i % 3 === 0 ? 0.5 : Math.abs(draw()) || 1))
        })
        const memory = createRowMemory({ layers: parts, formats, slots: 5, mostRows: Math.max(rows, requests.length) })
        const ofSlots = parts
          .filter(({ kept }) => kept)
          .map(({ width }) => Float32Array.from({ length: 5 * width }, draw))
        memory.keep(Int32Array.of(0, 1, 2, 3, 4), ofSlots)
        const contexts = Float32Array.from({ length: requests.length * columns }, draw)
        const slots = requests.map((slots) => Int32Array.from(slots))
        // Twice: what was there before must not matter.
        for (let time = 0; time < 2; time++)
          memory.add(slots, contexts).forEach((sums, layer) => {
            const { width, kept, relu, context } = parts[layer]!
            const expected = requests.flatMap((slots, request) =>
              slots.flatMap((slot) =>
                Array.from({ length: width }, (_, i) => {
                  const whole = kept ? ofSlots[layer]![slot * width + i]! : 0
                  const part = formats[layer] === 'bfloat16' ? toBfloat16(whole) : whole
                  const sum = Math.fround(part + (context < 0 ? 0 : contexts[request * columns + context + i]!))
                  return relu && sum < 0 ? 0 : sum
                }),
              ),
            )
            const format = formats[layer]!
            const actual = format === 'bfloat16' ? [...sums].map(fromBfloat16) : [...sums]
            let wanted = format === 'bfloat16' ? expected.map(roundedAway) : expected
            if (format instanceof Float32Array) wanted = expected.map((sum, i) => toByte(sum * format[i % width]!))
            // A NaN may become another number; a ReLU makes −0 of integers 0.
            if (format === 'bfloat16')
              wanted = wanted.map((sum, i) => {
                if (Number.isNaN(sum)) return actual[i]!
                return relu && sum === 0 ? 0 : sum
              })
            if (differs(Float32Array.from(actual), wanted))
              throw new Error(`layer ${layer}: ${sums} is not ${expected}`)
          })
      },
    ),
    { numRuns: randomCases(300) },
  )
})

t.test('adds a request of many rows, in any order of its slots', async (t) => {
  for (const format of ['float32', 'bfloat16', new Float32Array(32).fill(1)] as const) {
    const layers = [{ width: 32, kept: true, relu: true, context: 0 }]
    const memory = createRowMemory({ layers, formats: [format], slots: 200, mostRows: 700 })
    const all = Int32Array.from({ length: 200 }, (_, slot) => slot)
    memory.keep(all, [Float32Array.from({ length: 200 * 32 }, (_, i) => Math.floor(i / 32))])
    const requests = [300, 1, 129, 128].map((count) => Int32Array.from({ length: count }, (_, i) => (i * 77) % 200))
    const contexts = Float32Array.from({ length: 4 * 32 }, (_, i) => Math.floor(i / 32))
    const [sums] = memory.add(requests, contexts)
    const values = format === 'bfloat16' ? Array.from(sums!, fromBfloat16) : [...sums!]
    const wanted = requests.flatMap((slots, request) =>
      [...slots].flatMap((slot) => new Array<number>(32).fill(slot + request)),
    )
    t.same(values, wanted)
  }
})

t.test('reaches all of its memory, beyond 2 GiB too, and pays for what it touches alone', async (t) => {
  const slots = 3_000_000
  const before = process.memoryUsage().rss
  const { keep, add } = createRowMemory({
    layers: [{ width: 256, kept: true, relu: true, context: 0 }],
    slots,
    mostRows: 2,
  })
  for (const slot of [0, slots - 1]) keep(Int32Array.of(slot), [new Float32Array(256).fill(slot + 1)])
  const [sums] = add([Int32Array.of(slots - 1, 0)], new Float32Array(256).fill(0.5))
  t.match([sums![0], sums![255], sums![256], sums![511]], [slots + 0.5, slots + 0.5, 1.5, 1.5])
  t.ok(process.memoryUsage().rss - before < 1e9)
})

t.test('provides the memory of slots without a change of the others', async (t) => {
  const memory = createRowMemory({
    layers: [{ width: 1024, kept: true, relu: false, context: -1 }],
    slots: 4,
    mostRows: 4,
  })
  for (const slot of [0, 1, 2, 3]) memory.keepRow(slot, (floats, at) => floats.fill(slot + 1, at, at + 1024))
  memory.provide(2)
  const [sums] = memory.add([Int32Array.of(2, 3)], new Float32Array(0))
  t.same(new Set(sums), new Set([3, 4]))
  memory.provide(100)
  memory.keepRow(3, (floats, at) => floats.fill(7, at, at + 1024))
  t.same(new Set(memory.add([Int32Array.of(3)], new Float32Array(0))[0]), new Set([7]))
})

t.test('a row that is written as a whole is what its parts are, in any formats', async (t) => {
  const layers = [
    { width: 32, kept: true, relu: true, context: -1 },
    { width: 3, kept: true, relu: false, context: -1 },
    { width: 16, kept: true, relu: true, context: -1 },
  ] as const
  const values = Float32Array.from({ length: 51 }, (_, i) => Math.sin(i) * 3)
  const parts = [values.subarray(0, 32), values.subarray(32, 35), values.subarray(35)]
  const formats: SumFormat[] = ['bfloat16', 'float32', new Float32Array(16).fill(40)]
  for (const given of [[], formats]) {
    const [whole, apart] = [0, 1].map(() => createRowMemory({ layers, formats: given, slots: 3, mostRows: 2 }))
    whole!.keepRow(2, (floats, at) => floats.set(values, at))
    apart!.keep(Int32Array.of(2), parts)
    const sums = [whole!, apart!].map((memory) =>
      memory.add([Int32Array.of(2)], new Float32Array(0)).map((sum) => [...sum]),
    )
    t.same(sums[0], sums[1])
    t.ok(sums[0]!.flat().filter((number) => number > 0).length > 15)
  }
})

t.test('in bfloat16, a slot takes half the bytes', async (t) => {
  const layers = [{ width: 256, kept: true, relu: true, context: 0 }] as const
  t.equal(bytesOfSlot(layers, []), 1024)
  t.equal(bytesOfSlot(layers, ['bfloat16']), 512)
})

t.test('refuses more than it has room for', async (t) => {
  const { add } = createRowMemory({
    layers: [{ width: 3, kept: true, relu: false, context: -1 }],
    slots: 2,
    mostRows: 3,
  })
  t.throws(() => add([Int32Array.of(0, 1), Int32Array.of(1, 1)], new Float32Array(0)), {
    name: 'RangeError',
    message: '4 rows are more than 3',
  })
  t.throws(
    () =>
      createRowMemory({ layers: [{ width: 2 ** 20, kept: true, relu: false, context: -1 }], slots: 1024, mostRows: 1 }),
    {
      name: 'RangeError',
    },
  )
})

/** The nearest number of bfloat16; of two, that with an even last bit. */
function toBfloat16(value: number): number {
  number[0] = value
  if (Number.isNaN(value)) return value
  const [bits] = word as unknown as [number]
  return fromBfloat16((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16)
}

/** The same; of two, the one farther away from 0. */
function roundedAway(value: number): number {
  number[0] = value
  if (Number.isNaN(value)) return value
  return fromBfloat16((word[0]! + 0x8000) >>> 16)
}

function fromBfloat16(bits: number): number {
  word[0] = bits << 16
  return number[0]!
}

t.test('timed calls read more than the cache of a core holds, and no more slots than there are', async (t) => {
  const layers = [{ width: 256, kept: true, relu: true, context: 0 }] as const
  const slots = (count: number) => createRowMemory({ layers, slots: count, mostRows: 4 }).timedSlots
  t.equal(slots(100_000), (4 * 2 ** 20) / 1024)
  t.equal(slots(10), 10)
})
