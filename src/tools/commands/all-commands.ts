import type { Command } from 'commander'
import type { Start } from '../../app/start.ts'
import type { CommandContext } from '../../base/command.ts'

/**
 * Definitions of all commands, in the order of the help; each imports its own libraries when it runs. `start`: the
 * first moments of a server.
 */
export async function createCommands(context: CommandContext, start?: Start): Promise<Command[]> {
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
    import('../bench/bench-commands.ts'),
    import('../convert/convert-commands.ts'),
    import('../convert/import-command.ts'),
    import('../convert/export-command.ts'),
    import('../convert/verify-command.ts'),
    import('../convert/delta-command.ts'),
    import('../keys/pin-commands.ts'),
    import('../keys/key-commands.ts'),
    import('../doctor/doctor-command.ts'),
    import('../keys/sign-command.ts'),
    import('../sync/sync-commands.ts'),
    import('../capacity/capacity-commands.ts'),
    import('../catalogue/warm-command.ts'),
    import('../top/top-command.ts'),
    import('../../base/configuration.ts'),
    import('./completion-command.ts'),
  ])
  const commands = [
    train.createTrainCommand(context),
    evaluate.createEvaluateCommand(context),
    evaluate.createCompareCommand(context),
    evaluate.createCalibrateCommand(context),
    evaluate.createQuantizeCommand(context),
    bench.createCompileCommand(context),
    bench.createBenchCommand(context),
    warm.createWarmCommand(context),
    capacity.createCapacityCommand(context),
    capacity.createTuneCommand(context),
    graphs.createInspectCommand(context),
    graphs.createInitCommand(context),
    imports.createImportCommand(context),
    exports.createExportCommand(context),
    pin.createPinCommand(context),
    pin.createUnpinCommand(context),
    verify.createVerifyCommand(context),
    delta.createDeltaCommand(context),
    keys.createKeysCommand(context),
    doctor.createDoctorCommand(context),
    signing.createSignCommand(context),
    sync.createIndexCommand(context),
    sync.createSyncCommand(context),
    top.createTopCommand(context),
    settings.createServeCommand(async (flags) => {
      const { runServer } = await import('../../app/cluster/run-server.ts')
      await runServer(flags, start)
    }),
  ]
  return [...commands, completion.createCompletionCommand(commands, context)]
}
