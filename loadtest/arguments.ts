import { Command, InvalidArgumentError } from 'commander'
import { count, listOf, positive } from './option-values.ts'

export const scenarios = ['row-1', 'rows-100', 'columns-100', 'tensors-100', 'open-loop'] as const
export type Scenario = (typeof scenarios)[number]

export interface Arguments {
  /** Seconds of one closed-loop run. */
  duration: number
  /** Seconds of one open-loop run. */
  openDuration: number
  repeats: number
  scenarios: Scenario[]
  connections: number
  deadline: number
  url: string | undefined
  models: string
  model: string
  out: string | undefined
  /** Whether to write the README's table too. */
  readme: boolean
}

export const description =
  'Measure the server and bare Fastify on this machine; answers are checked before they are timed'

export function readArguments(argv: readonly string[], name = 'npm run loadtest --', others = ''): Arguments {
  const command = new Command(name)
    .description(description)
    .option(
      '--quick',
      'a smoke test in less than a minute: two short runs each, on a barely warm server; for a rough look',
    )
    .option(
      '--duration <seconds>',
      'length of a closed-loop run, s; an open-loop run takes three times as long (default: 2.5)',
      positive,
    )
    .option(
      '--repeats <count>',
      'runs of each server and scenario, interleaved; the report has medians (default: 3)',
      count,
    )
    .option('--scenarios <names>', `comma-separated, of ${scenarios.join(', ')} (default: all)`, listOf(scenarios))
    .option('--connections <count>', 'connections of the closed loop', count, 32)
    .option('--deadline <ms>', 'deadline in the open loop, ms', positive, 60)
    .option('--url <url>', 'measure a running server, e.g. http://127.0.0.1:3000', url)
    .option('--models <folder>', 'folder of models; with --url, the server must have the same models', 'models')
    .option('--model <name>', 'model to request', 'ads-funnel')
    .option(
      '--out <file.md>',
      "write the results here, and as JSON next to it (default: a full run without other options writes loadtest/results/latest.md and the README's table)",
    )
    .addHelpText(
      'after',
      `${others}\nExamples:\n  npm run loadtest\n  npm run loadtest -- --quick\n  npm run loadtest -- --url http://127.0.0.1:3000 --scenarios rows-100,open-loop\n`,
    )
  const { quick, duration, repeats, scenarios: chosen, out, ...rest } = command.parse(argv, { from: 'user' }).opts()
  const standard = argv.length === 0
  return {
    ...rest,
    duration: duration ?? (quick ? 0.6 : 2.5),
    openDuration: quick && duration === undefined ? 1 : 3 * (duration ?? 2.5),
    repeats: repeats ?? (quick ? 2 : 3),
    scenarios: chosen ?? [...scenarios],
    out: out ?? (standard ? 'loadtest/results/latest.md' : undefined),
    readme: standard,
  } as Arguments
}

function url(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('It must be a URL, such as http://127.0.0.1:3000.')
  return text
}
