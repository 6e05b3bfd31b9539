import Fastify from 'fastify'

/*
 * The baseline: a child process with bare Fastify. `POST /predict` parses its JSON body with Fastify's parser, ignores
 * it, and answers with the object that the parent sent over IPC, a real answer to such a request. It has no validation,
 * model, logs or metrics: no service on Fastify can be faster.
 */

let answer: unknown = {}
process.on('message', (message) => {
  answer = message
  process.send?.('taken')
})
// The parent has ended.
process.on('disconnect', () => process.exit())

const fastify = Fastify({ bodyLimit: 16 * 1024 * 1024 })
fastify.post('/predict', async () => answer)
fastify.get('/cpu', async () => process.cpuUsage())
console.log(`listening at ${await fastify.listen({ host: '127.0.0.1', port: 0 })}`)
