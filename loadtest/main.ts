import { type Experiment, runMain } from './experiment.ts'

/** Everything that is measured, by name; the load test itself has none. */
const experiments: Record<string, () => Promise<{ default: Experiment }>> = {
  competitors: () => import('./competitors/competitors.ts'),
  'by-id': () => import('./by-id.ts'),
  capacity: () => import('./capacity.ts'),
  catalogue: () => import('./catalogue.ts'),
  chaos: () => import('./chaos/chaos.ts'),
  console: () => import('./console-cost.ts'),
  evaluate: () => import('./evaluate.ts'),
  features: () => import('./features/features.ts'),
  'live-tables': () => import('./live-tables.ts'),
  memory: () => import('./memory/memory.ts'),
  models: () => import('./many-models.ts'),
  'narrow-tables': () => import('./narrow-tables.ts'),
  'prediction-log': () => import('./prediction-log.ts'),
  residency: () => import('./resident-models.ts'),
  scale: () => import('./scale/scale.ts'),
  small: () => import('./small-requests.ts'),
  start: () => import('./start.ts'),
  stalls: () => import('./stalls.ts'),
  swaps: () => import('./swaps.ts'),
  training: () => import('./training.ts'),
  tenants: () => import('./tenants.ts'),
  where: () => import('./where/where.ts'),
}

const argv = process.argv.slice(2)
const [name = ''] = argv
if (Object.hasOwn(experiments, name))
  await runMain((await experiments[name]!()).default, `npm run loadtest -- ${name}`, argv.slice(1))
else {
  const others = argv.some((argument) => argument === '--help' || argument === '-h') ? await listOfExperiments() : ''
  await runMain((await import('./run.ts')).default, 'npm run loadtest --', argv, others)
}

async function listOfExperiments(): Promise<string> {
  const lines = Object.entries(experiments).map(async ([name, load]) => {
    const { description } = (await load()).default
    return `  npm run loadtest -- ${name.padEnd(13)}  ${description}`
  })
  return `\nOther measurements, each with --help:\n${(await Promise.all(lines)).join('\n')}\n`
}
