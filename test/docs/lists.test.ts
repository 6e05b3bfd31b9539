import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Features } from '../../src/schemas/features.ts'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { startTestServer } from '../support/server.ts'

/* The requests with lists of docs/api.md: all ask the same, and get the page's answer. */

const page = await readFile(fileURLToPath(new URL('../../../docs/api.md', import.meta.url)), 'utf8')
const blocks = [...page.matchAll(/<!-- lists: (.+) -->\n```json\n([\s\S]*?)\n```/g)].map(
  ([, name, text]) => [name!, JSON.parse(text!)] as const,
)
const block = (name: string) => blocks.find(([other]) => other === name)![1]
const models = await temporaryFolder(t)
const features: Features = block('features')
const { context, candidates } = block('POST /predict')
const rows = candidates.map((candidate: object) => ({ ...context, ...candidate }))
await writeTestBundle(models, { name: 'shop', rows, manifest: { features } })
const { fastify } = await startTestServer(t, { models })

t.test('every request is answered as the page says', async (t) => {
  const answer = block('answer')
  const { request_id: _, ...answered } = answer
  const requests = blocks.filter(([name]) => name.startsWith('POST '))
  t.equal(requests.length, 4)
  for (const [name, body] of requests) {
    const url = name.slice('POST '.length)
    const reply = await fastify.inject({ method: 'POST', url, payload: body })
    t.equal(reply.statusCode, 200, reply.payload)
    const { predictions, outputs, request_id: __, ...others } = reply.json()
    if (body.options !== undefined) t.same({ ...others, predictions }, answered)
    for (const task of ['ctr', 'cvr', 'ctcvr']) {
      const expected = answer.predictions.map((row: any) => row[task])
      const column = Array.isArray(outputs) ? outputs.find(({ name }) => name === task).data : outputs?.[task]
      const given = column ?? (Array.isArray(predictions) ? predictions.map((row) => row[task]) : predictions[task])
      t.same(given, expected, `${name} ${task}`)
    }
  }
})
