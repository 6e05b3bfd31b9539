import { beginStart, failStart } from './app/start.ts'

// The process's entry: configuration → app → listen → graceful close. The same as `multigate serve`.
const start = beginStart()
try {
  // Loaded when signals are handled.
  const { createServeCommand } = await import('./config/configuration.ts')
  const { runServer } = await import('./cluster/run-server.ts')
  const command = createServeCommand((flags) => runServer(flags, start), 'npm start --')
  await command.parseAsync(process.argv.slice(2), { from: 'user' })
} catch (error) {
  failStart(error)
}
