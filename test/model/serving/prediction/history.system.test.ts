// The bundled model with lists. shipped.full.test.ts judges it on fresh rows.
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { startTestServer } from '../../../support/server.ts'

const models = join(import.meta.dirname, '../../../../../models')

t.test('ads-history answers by what the user has clicked, and how long ago', async (t) => {
  const { golden } = (await readBundle(models, 'ads-history', '1')).manifest
  const { predict } = await startTestServer(t, { models })
  const row = golden!.rows[0]!
  const ask = async (history: string[], ages: number[]) => {
    const candidates = [{ ...row, history, history_age: ages, campaign: 'c1' }]
    const { status, body } = await predict({ model: 'ads-history', candidates, options: { unknown: true } })
    t.equal(status, 200)
    return body.predictions[0]
  }
  const [never, recently, longAgo] = [await ask([], []), await ask(['c1'], [60]), await ask(['c1'], [2000])]
  t.ok(recently.ctr > 1.5 * never.ctr, `${never.ctr}, after a click on it ${recently.ctr}`)
  t.ok(recently.ctr > 1.2 * longAgo.ctr, `${longAgo.ctr}, if that was long ago`)
  t.ok(recently.cvr > never.cvr)
  t.match(await ask(['c1', 'nothing'], [60, 50]), { unknown: ['history[1]'], ctr: recently.ctr })
  const many = Array.from({ length: 60 }, (_, i) => `c${i}`)
  const cut = await ask(
    many,
    many.map((_, i) => 60 - i),
  )
  t.same([cut.cut, cut.unknown], [['history', 'history_age'], []], 'the latest 50 count')
})
