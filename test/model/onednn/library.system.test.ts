import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { findLibrary } from '../../../src/model/onednn/find-library.ts'
import { openLibrary, type ProductShape } from '../../../src/model/onednn/library.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { withoutOnednn } from '../../support/onednn.ts'

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
        product.run({ region, at: at.rounded }, weights, { region, at: at.bias }, { region, at: at.out })
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
    { numRuns: 80 },
  )
})

t.test('memory that a call would leave is refused before it', { skip }, async (t) => {
  const library = openLibrary()
  const product = library.product({ rows: 16, k: 64, n: 32, input: 'bfloat16', output: 'float32', relu: false })
  const weights = library.pack(new Float32Array(64 * 32), 64, 32, [product])
  const region = library.region(new ArrayBuffer(16 * 64 * 2))
  const place = { region, at: 0 }
  const outside = /are not inside a region of 2048 bytes/
  t.doesNotThrow(() => product.run(place, weights, place, place))
  t.throws(() => product.run({ region, at: 1 }, weights, place, place), outside)
  t.throws(() => product.run({ region, at: -1 }, weights, place, place), outside)
  t.throws(() => product.run({ region, at: Number.NaN }, weights, place, place), outside)
  t.throws(() => product.run(place, weights, { region, at: 1984 }, place), outside)
  t.throws(() => product.run(place, weights, place, { region, at: 4 }), outside)
  const other = library.product({ rows: 16, k: 32, n: 32, input: 'bfloat16', output: 'float32', relu: false })
  t.throws(() => other.run(place, weights, place, place), /weights \[64, 32\] are not those of a product \[32, 32\]/)
  t.throws(() => library.pack(new Float32Array(5), 2, 3, []), /5 values are no matrix \[2, 3\]/)
})

/** What a process says that opens the library. */
async function openedWith(environment: Record<string, string>): Promise<string> {
  const program = `
    const { openFastLibrary } = await import(${JSON.stringify(new URL('../../../src/model/onednn/library.js', import.meta.url).href)})
    try {
      console.log(openFastLibrary().title)
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
  await says(damaged, /^OnednnUnavailable: .*damaged\.so can't be loaded: /)
  t.match(
    await openedWith({ MULTIGATE_ONEDNN: '', XDG_CACHE_HOME: folder }),
    /^OnednnUnavailable: oneDNN is not installed: run `npm run setup:onednn`$/,
  )
})

t.test('a library without its functions is no oneDNN', { skip: process.platform !== 'linux' }, async (t) => {
  const { path } = libraryOfC()
  if (path === undefined) return t.pass('this system has no libm.so.6 in a known place')
  t.match(await openedWith({ MULTIGATE_ONEDNN: path }), /^OnednnUnavailable: .*libm\.so\.6 is no oneDNN 3: .*dnnl/)
})

t.test('masked instructions are missing ones', { skip }, async (t) => {
  const found = findLibrary()
  const path = 'path' in found ? found.path : ''
  t.match(
    await openedWith({ MULTIGATE_ONEDNN: path, ONEDNN_MAX_CPU_ISA: 'AVX2' }),
    /^OnednnUnavailable: the processor has no AVX-512, or ONEDNN_MAX_CPU_ISA masks it$/,
  )
  t.match(
    await openedWith({ MULTIGATE_ONEDNN: path, ONEDNN_MAX_CPU_ISA: 'AVX512_CORE' }),
    /^OnednnUnavailable: the processor has neither AMX nor AVX512-BF16, or ONEDNN_MAX_CPU_ISA masks them$/,
  )
})

function libraryOfC(): { path: string | undefined } {
  const report = process.report.getReport() as unknown as { sharedObjects: string[] }
  return { path: report.sharedObjects.find((path) => path.endsWith('/libm.so.6')) }
}

function widened(bytes: ArrayBuffer, at: number, length: number): Float32Array {
  const words = new Uint16Array(bytes, at, length)
  return new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer)
}
