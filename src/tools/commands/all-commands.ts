import type { Command } from 'commander'
import type { Start } from '../../app/start.ts'
import type { CommandContext } from '../../base/command.ts'

/**
 * Definitions of all commands, in the order of the help; each imports its own libraries when it runs. `start`: the
 * first moments of a server.
 */
export async function createCommands(context: CommandContext, start?: Start): Promise<Command[]> {
  const groups = await Promise.all([
    import('../train/train-commands.ts').then((all) => [all.createTrainCommand(context)]),
    import('../evaluate/evaluate-commands.ts').then((all) => [
      all.createEvaluateCommand(context),
      all.createCompareCommand(context),
      all.createCalibrateCommand(context),
      all.createQuantizeCommand(context),
    ]),
    import('../bench/bench-commands.ts').then((all) => [
      all.createCompileCommand(context),
      all.createBenchCommand(context),
    ]),
    import('../catalogue/warm-command.ts').then((all) => [all.createWarmCommand(context)]),
    import('../capacity/capacity-command.ts').then((all) => [all.createCapacityCommand(context)]),
    import('../convert/convert-commands.ts').then((all) => [
      all.createInspectCommand(context),
      all.createInitCommand(context),
    ]),
    import('../convert/import-command.ts').then((all) => [all.createImportCommand(context)]),
    import('../convert/export-command.ts').then((all) => [all.createExportCommand(context)]),
    import('../keys/pin-commands.ts').then((all) => [all.createPinCommand(context), all.createUnpinCommand(context)]),
    import('../convert/verify-command.ts').then((all) => [all.createVerifyCommand(context)]),
    import('../features/features-command.ts').then((all) => [all.createFeaturesCommand(context)]),
    import('../replay/replay-command.ts').then((all) => [all.createReplayCommand(context)]),
    import('../log/log-command.ts').then((all) => [all.createLogCommand(context)]),
    import('../convert/delta-command.ts').then((all) => [all.createDeltaCommand(context)]),
    import('../keys/key-commands.ts').then((all) => [all.createKeysCommand(context)]),
    import('../doctor/doctor-command.ts').then((all) => [all.createDoctorCommand(context)]),
    import('../keys/sign-command.ts').then((all) => [all.createSignCommand(context)]),
    import('../sync/sync-commands.ts').then((all) => [all.createIndexCommand(context), all.createSyncCommand(context)]),
    import('../../base/configuration.ts').then((all) => [
      all.createServeCommand(async (flags) => {
        const { runServer } = await import('../../app/cluster/run-server.ts')
        await runServer(flags, start)
      }),
    ]),
  ])
  return groups.flat()
}
