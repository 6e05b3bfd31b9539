import { createHash } from 'node:crypto'
import t from 'tap'
import { decodeDelta, encodeDelta } from '../../../../src/model/serving/deltas/delta-file.ts'
import { checkDelta } from '../../../../src/model/serving/deltas/expectation.ts'
import { randomCases, seed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'

const cases = randomCases(3000)

const expected = {
  model: 'ads',
  version: '1',
  base: '0'.repeat(64),
  fields: [{ name: 'ad', ids: 100, width: 4, table: 0, first: 0 }],
  others: ['hour'],
}

function goodFile(dice: Dice): Buffer {
  const count = dice.between(1, 20)
  const ids = dice.shuffled(Array.from({ length: 100 }, (_, id) => id)).slice(0, count)
  const table = { field: 'ad', width: 4, ids: Uint32Array.from(ids), rows: dice.floats(count * 4) }
  return encodeDelta({ model: 'ads', version: '1', base: '0'.repeat(64), sequence: 1, tables: [table] })
}

/** Changes bytes, or cuts, repeats or inserts some; often with a checksum that is right again. */
function broken(file: Buffer, dice: Dice): Buffer {
  let bytes: Buffer = Buffer.from(file)
  for (let i = dice.between(1, 4); i > 0; i--) {
    const at = dice.below(bytes.length + 1)
    const count = dice.between(1, 12)
    const random = Buffer.from(Array.from({ length: count }, () => dice.below(256)))
    const kind = dice.below(4)
    if (kind === 0) random.copy(bytes, Math.min(at, bytes.length))
    else if (kind === 1) bytes = bytes.subarray(0, at)
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), random, bytes.subarray(at)])
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(at + count, bytes.length))])
  }
  if (bytes.length < 32 || dice.chance(0.3)) return bytes
  const body = bytes.subarray(0, -32)
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

t.test(`files of random bytes are read or refused (seed ${seed})`, async (t) => {
  const dice = new Dice(seed)
  let accepted = 0
  let refused = 0
  for (let i = 0; i < cases; i++) {
    const bytes = broken(goodFile(dice), dice)
    try {
      const delta = decodeDelta(bytes)
      checkDelta(delta, expected)
      // A delta that is accepted is in order, however it came about.
      const [{ ids, rows }] = delta.tables as [(typeof delta.tables)[0]]
      if (ids.some((id) => id >= 100) || rows.length !== 4 * ids.length || !rows.every(Number.isFinite))
        throw new TypeError('a wrong file is accepted')
      accepted++
    } catch (error) {
      if (!(error instanceof Error) || error.constructor !== Error || error.message === '') throw error
      refused++
    }
  }
  t.equal(accepted + refused, cases)
  t.ok(accepted > 0 && refused > 0, `${accepted} accepted, ${refused} refused`)
})
