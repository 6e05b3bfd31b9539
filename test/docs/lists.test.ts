import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { listBlocks, writeShop } from '../support/list-docs.ts'
import { startTestServer } from '../support/server.ts'

/* The requests with lists of docs/api.md: all ask the same, and get the page's answer. */

const blocks = await listBlocks()
const models = await temporaryFolder(t)
await writeShop(models)
const { fastify } = await startTestServer(t, { models })

t.test('every request is answered as the page says', async (t) => {
  const [, answer] = blocks.find(([name]) => name === 'answer')!
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
