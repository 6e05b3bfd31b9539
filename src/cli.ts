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
  process.exitCode = await run(process.argv.slice(2), controller.signal)
} catch (error) {
  failStart(error)
}

/** Imports the commands' definitions; each command imports its own libraries when it runs. */
async function run(args: string[], signal: AbortSignal): Promise<number> {
  const [
    { runProgram },
    train,
    evaluate,
    bench,
    graphs,
    imports,
    exports,
    verify,
    delta,
    pin,
    keys,
    doctor,
    signing,
    sync,
    capacity,
    warm,
    top,
    settings,
  ] = await Promise.all([
    import('./app/program.ts'),
    import('./train/train-commands.ts'),
    import('./evaluate/evaluate-commands.ts'),
    import('./bench/graph-commands.ts'),
    import('./convert/graph-commands.ts'),
    import('./convert/import-command.ts'),
    import('./convert/export-command.ts'),
    import('./convert/verify-command.ts'),
    import('./convert/delta-command.ts'),
    import('./app/pin-commands.ts'),
    import('./app/key-commands.ts'),
    import('./app/doctor-command.ts'),
    import('./app/sign-command.ts'),
    import('./app/sync-commands.ts'),
    import('./capacity/commands.ts'),
    import('./warm/warm-command.ts'),
    import('./top/top-command.ts'),
    import('./config/configuration.ts'),
  ])
  const commands = [
    train.createTrainCommand(signal),
    evaluate.createEvaluateCommand(signal),
    evaluate.createCompareCommand(signal),
    evaluate.createCalibrateCommand(signal),
    bench.createCompileCommand(signal),
    bench.createBenchCommand(signal),
    warm.createWarmCommand(signal),
    capacity.createCapacityCommand(signal),
    capacity.createTuneCommand(signal),
    graphs.createInspectCommand(),
    graphs.createInitCommand(),
    imports.createImportCommand(signal),
    exports.createExportCommand(signal),
    pin.createPinCommand(),
    pin.createUnpinCommand(),
    verify.createVerifyCommand(),
    delta.createDeltaCommand(),
    keys.createKeysCommand(),
    doctor.createDoctorCommand(),
    signing.createSignCommand(),
    sync.createIndexCommand(),
    sync.createSyncCommand(signal),
    top.createTopCommand(signal),
    settings.createServeCommand(async (flags) => {
      const { runServer } = await import('./cluster/run-server.ts')
      await runServer(flags, start)
    }),
  ]
  return runProgram(commands, args, signal)
}
