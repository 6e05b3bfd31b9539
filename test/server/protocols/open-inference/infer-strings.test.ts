import t from 'tap'
import { stringsFromBytes, stringsFromJson } from '../../../../src/server/protocols/open-inference/infer-tensors.ts'
import { fc } from '../../../support/cases.ts'
import { stringBytes } from '../../../support/infer-body.ts'

t.test('any strings come back as they were', async (t) => {
  const strings = fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { maxLength: 12 })
  const same = fc.property(
    strings,
    (sent) => JSON.stringify(stringsFromBytes(stringBytes(sent), sent.length)) === JSON.stringify(sent),
  )
  t.doesNotThrow(() => fc.assert(same))
})

t.test('bytes that are not so many strings are refused with their place', async (t) => {
  const two = stringBytes(['DE', 'é'])
  t.same(stringsFromBytes(two, 2), ['DE', 'é'])
  t.match(stringsFromBytes(two, 1), { index: 1, message: 'is too much: 6 bytes follow the last of 1 strings' })
  t.match(stringsFromBytes(two, 3), { index: 2, message: 'has no length: only 0 bytes are left' })
  t.match(stringsFromBytes(two.subarray(0, 8), 2), { index: 1, message: 'has no length: only 2 bytes are left' })
  t.match(stringsFromBytes(two.subarray(0, 11), 2), { index: 1, message: /said to have 2 bytes, but only 1 are left/ })
  const huge = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x41])
  t.match(stringsFromBytes(huge, 1e15), { index: 0, message: /said to have 4294967295 bytes, but only 1/ })
})

t.test('bytes that are no text are refused, a replacement character that was sent is not', async (t) => {
  const bytes = Buffer.from([1, 0, 0, 0, 0x41, 1, 0, 0, 0, 0xff])
  t.match(stringsFromBytes(bytes, 2), { index: 1, message: 'must be UTF-8' })
  t.same(stringsFromBytes(stringBytes(['\ufffd']), 1), ['\ufffd'])
})

t.test('strings of JSON are strings', async (t) => {
  t.same(stringsFromJson(['a', '']), ['a', ''])
  for (const wrong of [1, null, true, ['a']])
    t.match(stringsFromJson(['a', wrong]), { index: 1, message: 'must be a string' })
})
