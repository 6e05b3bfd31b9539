import type { Command } from 'commander'
import type { Start } from '../app/start.ts'

/** What the commands get from the process. */
export interface CommandContext {
  /** Stops a command. */
  signal: AbortSignal
  /** The first moments of a server. */
  start?: Start | undefined
}

/** Definitions of all commands, in the order of the help; each imports its own libraries when it runs. */
export async function createCommands({ signal, start }: CommandContext): Promise<Command[]> {
  const [
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
    completion,
  ] = await Promise.all([
    import('../train/train-commands.ts'),
    import('../evaluate/evaluate-commands.ts'),
    import('../bench/graph-commands.ts'),
    import('../convert/graph-commands.ts'),
    import('../convert/import-command.ts'),
    import('../convert/export-command.ts'),
    import('../convert/verify-command.ts'),
    import('../convert/delta-command.ts'),
    import('../app/pin-commands.ts'),
    import('../app/key-commands.ts'),
    import('../app/doctor-command.ts'),
    import('../app/sign-command.ts'),
    import('../app/sync-commands.ts'),
    import('../capacity/commands.ts'),
    import('../warm/warm-command.ts'),
    import('../top/top-command.ts'),
    import('../config/configuration.ts'),
    import('./completion-command.ts'),
  ])
  const commands = [
    train.createTrainCommand(signal),
    evaluate.createEvaluateCommand(signal),
    evaluate.createCompareCommand(signal),
    evaluate.createCalibrateCommand(signal),
    evaluate.createQuantizeCommand(signal),
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
      const { runServer } = await import('../cluster/run-server.ts')
      await runServer(flags, start)
    }),
  ]
  return [...commands, completion.createCompletionCommand(commands)]
}
