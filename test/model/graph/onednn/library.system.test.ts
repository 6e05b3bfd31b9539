import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type ProcessorClass, processorClasses } from '../../../../src/base/processor.ts'
import { findLibrary } from '../../../../src/model/graph/onednn/find-library.ts'
import { instructionsOf, lackingFor } from '../../../../src/model/graph/onednn/instructions.ts'
import { openLibrary } from '../../../../src/model/graph/onednn/library.ts'
import type { ProductShape } from '../../../../src/model/graph/onednn/primitives.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { withoutInt8, withoutOnednn } from '../../../support/onednn.ts'
import { cannotPlay, playing } from '../../../support/processor.ts'
import { toByte } from '../../../support/to-byte.ts'

const skip = withoutOnednn() ?? false
const folder = await temporaryFolder(t)

t.test('products are those of bfloat16, for any shape and number of rows', { skip }, async () => {
  const library = openLibrary()
  await fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 140 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 1, max: 150 }),
      fc.constantFrom('float32' as const, 'bfloat16' as const),
      fc.boolean(),
      fc.integer({ min: 1, max: 1000 }),
      (rows, k, n, output, relu, seed) => {
        const shape: ProductShape = { rows, k, n, input: 'bfloat16', output, relu }
        const product = library.product(shape)
        // Small integers are exact in bfloat16, and their sums in float32.
        const draw = (i: number) => ((i * 7919 + seed) % 7) - 3
        const values = Float32Array.from({ length: k * n }, (_, i) => draw(i))
        const x = Float32Array.from({ length: rows * k }, (_, i) => draw(i + 5))
        const bias = Float32Array.from({ length: n }, (_, i) => draw(i + 3))
        const bytes = new ArrayBuffer(4 * rows * k + 2 * rows * k + 4 * n + 4 * rows * n + 512)
        const region = library.region(bytes)
        const at = { x: 0, rounded: 4 * rows * k, bias: 0, out: 0 }
        at.bias = Math.ceil((at.rounded + 2 * rows * k) / 4) * 4
        at.out = at.bias + 4 * n
        new Float32Array(bytes, at.x, x.length).set(x)
        new Float32Array(bytes, at.bias, n).set(bias)
        const matrix = { rows, columns: k }
        library
          .conversion({ ...matrix, format: 'float32' }, { ...matrix, format: 'bfloat16' })
          .run({ region, at: at.x }, { region, at: at.rounded })
        const weights = library.pack(values, k, n, [product])
        const bound = product.bind(weights)
        bound.run({ region, at: at.rounded }, { region, at: at.bias }, { region, at: at.out })
        bound.release()
        const actual =
          output === 'float32' ? new Float32Array(bytes, at.out, rows * n) : widened(bytes, at.out, rows * n)
        for (let row = 0; row < rows; row++)
          for (let j = 0; j < n; j++) {
            let sum = bias[j]!
            for (let i = 0; i < k; i++) sum += x[row * k + i]! * values[i * n + j]!
            const expected = relu ? Math.max(sum, 0) : sum
            const apart = Math.abs(actual[row * n + j]! - expected)
            // bfloat16 has 8 bits.
            if (!(apart <= (output === 'float32' ? 0 : Math.abs(expected) / 256)))
              throw new Error(`row ${row}, column ${j}: ${actual[row * n + j]}, not ${expected}`)
          }
        const behind = new Uint8Array(bytes, at.out + rows * n * (output === 'float32' ? 4 : 2))
        if (behind.some((byte) => byte !== 0)) throw new Error('it wrote too far')
      },
    ),
    { numRuns: randomCases(80) },
  )
})

