// An application of its own, with multigate mounted below /rank: one process, one port, the application's own
// authentication.
import { join } from 'node:path'
import Fastify from 'fastify'
import { multigate } from 'multigate'

const models = process.env.MODELS ?? join(import.meta.dirname, '../../models')
const token = process.env.TOKEN ?? 'secret'

// However slow the machine is, Fastify does not give the start up: its limit is ten seconds per plugin.
const app = Fastify({ pluginTimeout: 0 })

app.get('/', async () => ({ name: 'shop' }))

// A context of its own: the hook runs for the routes of multigate, and for no others.
await app.register(async (ranking) => {
  ranking.addHook('onRequest', async (request, reply) => {
    if (request.headers.authorization === `Bearer ${token}`) return
    await reply.code(401).send({ error: 'the header authorization must be Bearer and the token' })
  })
  await ranking.register(multigate, {
    prefix: '/rank',
    models,
    onLoaded: (problems) => console.log(problems.length === 0 ? 'the models are ready' : problems.join('\n')),
  })
})

console.log(`listening at ${await app.listen({ port: Number(process.env.PORT ?? 8080) })}`)
process.once('SIGTERM', () => app.close())
