import { createServeCommand } from './configuration.ts'
import { runServer } from './run-server.ts'

// The process's entry: configuration → app → listen → graceful close. The same as `multigate serve`.
await createServeCommand(runServer, 'npm start --').parseAsync(process.argv.slice(2), { from: 'user' })
