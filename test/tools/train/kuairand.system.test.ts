// The spec kuairand on generated files of the public format: header, order and values as in KuaiRand-Pure.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readBundle } from '../../../src/model/serving/version/read-version.ts'
import { readDataset } from '../../../src/tools/data/dataset.ts'
import { createRandom } from '../../../src/tools/data/random.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import { readingsOf } from '../../../src/tools/train/fields.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs } from '../../support/tiny.ts'
import { trainIn } from '../../support/trained.ts'

const header =
  'user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab'
const day = 24 * 3600 * 1000
/** Midnight of 8 April 2022 in Beijing. */
const start = Date.UTC(2022, 3, 7, 16)

interface Impression {
  user: number
  video: number
  time: number
  click: number
  longView: number
}

/** Impressions of `days` days, in the order of the public files: by user, then by time. */
function drawLog(first: number, days: number, perUser: number): { rows: Impression[]; csv: string } {
  const random = createRandom(first)
  const rows: Impression[] = []
  const lines = [header]
  for (let user = 0; user < 40; user++) {
    const times = Array.from({ length: perUser }, () => start + first * day + random.integer(days * day))
    for (const time of times.sort((a, b) => a - b)) {
      const video = random.integer(30)
      const click = Number(random.uniform() < (video % 2 === user % 2 ? 0.6 : 0.2))
      const longView = click * random.integer(2)
      const like = Number(click === 1 && random.uniform() < 0.2)
      const local = new Date(time + 8 * 3600 * 1000)
      const date = local.toISOString().slice(0, 10).replaceAll('-', '')
      const [duration, played] = [5000 + 1000 * video, click * 9000]
      const feedback = [click, like, 0, 0, 0, 0, longView, played, duration, 0, 0, 0, 0]
      lines.push([user, video, date, local.getUTCHours() * 100, time, ...feedback, random.integer(3)].join(','))
      rows.push({ user, video, time, click, longView })
    }
  }
  return { rows, csv: `${lines.join('\n')}\n` }
}

t.test('the spec trains on files of the public format, with histories of earlier clicks', async (t) => {
  const folder = await temporaryFolder(t)
  const logs = {
    'log_standard_4_08_to_4_21_pure.csv': drawLog(0, 14, 25),
    'log_standard_4_22_to_5_08_pure.csv': drawLog(14, 17, 8),
  }
  for (const [name, { csv }] of Object.entries(logs)) await writeFile(join(folder, name), csv)
  const loaded = await readSpec('kuairand', specs)
  const written = loaded.spec.data as { csv: string[] }
  t.strictSame(
    written.csv.map((file) => file.slice(file.lastIndexOf('/') + 1)),
    Object.keys(logs),
  )
  const data = { ...written, csv: Object.keys(logs).map((name) => join(folder, name)) }
  const spec = { ...loaded.spec, data: { ...loaded.spec.data, ...data } }
  const { cells, parts } = await readDataset({ file: loaded.file, spec }, readingsOf(spec.fields, spec.history))

  const rows = Object.values(logs).flatMap((log) => log.rows)
  const names = spec.fields.map(({ name }) => name)
  const lists = cells[names.indexOf('history_video_id')]!
  const longViews = cells[names.indexOf('history_long_view')]!
  const hours = cells[names.indexOf('hour')]!
  rows.forEach((row, index) => {
    const clicked = rows.filter(({ user, time, click }) => user === row.user && time < row.time && click === 1)
    const latest = clicked.sort((a, b) => a.time - b.time).slice(-50)
    t.strictSame(
      lists.at(index),
      latest.map(({ video }) => String(video)),
    )
    t.strictSame(
      longViews.at(index),
      latest.map(({ longView }) => longView),
    )
    t.equal(hours.at(index), new Date(row.time + 8 * 3600 * 1000).getUTCHours())
  })
  const timesOf = (part: Int32Array) => Array.from(part, (row) => rows[row]!.time)
  t.ok(Math.max(...timesOf(parts.train)) < Math.min(...timesOf(parts.validation)))
  t.ok(Math.max(...timesOf(parts.validation)) < Math.min(...timesOf(parts.test)))

  const extended = { extends: join(specs, 'kuairand.yaml'), data, training: { epochs: 1, batch_size: 128 } }
  await trainIn(folder, extended)
  const { manifest } = await readBundle(join(folder, 'models'), 'kuairand', '1')
  t.strictSame(
    manifest.tasks.map(({ name }) => name),
    ['click', 'long_view', 'like'],
  )
  // Feedback and watch time are inputs of later impressions alone.
  t.strictSame(
    manifest.features.map(({ name }) => name),
    ['user_id', 'tab', 'hour', 'video_id', 'duration_ms', 'history_video_id', 'history_long_view', 'history_is_like'],
  )
})
