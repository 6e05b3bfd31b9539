import { Command, InvalidArgumentError } from 'commander'

/* `multigate capacity` and `multigate tune`. Libraries are imported when a command runs. */

/** `signal` stops the command. */
export function createCapacityCommand(signal: AbortSignal): Command {
  return loadCommand(new Command('capacity'))
    .description(
      'measure a model on this machine, and compute the cores, pods, memory, network and cost that a rate needs',
    )
    .requiredOption('--rate <number>', 'requests per second', numberFrom(0.1, 1e9))
    .option('--cached <share>', 'share of the candidates that are cached, 0 to 1', numberFrom(0, 1), 0.8)
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
    .option('--json', 'print JSON', false)
    .addHelpText(
      'after',
      `
Stop other work first: it costs accuracy. See docs/capacity.md.

Examples:
  multigate capacity --models models --model ads-funnel --rate 20000 --p99 20
  multigate capacity --models models --model ads-funnel --rate 1000000 --p99 20 --pod-cores 16 --zones 3 --json`,
    )
    .action(async ({ p99, ...options }: CapacityFlags) => {
      const { runCapacity } = await import('./run-capacity.ts')
      await runCapacity({ ...options, p99Ms: p99, seed: 1, signal, out: process.stdout, err: process.stderr })
    })
}

interface LoadFlags {
  models: string
  model: string
  candidates: number
  p99: number
  seconds: number
}

interface CapacityFlags extends LoadFlags {
  rate: number
  cached: number
  catalogue: number
  podCores: number
  coreHourPrice: number
  zones: number
  json: boolean
}

/** Adds the options of both commands. */
function loadCommand(command: Command): Command {
  return command
    .requiredOption('--models <folder>', 'folder of models')
    .requiredOption('--model <name>', 'model to request')
    .option('--candidates <number>', 'candidates per request', wholeNumber(1, 10_000), 100)
    .requiredOption('--p99 <ms>', 'bound of the 99th percentile of the latency, ms', numberFrom(0.01, 60_000))
}

function numberFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!(value >= least && value <= most)) throw new InvalidArgumentError(`must be a number from ${least} to ${most}.`)
    return value
  }
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < least || Number(text) > most)
      throw new InvalidArgumentError(`must be a whole number from ${least} to ${most}.`)
    return Number(text)
  }
}