// Without VNNI, sums of two products of bytes saturate.
t.test('products of bytes are exact, for any shape and number of rows', { skip: withoutInt8() ?? false }, async () => {
  const library = openLibrary()
  await fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 140 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 1, max: 150 }),
      fc.constantFrom('float32' as const, 'int32' as const, 'uint8' as const),
      fc.boolean(),
      fc.nat(1000),
      (rows, k, n, output, clips, seed) => {
        const relu = clips && output === 'float32'
        const product = library.product({ rows, k, n, input: 'uint8', output, relu })
        let state = seed + 1
        const draw = (least: number, most: number) => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0
          return least + (state % (most - least + 1))
        }
        const size = output === 'uint8' ? 1 : 4
        const at = { x: 0, bias: Math.ceil((rows * k) / 4) * 4, out: 0 }
        at.out = at.bias + 4 * n
        const bytes = new ArrayBuffer(at.out + rows * n * size + 512)
        const region = library.region(bytes)
        const x = new Uint8Array(bytes, at.x, rows * k).map(() => draw(0, 255))
        new Uint8Array(bytes, at.x, rows * k).set(x)
        const values = new Int8Array(k * n).map(() => draw(-127, 127))
        const bias = new (output === 'float32' ? Float32Array : Int32Array)(bytes, at.bias, n).map(() =>
          draw(-100_000, 100_000),
        )
        ;new (output === 'float32' ? Float32Array : Int32Array)(bytes, at.bias, n).set(bias)
        // Most bytes lie inside of their range, and some sums on a half.
        const scale = new Float32Array(n).map((_, j) => (j % 4 === 0 ? 2 ** -11 : draw(1, 9) / 4096))
        const weights = library.pack(values, k, n, [product], scale)
        const bound = product.bind(weights)
        bound.run({ region, at: at.x }, { region, at: at.bias }, { region, at: at.out })
        bound.release()
        const arrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array }
        const actual = new arrays[output](bytes, at.out, rows * n)
        for (let row = 0; row < rows; row++)
          for (let j = 0; j < n; j++) {
            let sum = 0
            for (let i = 0; i < k; i++) sum += x[row * k + i]! * values[i * n + j]!
            const scaled = (value: number) => Math.fround(value * scale[j]!)
            const expected = {
              int32: () => sum + bias[j]!,
              uint8: () => toByte(scaled(sum + bias[j]!)),
              float32: () => Math.max(Math.fround(scaled(sum) + bias[j]!), relu ? 0 : Number.NEGATIVE_INFINITY),
            }[output]()
            if (actual[row * n + j] !== expected)
              throw new Error(`row ${row}, column ${j}: ${actual[row * n + j]}, not ${expected}`)
          }
        if (new Uint8Array(bytes, at.out + rows * n * size).some((byte) => byte !== 0))
          throw new Error('it wrote too far')
      },
    ),
    { numRuns: randomCases(120) },
  )
})

t.test('memory that a call would leave is refused before it', { skip }, async (t) => {
  const library = openLibrary()
  const product = library.product({ rows: 16, k: 64, n: 32, input: 'bfloat16', output: 'float32', relu: false })
  const weights = library.pack(new Float32Array(64 * 32), 64, 32, [product])
  const region = library.region(new ArrayBuffer(16 * 64 * 2))
  const place = { region, at: 0 }
  const outside = /are not inside a region of 2048 bytes/
  const bound = product.bind(weights)
  t.teardown(() => bound.release())
  t.doesNotThrow(() => bound.run(place, place, place))
  t.throws(() => bound.run({ region, at: 1 }, place, place), outside)
  t.throws(() => bound.run({ region, at: -1 }, place, place), outside)
  t.throws(() => bound.run({ region, at: Number.NaN }, place, place), outside)
  t.throws(() => bound.run(place, { region, at: 1984 }, place), outside)
  t.throws(() => bound.run(place, place, { region, at: 4 }), outside)
  const other = library.product({ rows: 16, k: 32, n: 32, input: 'bfloat16', output: 'float32', relu: false })
  t.throws(() => other.bind(weights), /weights \[64, 32\] are not those of a product \[32, 32\]/)
  t.throws(() => library.pack(new Float32Array(5), 2, 3, []), /5 values are no matrix \[2, 3\]/)
  t.throws(() => library.pack(new Int8Array(6), 2, 3, [], new Float32Array(2)), /2 factors are no scale of 3 columns/)
  const ofBytes = library.product({ rows: 16, k: 64, n: 64, input: 'uint8', output: 'uint8', relu: false })
  const unscaled = library.pack(new Int8Array(64 * 64), 64, 64, [ofBytes])
  t.throws(() => ofBytes.bind(unscaled), /weights of bytes have no scale/)
})

