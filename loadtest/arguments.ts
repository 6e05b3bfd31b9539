import { InvalidArgumentError } from 'commander'
import { count, listOf, positive, readOptions } from './options.ts'

export const scenarios = ['row-1', 'rows-100', 'columns-100', 'tensors-100', 'open-loop'] as const
export type Scenario = (typeof scenarios)[number]

export const description =
  'Measure the server and bare Fastify on this machine; answers are checked before they are timed'

const examples = `
Examples:
  npm run loadtest
  npm run loadtest -- --quick
  npm run loadtest -- --url http://127.0.0.1:3000 --scenarios rows-100,open-loop
`

export type Arguments = ReturnType<typeof readArguments>

/** `readme`: whether to write the README's table too. */
export function readArguments(argv: readonly string[], name = 'npm run loadtest --', others = '') {
  const { quick, duration, repeats, out, ...given } = readOptions(argv, {
    name,
    description,
    options: {
      quick: ['', 'a smoke test in less than a minute: two short runs each, on a barely warm server; for a rough look'],
      duration: [
        '<seconds>',
        'length of a closed-loop run, s; an open-loop run takes three times as long (default: 2.5)',
        positive,
      ],
      repeats: ['<count>', 'runs of each server and scenario, interleaved; the report has medians (default: 3)', count],
      scenarios: ['<names>', `comma-separated, of ${scenarios.join(', ')} (default: all)`, listOf(scenarios)],
      connections: ['<count>', 'connections of the closed loop', count, 32],
      deadline: ['<ms>', 'deadline in the open loop, ms', positive, 60],
      url: ['<url>', 'measure a running server, e.g. http://127.0.0.1:3000', url],
      models: ['<folder>', 'folder of models; with --url, the server must have the same models', String, 'models'],
      model: ['<name>', 'model to request', String, 'ads-funnel'],
      out: [
        '<file.md>',
        "write the results here, and as JSON next to it (default: a full run without other options writes loadtest/results/latest.md and the README's table)",
      ],
    },
    more: `${others}${examples}`,
  })
  const standard = argv.length === 0
  return {
    ...given,
    duration: duration ?? (quick ? 0.6 : 2.5),
    openDuration: quick && duration === undefined ? 1 : 3 * (duration ?? 2.5),
    repeats: repeats ?? (quick ? 2 : 3),
    scenarios: given.scenarios ?? [...scenarios],
    out: out ?? (standard ? 'loadtest/results/latest.md' : undefined),
    readme: standard,
  }
}

function url(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('It must be a URL, such as http://127.0.0.1:3000.')
  return text
}
