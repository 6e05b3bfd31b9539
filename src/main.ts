import { beginStart, failStart } from './start.ts'

// The process's entry: configuration → app → listen → graceful close. The same as `multigate serve`.
const start = beginStart()
try {
  // Loaded when signals are handled.
  const { createServeCommand } = await import('./configuration.ts')
  const { runServer } = await import('./run-server.ts')
  const command = createServeCommand((flags) => runServer(flags, start), 'npm start --')
  await command.parseAsync(process.argv.slice(2), { from: 'user' })
} catch (error) {
  failStart(error)
}
