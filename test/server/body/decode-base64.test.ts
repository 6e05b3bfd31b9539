import t from 'tap'
import { decodeBase64, isBase64 } from '../../../src/server/protocols/tensorflow-serving/serving-rows.ts'
import { fc } from '../../support/cases.ts'

t.test('an object with b64 alone is base64', async (t) => {
  for (const value of [{ b64: '' }, { b64: 'eA==' }, { b64: 7 }]) t.ok(isBase64(value))
  for (const value of [{}, { b64: '', x: 1 }, ['b64'], 'b64', null, undefined, 7]) t.notOk(isBase64(value))
})

t.test('decoding undoes encoding, with padding or without', async () => {
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(text, (text) => {
      const b64 = Buffer.from(text).toString('base64')
      return decodeBase64({ b64 }) === text && decodeBase64({ b64: b64.replace(/=+$/, '') }) === text
    }),
  )
})

t.test('what is no base64, or no text, is refused', async (t) => {
  for (const b64 of [
    '=',
    'e',
    'eA=',
    'eA===',
    'eB==',
    'eA==\n',
    ' eA==',
    'e-_A',
    'eA==eA==',
    '/w==',
    7,
    null,
    ['eA=='],
  ])
    t.equal(decodeBase64({ b64 }), undefined, String(b64))
})
