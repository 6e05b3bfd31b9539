import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import type { Precision } from '../../../src/schemas/precision.ts'
import { withoutBfloat16 } from '../../support/onednn.ts'
import { quantize, writeShop } from '../../support/quantize.ts'

t.test('writes nothing where the precision fails its check', async (t) => {
  // Large weights of the numbers: their rounding shows.
  const shop = await writeShop(t, { bundle: { numberScale: 3000 } })
  const { code, printed, said } = await quantize(shop, { precision: 'int8', json: false })
  t.equal(code, 3)
  t.match(printed, /^shop\/2: int8 \(was float32\), with 1,200 quantization rows; this machine serves float32\n/)
  t.match(printed, /float32 is served, not int8: /)
  t.match(printed, /\nint8 +AUC loss +mean change [\s\S]*exceeds the limits: /)
  t.match(said, /nothing was written\n$/)
  t.same(await readdir(join(shop.models, 'shop')), ['1'])
})

t.test('bfloat16 that this machine can not compute is left to machines that can', async (t) => {
  const shop = await writeShop(t)
  const { code, printed } = await quantize(shop, { precision: 'bfloat16', keepPrecision: true })
  t.equal(code, 0)
  const { served, verdict, notes } = JSON.parse(printed)
  const missing = withoutBfloat16()
  if (missing === undefined)
    t.match({ served, verdict }, { served: { precision: 'bfloat16' }, verdict: { passed: true } })
  else t.match({ served, notes }, { served: { precision: 'float32' }, notes: [/float32 is served, not bfloat16: /] })
  t.match((await readBundle(shop.models, 'shop', '2')).manifest, { precision: 'bfloat16', keep_precision: true })
})

t.test('says which tasks no machine can compare, and refuses those that the model lacks', async (t) => {
  const label = 'click == "1"'
  const one = await writeShop(t, { spec: { tasks: [{ name: 'ctr', label }] } })
  const notesOf = async (precision: Precision) =>
    JSON.parse((await quantize(one, { dryRun: true, precision, keepPrecision: true })).printed).notes
  const unlabelled = "the rows that judge have no labels of both classes for cvr: their AUC can't be compared"
  t.same(await notesOf('float32'), [unlabelled])
  const uncompared = 'the AUC of ctr, cvr was not compared: its quantization rows have too few labels, or of one class'
  t.same(await notesOf('int8'), [uncompared, unlabelled])
  // The fastest precision differs even from run to run: the AUC concerns precisions that round.
  const { served, notes } = JSON.parse((await quantize(one, { dryRun: true })).printed)
  t.match(notes[0], `precision auto: ${served.precision} is served; `)
  t.same(notes.slice(1), served.precision === 'float32' ? [unlabelled] : [uncompared, unlabelled])
  const wrong = await writeShop(t, { spec: { tasks: [{ name: 'click', label }] } })
  await t.rejects(quantize(wrong), { message: /\/tasks\/0\/name "click" is no task of the model: ctr, cvr, ctcvr/ })
})
