import { Command } from 'commander'
import { type CommandContext, numberFrom, wholeNumber } from '../../base/command.ts'
import type { CapacityFlags } from './run-capacity.ts'

/** `multigate capacity`; the context's signal stops it. Libraries are imported when it runs. */
export function createCapacityCommand(context: CommandContext): Command {
  return new Command('capacity')
    .description(
      'measure a model on this machine, and compute the cores, pods, memory, network and cost that a rate needs',
    )
    .requiredOption('--models <folder>', 'folder of models')
    .requiredOption('--model <name>', 'model to request')
    .option('--candidates <number>', 'candidates per request', wholeNumber(1, 10_000), 100)
    .requiredOption('--p99 <ms>', 'bound of the 99th percentile of the latency, ms', numberFrom(0.01, 60_000))
    .option('--cached <share>', 'share of the candidates that are cached, 0 to 1', numberFrom(0, 1), 0.8)
    .option('--by-id', 'name candidates and users by keys of the tables beside the models (docs/features.md)', false)
    .option('--json', 'print JSON', false)
    .requiredOption('--rate <number>', 'requests per second', numberFrom(0.1, 1e9))
    .option('--catalogue <number>', 'different candidates, for the size of the cache', wholeNumber(1, 1e8), 100_000)
    .option('--pod-cores <number>', 'cores per pod', wholeNumber(1, 256), 4)
    .option('--core-hour-price <number>', 'price of a core for an hour, in your currency', numberFrom(0, 1e6), 0.04)
    .option(
      '--zones <number>',
      'zones; with two or more, the others carry the load when one is lost',
      wholeNumber(1, 100),
      3,
    )
    .option('--seconds <number>', 'length of each of five measurements, s', numberFrom(0.1, 60), 2)
    .addHelpText(
      'after',
      `
Stop other work first: it costs accuracy. See docs/capacity.md.

Examples:
  multigate capacity --models models --model ads-funnel --rate 20000 --p99 20
  multigate capacity --models models --model ads-funnel --rate 1000000 --p99 20 --pod-cores 16 --zones 3 --json`,
    )
    .action(async ({ p99, ...flags }: Omit<CapacityFlags, 'p99Ms'> & { p99: number }) => {
      const { runCapacity } = await import('./run-capacity.ts')
      await runCapacity({ ...flags, p99Ms: p99 }, context)
    })
}
