import closeWithGrace from 'close-with-grace'
import { createServeCommand, readConfiguration } from './configuration.ts'
import { reasonOf } from './model/errors.ts'
import { type RunningServer, serve } from './serve.ts'

/** Longest time for what was accepted to be answered after the drain delay, ms; then the process ends all the same. */
const longestDrain = 30_000

// The process's entry: configuration → app → listen → graceful close.
await createServeCommand(async (flags) => {
  let server: RunningServer
  try {
    const { configuration, unknown } = readConfiguration(process.env, flags)
    server = await serve(configuration)
    for (const name of unknown)
      server.fastify.log.warn(`${name} is not a setting of multigate; see multigate serve --help`)
    closeWithGrace(
      { delay: configuration.MULTIGATE_DRAIN_DELAY_MS + longestDrain, logger: server.fastify.log },
      async ({ err }) => {
        if (err) server.fastify.log.error({ err }, 'stopping after an unforeseen error')
        await server.close()
      },
    )
  } catch (error) {
    console.error(`multigate can't start: ${reasonOf(error)}`)
    process.exit(1)
  }
}).parseAsync(process.argv[2] === 'serve' ? process.argv.slice(3) : process.argv.slice(2), { from: 'user' })
