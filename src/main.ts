import { beginStart, failStart } from './app/start.ts'

// Entry of the server process: the same as `multigate serve`.
const start = beginStart()
try {
  // Signals are handled before these are loaded.
  const { createServeCommand } = await import('./base/configuration.ts')
  const { runServer } = await import('./app/cluster/run-server.ts')
  const command = createServeCommand((flags) => runServer(flags, start), 'npm start --')
  await command.parseAsync(process.argv.slice(2), { from: 'user' })
} catch (error) {
  failStart(error)
}
