import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ModelError } from '../../../../src/base/errors.ts'
import { readKerasArchive } from '../../../../src/tools/convert/keras/archive.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { type ZipEntry, zip } from '../../../support/zip.ts'

const text = (name: string, value: string): ZipEntry => ({ name, bytes: Buffer.from(value) })
const weights: ZipEntry = { name: 'model.weights.h5', bytes: Uint8Array.from({ length: 5000 }, (_, i) => i % 7) }
const whole = [text('metadata.json', '{"keras_version":"3"}'), text('config.json', '{"a":1}'), weights]

async function read(t: Test, bytes: Uint8Array) {
  const path = join(t.testdir(), 'model.keras')
  await writeFile(path, bytes)
  return readKerasArchive(path)
}

const refused = async (t: Test, bytes: Uint8Array, message: RegExp) =>
  t.rejects(read(t, bytes), { code: 'INVALID_BUNDLE', message })

t.test('the three parts are read, whatever else there is', async (t) => {
  const archive = await read(t, zip(whole.map((entry) => ({ ...entry, deflate: true }))))
  t.match(archive, { config: '{"a":1}', metadata: '{"keras_version":"3"}' })
  t.same(archive.weights, weights.bytes)
  t.match(await read(t, zip([...whole, text('assets/note.txt', 'x')])), { config: '{"a":1}' })
})

t.test('what is missing, twice, encrypted or damaged is refused by name', async (t) => {
  await refused(t, zip(whole.slice(1)), /model\.keras: has no metadata\.json/)
  await refused(t, zip([...whole, whole[1]!]), /more than one config\.json/)
  await refused(t, zip([whole[0]!, { ...whole[1]!, encrypted: true }, weights]), /encrypted/)
  await refused(t, zip([...whole.slice(0, 2), { ...weights, claims: { crc: 1 } }]), /model\.weights\.h5 is damaged/)
  await refused(t, zip([...whole, text('../config.json', '{}')]), /invalid relative path/)
  await refused(t, Buffer.from('PK, but no more'), /can't be read as a zip archive/)
  await t.rejects(readKerasArchive(join(t.testdir(), 'nothing.keras')), { code: 'INVALID_BUNDLE', message: /ENOENT/ })
})

t.test('bombs are refused by what they say, and by what comes out', async (t) => {
  const bomb = Buffer.alloc(64 * 1024 * 1024)
  await refused(t, zip([whole[0]!, whole[1]!, { ...weights, bytes: bomb, deflate: true }]), /which no model does/)
  const lie = { ...weights, bytes: bomb, deflate: true, claims: { size: 1000 } }
  await refused(t, zip([whole[0]!, whole[1]!, lie]), /too many bytes in the stream/)
  const huge = { ...whole[1]!, deflate: true, claims: { size: 2 ** 31 } }
  await refused(t, zip([whole[0]!, huge, weights]), /config\.json has 2147483648 bytes; at most/)
  const many = Array.from({ length: 10_001 }, (_, i) => text(`assets/${i}`, ''))
  await refused(t, zip([...whole, ...many]), /entries, more than 10000/)
})

t.test('an archive that is cut off, or changed anywhere, is refused, or read as it was', async (t) => {
  const bytes = zip(whole.map((entry) => ({ ...entry, deflate: true })))
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, by, cut) => {
      const changed = cut ? bytes.subarray(0, at) : Buffer.from(bytes)
      if (!cut) changed[at]! ^= by
      const result = await read(t, changed).catch((error: unknown) => error)
      if (result instanceof ModelError) return result.code === 'INVALID_BUNDLE'
      return (result as { config: string }).config === '{"a":1}'
    }),
    { numRuns: randomCases(200) },
  )
})
