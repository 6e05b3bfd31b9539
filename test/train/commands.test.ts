import { join } from 'node:path'
import t from 'tap'
import { type RunEvaluateOptions, runEvaluate } from '../../src/train/commands.ts'
import { specs, tinyCsv, tinySpec } from '../support/tiny.ts'

t.test('evaluates what a service answers', async (t) => {
  const folder = t.testdir({ 'tiny.csv': tinyCsv(), 'spec.yaml': JSON.stringify(tinySpec()) })
  const asked: Record<string, unknown>[] = []
  const service = async (_: unknown, init: { body: string }) => {
    const body = JSON.parse(init.body)
    asked.push(body)
    const half = body.candidates.colour.map(() => 0.5)
    return new Response(JSON.stringify({ predictions: { ctr: half, cvr: half, ctcvr: half } }))
  }
  const out: string[] = []
  const err: string[] = []
  const options: RunEvaluateOptions = {
    spec: join(folder, 'spec.yaml'),
    specs,
    models: folder,
    url: 'http://service/base',
    model: undefined,
    modelVersion: undefined,
    int8: false,
    cache: undefined,
    now: () => 0,
    fetch: service as unknown as typeof fetch,
    sleep: async () => {},
    signal: new AbortController().signal,
    out: { write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
  }
  await runEvaluate(options)
  t.match(out.join(''), /^task .*\n─.*\nctr +80 +\d+ +0\.5000 /)
  t.same(err, ['tiny at http://service/base, 80 test rows of tiny\n'])
  await runEvaluate({ ...options, model: 'other', modelVersion: '2' })
  t.match(asked, [
    { model: 'tiny', candidates: { is_red: Array } },
    { model: 'other', version: '2' },
  ])
  t.notOk('version' in asked[0]!)
})
