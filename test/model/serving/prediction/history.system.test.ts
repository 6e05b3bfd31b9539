// The bundled model with lists. shipped.full.test.ts judges it on fresh rows.
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import { startTestServer } from '../../../support/server.ts'

const models = join(import.meta.dirname, '../../../../../models')

t.test('ads-history answers by what the user has clicked, and how long ago', async (t) => {
  const { golden } = (await readBundle(models, 'ads-history', '1')).manifest
  const { predict } = await startTestServer(t, { models })
  const { rows } = golden!
  /** Answers to the golden rows, if their users had clicked on something else. */
  const ask = async (clicked: (campaign: string) => string[], ages: number[]) => {
    const candidates = rows.map((row) => ({ ...row, history: clicked(String(row.campaign)), history_age: ages }))
    const { status, body } = await predict({ model: 'ads-history', candidates, options: { unknown: true } })
    t.equal(status, 200)
    return body.predictions as { ctr: number; cvr: number; unknown: string[]; cut: string[] }[]
  }
  const mean = (answers: { ctr: number; cvr: number }[], task: 'ctr' | 'cvr') =>
    answers.reduce((sum, answer) => sum + answer[task], 0) / answers.length
  const same = (campaign: string) => [campaign]
  const [never, recently, longAgo] = [await ask(() => [], []), await ask(same, [60]), await ask(same, [2000])]
  const means = [never, recently, longAgo].map((answers) => mean(answers, 'ctr'))
  t.ok(means[1]! > 1.5 * means[0]! && means[1]! > 1.5 * means[2]!, `never, recently, long ago: ${means.join()}`)
  t.ok(mean(recently, 'cvr') > mean(never, 'cvr'))
  const [withUnknown] = await ask((campaign) => [campaign, 'nothing'], [60, 50])
  t.match(withUnknown, { unknown: ['history[1]'], ctr: recently[0]!.ctr })
  const many = Array.from({ length: 60 }, (_, i) => `c${i}`)
  const [cut] = await ask(
    () => many,
    many.map((_, i) => 60 - i),
  )
  t.same([cut!.cut, cut!.unknown], [['history', 'history_age'], []], 'the latest 50 count')
})
