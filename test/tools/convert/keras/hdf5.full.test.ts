import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { readHdf5, readWhole } from '../../../../src/tools/convert/keras/hdf5.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { type Hdf5Contents, hdf5 } from '../../../support/hdf5.ts'

const read = async (contents: Hdf5Contents) => readHdf5(await hdf5(contents), 'test.h5')
const matrix = { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] }

t.test('tensors and texts are read; what an optimizer keeps is not', async (t) => {
  const file = await read({
    tensors: {
      'layers/dense/vars/0': matrix,
      'layers/dense_10/vars/0': { shape: [], values: [7] },
      'layers/dense_2/vars/0': { shape: [2], values: [0.5, 0.25], dtype: '<f8' },
      'optimizer/vars/0': { shape: [1], values: [3], dtype: '<i4' },
      'layers/dropout/seed_generator/vars/0': { shape: [2], values: [1, 2], dtype: '<i4' },
    },
    attributes: {
      '': { layer_names: ['b', 'a'], keras_version: '2.15.0' },
      a: { weight_names0: ['x'], weight_names1: ['y', 'z'] },
    },
  })
  t.same([...file.tensors.keys()], ['layers/dense/vars/0', 'layers/dense_10/vars/0', 'layers/dense_2/vars/0'])
  t.same(file.tensors.get('layers/dense/vars/0'), { shape: [2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) })
  t.same(file.tensors.get('layers/dense_10/vars/0'), { shape: [], values: Float32Array.of(7) })
  t.same(file.tensors.get('layers/dense_2/vars/0')?.values, Float32Array.of(0.5, 0.25))
  t.match(file.attributes.get(''), { layer_names: ['b', 'a'], keras_version: '2.15.0' })
  t.same(file.attributes.get('a'), { weight_names: ['x', 'y', 'z'] }, 'a list that was cut up')
})

t.test('other numbers and links are refused, with their place', async (t) => {
  const refused = (contents: Hdf5Contents, message: RegExp) =>
    t.rejects(read(contents), { code: 'INVALID_BUNDLE', message })
  await refused(
    { tensors: { 'a/b': { shape: [1], values: [1], dtype: '<i4' } } },
    /test\.h5: \/a\/b is of type "<i", not float32/,
  )
  await refused({ links: { 'a/b': ['/etc/passwd', '/x'] } }, /\/a\/b is a broken link, or a link to another file/)
  await refused({ links: { 'a/b': '/nowhere' } }, /\/a\/b is a broken link/)
  // The library follows sixteen links.
  await refused({ links: { 'a/b': '/a' } }, /is not a valid HDF5 file/)
  const deep = Array.from({ length: 40 }, () => 'g').join('/')
  await refused({ tensors: { [`${deep}/x`]: matrix } }, /is more than 32 groups deep/)
})

t.test('what is no HDF5 file, or is cut off, is refused', async (t) => {
  await t.rejects(readHdf5(new Uint8Array(Buffer.from('hello')), 'x.h5'), {
    code: 'INVALID_BUNDLE',
    message: /^x\.h5: is not an HDF5 file, or is truncated$/,
  })
  const bytes = await hdf5({ tensors: { 'layers/dense/vars/0': matrix } })
  await t.rejects(readHdf5(bytes.slice(0, bytes.length - 100), 'x.h5'), { message: /truncated/ })
})

t.test('a file changed anywhere is refused, or read, and nothing else', async () => {
  const bytes = await hdf5({ tensors: { 'layers/dense/vars/0': matrix, 'layers/dense/vars/1': matrix } })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
      async (changes) => {
        const changed = bytes.slice()
        for (const [at, value] of changes) changed[at] = value
        const result = await readHdf5(changed, 'x.h5').catch((error: unknown) => error)
        if (result instanceof Error) return result instanceof ModelError && result.code === 'INVALID_BUNDLE'
        return true
      },
    ),
    { numRuns: randomCases(25) },
  )
})

t.test('a thread that goes in circles is given up', async (t) => {
  const script = new URL('../../../support/keras/hanging-thread.js', import.meta.url)
  const bytes = await hdf5({ tensors: { x: matrix } })
  await t.rejects(readHdf5(bytes, 'x.h5', { milliseconds: 50, script }), {
    code: 'INVALID_BUNDLE',
    message: /^x\.h5: could not be read within 0\.05 s$/,
  })
})

t.test('a file is read whole, within bounds', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'x.h5')
  await writeFile(path, 'abc')
  t.same(await readWhole(path, 3), new Uint8Array(Buffer.from('abc')))
  await t.rejects(readWhole(path, 2), { code: 'INVALID_BUNDLE', message: /has 3 bytes; at most 2/ })
  await t.rejects(readWhole(folder, 2), { code: 'INVALID_BUNDLE', message: /is not a file/ })
  await t.rejects(readWhole(join(folder, 'y.h5'), 2), { code: 'INVALID_BUNDLE', message: /y\.h5 is missing/ })
})
