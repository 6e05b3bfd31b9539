import { writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { PredictBody } from '../../src/console/pages/playground/state/form.ts'
import type { Field } from '../../src/console/pages/playground/state/model.ts'
import { snippetOf } from '../../src/console/pages/playground/state/snippets.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { pythonWith } from '../support/python.ts'
import { startTestServer } from '../support/server.ts'

const triton = await pythonWith(['tritonclient[http]'])

t.test(
  'the program for tritonclient asks what the page asks',
  { skip: typeof triton === 'string' && triton },
  async (t) => {
    const models = await temporaryFolder(t)
    await writeTestBundle(models, { name: 'ads' })
    const { fastify, predict } = await startTestServer(t, { models })
    await fastify.listen({ host: '127.0.0.1', port: 0 })
    const url = `http://127.0.0.1:${(fastify.server.address() as AddressInfo).port}`
    const { fields } = (await fastify.inject('/models/ads')).json() as { fields: Field[] }
    const body: PredictBody = {
      model: 'ads',
      version: '1',
      context: { country: 'DE', hour: 20 },
      candidates: [
        { id: 'a', bid: 1, campaign: `it's "$HOME" \\ \n ש 😀`, price: 1.5, views: 3 },
        { id: 'b', campaign: 'c', price: 0 },
      ],
    }
    const file = join(await temporaryFolder(t), 'ask-triton.py')
    await writeFile(file, snippetOf('triton', { url, hasKey: false }, body, fields))
    if (typeof triton === 'string') return
    const printed = await triton.run(file, [])
    const { predictions } = (await predict(body)).body as { predictions: Record<string, number>[] }
    const lines = new Map(
      printed
        .trim()
        .split('\n')
        .map((line) => [line.split(' ', 1)[0]!, JSON.parse(line.slice(line.indexOf('[')))]),
    )
    t.same([...lines.keys()], ['ctr', 'cvr', 'ctcvr'])
    for (const [task, values] of lines)
      for (const [i, value] of (values as number[]).entries())
        t.ok(Math.abs(value - predictions[i]![task]!) < 1e-6, `${task}: ${value} is ${predictions[i]![task]}`)
  },
)
