#!/usr/bin/env node
import { beginStart, failStart, type Start } from './app/start.ts'

// Entry of the command line. Signals are handled before commands are loaded.
const [command] = process.argv.slice(2)
const controller = new AbortController()
// A server shuts down by itself; other commands are aborted.
let start: Start | undefined
if (command === 'serve') start = beginStart()
else for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => controller.abort(new Error('interrupted')))
// The reader of the output, such as `head`, has closed it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})
try {
  process.exitCode = await run()
} catch (error) {
  failStart(error)
}

/** Imports the commands' definitions; each command imports its own libraries when it runs. */
async function run(): Promise<number> {
  const [{ runProgram }, { createCommands }] = await Promise.all([
    import('./tools/commands/program.ts'),
    import('./tools/commands/all-commands.ts'),
  ])
  const { stdout: out, stderr: err, argv } = process
  const context = { args: argv.slice(2), signal: controller.signal, out, err, exitCode: 0 }
  return runProgram(await createCommands(context, start), context)
}
