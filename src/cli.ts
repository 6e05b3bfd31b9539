#!/usr/bin/env node
import { beginStart, failStart, type Start } from './app/start.ts'

// The command line's entry. Commands are loaded when signals are handled.
const [command] = process.argv.slice(2)
const controller = new AbortController()
// A server stops by itself; what other commands do is given up.
let start: Start | undefined
if (command === 'serve') start = beginStart()
else process.once('SIGINT', () => controller.abort(new Error('interrupted')))
// Who reads no further, as `head`, has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})
try {
  const { runCli } = await import('./program.ts')
  process.exitCode = await runCli(process.argv.slice(2), controller.signal, start)
} catch (error) {
  failStart(error)
}
