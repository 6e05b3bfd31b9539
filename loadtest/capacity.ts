// Compares the prediction of `multigate capacity` with an open-loop load on a new server.
import { type Placement, placeOnCores } from '../src/tools/capacity/cores.ts'
import { forecast, highestRate } from '../src/tools/capacity/cost.ts'
import { LoadRuns, type Step } from '../src/tools/capacity/load-runs.ts'
import { measureCost, openModelToLoad } from '../src/tools/capacity/measure-cost.ts'
import { startMeasuredServer } from '../src/tools/capacity/measured-server.ts'
import { createPredictRequests } from '../src/tools/load/predict-requests.ts'
import { defaultCache } from './competitors/arguments.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { experiment, type Log } from './experiment.ts'
import type { Machine } from './machine.ts'
import { decimal, table, whole } from './markdown.ts'
import { positive } from './options.ts'

/** A model, and the bound of its p99, ms. */
interface Checked extends Case {
  p99Ms: number
}

interface Case {
  models: string
  model: string
  candidates: number
}

/** A quantity, as predicted and as measured by the load test. */
interface Compared {
  predicted: number
  measured: number
}

interface Result extends Checked {
  rate: number
  processor: Compared
  utilisation: Compared
  p99: Compared
  highest: Compared
  /** Cores that other programs used: the most of both parts. */
  otherCores: number
}

const cached = 0.8
/** Rate of the load test, as a share of the predicted highest one: between the rates that the prediction measured. */
const checkedAt = 0.65
/** Steps that look for the highest rate, as multiples of the predicted one. */
const steps = Array.from({ length: 13 }, (_, i) => 0.7 + 0.05 * i)
const stepSeconds = 1.5
/** Other work that makes a comparison worth repeating, cores; the quietest counts. */
const quietCores = 0.15

export default experiment({
  description: 'Compare the prediction of `multigate capacity` with a load test, for three models',
  options: {
    models: ['<folder>', 'folder of models, with ads-funnel in it', String, 'models'],
    p99: ['<ms>', 'bound of the 99th percentile of the latency, ms', positive, 50],
    seconds: ['<number>', 'length of each measurement, s', positive, 4],
    attempts: ['<number>', 'most repetitions for a model while other programs use the processor', positive, 3],
  },
  async run({ models, p99, seconds, attempts }, { machine, log }) {
    const placement = placeOnCores(2)
    const results: Result[] = []
    for (const wanted of await casesOf(models)) {
      let best: Result | undefined
      for (let attempt = 0; attempt < attempts && !(best !== undefined && best.otherCores <= quietCores); attempt++) {
        const result = await compare({ ...wanted, p99Ms: p99 }, placement, seconds, log)
        if (best === undefined || result.otherCores < best.otherCores) best = result
      }
      results.push(best!)
    }
    return toMarkdown(results, placement, machine)
  },
})

async function casesOf(models: string): Promise<Case[]> {
  const [small, prod] = await Promise.all(
    [referenceModels.small, referenceModels.prod].map((model) => prepareModel(model, defaultCache())),
  )
  return [
    { models, model: 'ads-funnel', candidates: 100 },
    { models: small!.models, model: 'small', candidates: 10 },
    { models: prod!.models, model: 'prod', candidates: 100 },
  ]
}

/** Predicts, then measures another process with other requests. */
async function compare(wanted: Checked, placement: Placement, seconds: number, log: Log) {
  const { signal } = new AbortController()
  const progress = (text: string) => log(`${wanted.model}: ${text}`)
  const measured = await measureCost({ ...wanted, cached, seconds, placement, signal, progress })
  const host = { cores: placement.serverCores, processes: measured.cost.processes }
  const highest = highestRate(measured.cost, host, wanted.p99Ms)
  if (highest === 0)
    throw new Error(`${wanted.model}: no rate keeps p99 within ${wanted.p99Ms} ms; is the machine busy?`)
  const rate = checkedAt * highest
  const predicted = forecast(measured.cost, host, rate)
  progress(`load test at ${Math.round(rate)} requests/s`)
  const load = await measureLoad(wanted, rate, highest, placement, seconds)
  const result: Result = {
    ...wanted,
    rate,
    processor: { predicted: predicted.processor, measured: load.run.processorSeconds * 1e6 },
    utilisation: { predicted: predicted.utilisation, measured: load.run.cores / placement.serverCores },
    p99: { predicted: predicted.p99, measured: load.run.result.latency.p99 },
    highest: { predicted: highest, measured: load.highest },
    otherCores: Math.max(measured.otherCores, load.run.otherCores),
  }
  log(`${wanted.model}: ${JSON.stringify(result)}`)
  return result
}

async function measureLoad(
  { models, model, candidates, p99Ms }: Checked,
  rate: number,
  highest: number,
  placement: Placement,
  seconds: number,
) {
  const { manifest } = await openModelToLoad(models, model)
  const requests = createPredictRequests({
    model,
    features: manifest.features,
    candidates,
    cached,
    distinct: 500,
    seed: 2,
  })
  const settings = { MULTIGATE_DEADLINE_MS: '60000' }
  const server = await startMeasuredServer({ models, model, settings, wrapper: placement.wrapper })
  try {
    // As long as the prediction's server has run before its measurements.
    const options = { seconds: 3 * seconds, seed: 2, signal: new AbortController().signal }
    return await LoadRuns.within(server, requests, options, async (load) => {
      const run = await load.open(rate, seconds)
      const measured = await load.steps(
        steps.map((factor) => factor * highest),
        stepSeconds,
        p99Ms,
      )
      return { run, highest: fastest(measured) }
    })
  } finally {
    await server.stop()
  }
}

/** The highest rate at which 99 % of the requests were answered within the bound; 0 if there is none. */
function fastest(measured: readonly Step[]): number {
  const held = measured.filter(({ good, scheduled }) => scheduled > 0 && good >= 0.99 * scheduled)
  return Math.max(0, ...held.map(({ rate }) => rate))
}

function toMarkdown(results: Result[], { serverCores }: Placement, { date, processor, versions }: Machine): string {
  const change = ({ predicted, measured }: Compared) => `${((predicted / measured - 1) * 100).toFixed(0)} %`
  const both = (compared: Compared, format: (value: number) => string) =>
    `${format(compared.predicted)} / ${format(compared.measured)}`
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`
  return `# Prediction of \`multigate capacity\`, and a load test

${date}, ${processor}, Node ${versions.node}; the server on ${serverCores} core of its own, the load generator on another. ${cached * 100} % of the candidates
are cached. Each cell: predicted / measured. The load test uses a new process and other requests, at a rate between those that the
prediction measured. Highest rate: 99 % answered within ${results[0]!.p99Ms} ms, in steps of 5 %. Made by \`npm run loadtest -- capacity\`.

${table<Result>(
  {
    model: ({ model, candidates }) => `${model}, ${candidates} candidates`,
    'requests/s': ({ rate }) => whole(rate),
    'processor, µs/request': ({ processor }) => both(processor, (value) => value.toFixed(0)),
    off: ({ processor }) => change(processor),
    utilisation: ({ utilisation }) => both(utilisation, percent),
    'p99, ms': ({ p99 }) => both(p99, decimal),
    'highest, requests/s': ({ highest }) => both(highest, whole),
    'off ': ({ highest }) => change(highest),
    'others, cores': ({ otherCores }) => otherCores.toFixed(2),
  },
  results,
)}
`
}
