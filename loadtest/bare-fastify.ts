import Fastify from 'fastify'

/*
 * The baseline: a child process with Fastify and nothing else. `POST /predict` parses its JSON body with Fastify's own
 * parser, doesn't look at it, and answers the object that the parent has sent over IPC (a real answer to such a request)
 * with JSON.stringify. No validation, no model, no logs, no metrics. What it can't do faster, no service on Fastify can.
 */

let answer: unknown = {}
process.on('message', (message) => {
  answer = message
  process.send?.('taken')
})
// The parent is gone.
process.on('disconnect', () => process.exit())

const fastify = Fastify({ bodyLimit: 16 * 1024 * 1024 })
fastify.post('/predict', async () => answer)
fastify.get('/cpu', async () => process.cpuUsage())
console.log(`listening at ${await fastify.listen({ host: '127.0.0.1', port: 0 })}`)