/** The output of a process that opens the library. */
async function openedWith(environment: Record<string, string>, precision = 'bfloat16'): Promise<string> {
  const program = `
    const { openFastLibrary } = await import(${JSON.stringify(new URL('../../../../src/model/graph/onednn/library.js', import.meta.url).href)})
    try {
      console.log(openFastLibrary('${precision}').title)
    } catch (error) {
      console.log(error.constructor.name + ': ' + error.message)
    }`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, NODE_OPTIONS: '', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  return code === 0 ? text.trim() : `ended with ${code}: ${text}`
}

t.test('a library that is absent, damaged, or another one is named', async (t) => {
  const damaged = join(folder, 'damaged.so')
  await writeFile(damaged, 'no library')
  const says = async (path: string, pattern: RegExp) => t.match(await openedWith({ MULTIGATE_ONEDNN: path }), pattern)
  await says('off', /^OnednnUnavailable: MULTIGATE_ONEDNN is off$/)
  await says(join(folder, 'none.so'), /^OnednnUnavailable: MULTIGATE_ONEDNN: there is no file .*none\.so$/)
  await says(damaged, /^OnednnUnavailable: .*damaged\.so is no shared library$/)
  await says(folder, /^OnednnUnavailable: MULTIGATE_ONEDNN: there is no file \S+$/)
  t.match(
    await openedWith({ MULTIGATE_ONEDNN: '', XDG_CACHE_HOME: folder }),
    /^OnednnUnavailable: oneDNN is not installed: `node scripts\/setup-onednn\.mjs` in the folder of multigate installs it$/,
  )
})

t.test('a library that is cut off or changed is not loaded: its code would end the process', { skip }, async (t) => {
  const found = findLibrary()
  const whole = await readFile('path' in found ? found.path : '')
  for (const bytes of [40, 100, 20_000_000, whole.length - 1]) {
    const short = join(folder, 'short.so')
    await writeFile(short, whole.subarray(0, bytes))
    t.match(
      await openedWith({ MULTIGATE_ONEDNN: short }),
      new RegExp(`^OnednnUnavailable: .*short\\.so is cut off after ${bytes} bytes$`),
    )
  }
  await mkdir(join(folder, 'multigate/onednn-3.2'), { recursive: true })
  whole.fill(7, 20_000_000, 20_000_100)
  await writeFile(join(folder, 'multigate/onednn-3.2/libdnnl.so.3'), whole)
  t.match(
    await openedWith({ MULTIGATE_ONEDNN: '', XDG_CACHE_HOME: folder }),
    /^OnednnUnavailable: .*libdnnl\.so\.3 is damaged: `node scripts\/setup-onednn\.mjs` in the folder of multigate replaces it$/,
  )
})

t.test('a library without its functions is no oneDNN', { skip: process.platform !== 'linux' }, async (t) => {
  const { path } = libraryOfC()
  if (path === undefined) return t.pass('this system has no libm.so.6 in a known place')
  t.match(await openedWith({ MULTIGATE_ONEDNN: path }), /^OnednnUnavailable: .*libm\.so\.6 is no oneDNN 3: .*dnnl/)
})

for (const name of processorClasses)
  t.test(
    `oneDNN sees a processor of the class ${name} where the detection does`,
    { skip: skipFor(name) },
    async (t) => {
      const instructions = instructionsOf(name)
      for (const precision of ['bfloat16', 'int8'] as const) {
        const lacking = instructions && lackingFor(precision, instructions)
        const said = await openedWith(playing(name), precision)
        if (instructions !== undefined && lacking === undefined)
          t.match(said, new RegExp(`^oneDNN 3\\.\\d+\\.\\d+, ${instructions}$`))
        else
          t.equal(
            said,
            `OnednnUnavailable: the processor has ${lacking ?? 'no AVX-512'}, or ONEDNN_MAX_CPU_ISA masks ${lacking ? 'them' : 'it'}`,
          )
      }
    },
  )

/** Without the library, no class can be asked for. */
function skipFor(name: ProcessorClass): string | false {
  const found = findLibrary()
  return 'reason' in found ? found.reason : (cannotPlay(name) ?? false)
}

function libraryOfC(): { path: string | undefined } {
  const report = process.report.getReport() as unknown as { sharedObjects: string[] }
  return { path: report.sharedObjects.find((path) => path.endsWith('/libm.so.6')) }
}

function widened(bytes: ArrayBuffer, at: number, length: number): Float32Array {
  const words = new Uint16Array(bytes, at, length)
  return new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer)
}
