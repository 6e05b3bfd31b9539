import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bundle } from '../src/model/serving/bundle/read.ts'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'
import type { ModelDetails } from '../src/schemas/models.ts'
import { type Arguments, description, readArguments, type Scenario } from './arguments.ts'
import { createQueries, type Form, forms, toBody } from './bodies.ts'
import { ask, checkForms, checkUncalibrated } from './check.ts'
import { type ClosedLoopResult, compareTargets, runClosedLoop } from './closed-loop.ts'
import { type Experiment, type Log, temporaryFolder } from './experiment.ts'
import { generate, outcomesOf } from './generator.ts'
import type { Machine } from './machine.ts'
import { writeReadme } from './readme.ts'
import { type OpenLoopReport, type Report, toMarkdown } from './report.ts'
import { jsonContent, writeRequests } from './request-file.ts'
import { multigateAt, startBareFastify, startFastifyOnnx, startOurs, type Target } from './targets.ts'

/** Fixed, so that two runs send the same bodies. */
const seed = 7
const closedScenarios: { name: Scenario; form: Form; rows: number }[] = [
  { name: 'row-1', form: 'rows', rows: 1 },
  { name: 'rows-100', form: 'rows', rows: 100 },
  { name: 'columns-100', form: 'columns', rows: 100 },
  { name: 'tensors-100', form: 'tensors', rows: 100 },
]
/** Different bodies per scenario: enough to defeat caches and branch prediction. */
const distinct = { few: 640, many: 6400 }
/** Multiples of the closed-loop maximum. */
const loads = [0.5, 0.8, 1.5, 3]
/** Multiples for the baseline, in overload. */
const baselineLoads = [0.8, 1.5, 3]
/** Most connections of the open loop, and its longest wait for the last answers, ms. */
const openLoop = { connections: 1024, graceMs: 1000 }

/** Timeout for the description of the model, ms. */
const patience = 10_000

export default {
  description,
  read: readArguments,
  async run(options, { machine, log }) {
    const report = await runLoadTest(options, machine, log)
    if (options.readme) await writeReadme({ own: report })
    return { text: toMarkdown(report), json: report }
  },
} satisfies Experiment<Arguments>

async function runLoadTest(options: Arguments, machine: Machine, log: Log): Promise<Report> {
  const models = resolve(options.models)
  log(options.url ? `measuring ${options.url}` : 'starting the server')
  const multigate = options.url ? multigateAt(options.url) : await startOurs(models, options.model)
  const targets: Target[] = [multigate]
  try {
    const details = await describe(multigate, options.model)
    const { version = '', plan } = details
    const bundle = await readBundle(models, options.model, version)
    checkFields(details, bundle)
    const bareFastify = await startBareFastify()
    const fastifyOnnx = bundle.manifest.graph.format === 'layers' ? await startFastifyOnnx(bundle) : undefined
    targets.push(bareFastify, ...(fastifyOnnx ? [fastifyOnnx] : []))
    const makeBodies = createBodies(bundle, options.model)
    await check(multigate, fastifyOnnx, bundle, makeBodies)
    log('answers are correct in every form')

    const report: Report = {
      machine,
      model: {
        name: options.model,
        version,
        architecture: bundle.manifest.architecture?.name ?? 'unknown',
        engine: plan?.engine ?? 'unknown',
        workers: plan?.workers ?? Number.NaN,
        maxBatchRows: plan?.max_batch_rows ?? Number.NaN,
      },
      method: {
        seconds: options.duration,
        repeats: options.repeats,
        connections: options.connections,
        deadlineMs: options.deadline,
      },
      closedLoop: [],
      openLoop: [],
    }
    const load = { connections: options.connections, seconds: options.duration }
    for (const { name, form, rows } of closedScenarios.filter(({ name }) => options.scenarios.includes(name))) {
      const bodies = makeBodies(form, rows)
      const answer = await ask(multigate, bodies[0]!)
      await bareFastify.answerWith(answer)
      const compared = [multigate, bareFastify, ...(form === 'tensors' && fastifyOnnx ? [fastifyOnnx] : [])]
      const ofGraph = compared.length > 2 ? makeBodies('graph', rows) : []
      const [ours, bare, onnx] = await compareTargets(
        compared,
        (target) => ({ ...load, bodies: target === fastifyOnnx ? ofGraph : bodies }),
        options.repeats,
        (target, repeat, result) =>
          log(`${name.padEnd(11)}  ${target.name.padEnd(26)}  ${repeat + 1}/${options.repeats}  ${summary(result)}`),
      )
      report.closedLoop.push({
        scenario: name,
        rows,
        bodyBytes: meanBytes(bodies),
        answerBytes: JSON.stringify(answer).length,
        multigate: ours!,
        bareFastify: bare!,
        ...(onnx ? { fastifyOnnx: onnx } : {}),
      })
    }

    if (options.scenarios.includes('open-loop')) {
      const maximum = async (target: Target, known: ClosedLoopResult | undefined, bodies: string[]) =>
        (known ?? (await runClosedLoop(target.url, { ...load, bodies }))).requestsPerSecond
      const known = (name: Scenario) => report.closedLoop.find(({ scenario }) => scenario === name)
      const columns = makeBodies('columns', 100)
      const ours = await maximum(multigate, known('columns-100')?.multigate, columns)
      for (const times of loads)
        report.openLoop.push(await measureOpenLoop(multigate, 'columns-100', columns, ours, times, options, log))
      if (fastifyOnnx) {
        const tensors = makeBodies('graph', 100)
        const theirs = await maximum(fastifyOnnx, known('tensors-100')?.fastifyOnnx, tensors)
        for (const times of baselineLoads)
          report.openLoop.push(await measureOpenLoop(fastifyOnnx, 'tensors-100', tensors, theirs, times, options, log))
      }
    }
    return report
  } finally {
    await Promise.all(targets.map((target) => target.stop()))
  }
}

async function measureOpenLoop(
  target: Target,
  scenario: string,
  bodies: string[],
  maximum: number,
  load: number,
  { openDuration: seconds, deadline }: Arguments,
  log: Log,
): Promise<OpenLoopReport> {
  const rate = load * maximum
  const file = join(await temporaryFolder(), 'requests')
  await writeRequests(file, bodies.map(jsonContent))
  const result = await generate({
    url: target.url.href,
    headers: { 'x-deadline-ms': String(deadline) },
    ...{ file, start: 0, rate, seconds, seed, deadlineMs: deadline, ...openLoop },
  })
  log(`open loop    ${target.name.padEnd(26)}  ${load}×  ${outcomesOf(result)}`)
  // Lets the server's queues drain before the next run.
  await sleep(300)
  return { target: target.name, scenario, load, rate, seconds, connections: openLoop.connections, result }
}

type MakeBodies = (form: Form | 'graph', rows: number, count?: number) => string[]

/** Bodies in one form; the queries are the same for each form. */
function createBodies({ manifest }: Bundle, model: string): MakeBodies {
  const encoder = encoderOf(manifest)
  return (form, rows, count = rows === 1 ? distinct.many : distinct.few) => {
    const draw = createQueries(manifest.features, seed)
    return Array.from({ length: count }, () => toBody(draw(rows), form, encoder, { model }))
  }
}

async function check(
  multigate: Target,
  fastifyOnnx: Target | undefined,
  { manifest }: Bundle,
  makeBodies: MakeBodies,
): Promise<void> {
  const tasks = [...manifest.tasks, ...manifest.derived].map(({ name }) => name)
  for (const rows of [1, 100]) {
    const count = 8
    const bodies = Object.fromEntries(forms.map((form) => [form, makeBodies(form, rows, count)])) as Record<
      Form,
      string[]
    >
    const graph = makeBodies('graph', rows, count)
    for (let i = 0; i < count; i++) {
      const same = { rows: bodies.rows[i]!, columns: bodies.columns[i]!, tensors: bodies.tensors[i]! }
      await checkForms(multigate, same, tasks, rows)
      if (fastifyOnnx)
        await checkUncalibrated(
          multigate,
          fastifyOnnx,
          { ours: same.tensors, other: graph[i]! },
          manifest.tasks.map(({ name }) => name),
          rows,
        )
    }
  }
}

async function describe(target: Target, model: string): Promise<ModelDetails> {
  const signal = AbortSignal.timeout(patience)
  const answer = await fetch(new URL(`/models/${model}`, target.url), { signal }).catch(() => {
    throw new Error(`nothing answers at ${target.url.origin}`)
  })
  if (answer.status !== 200) throw new Error(`GET /models/${model} answers ${answer.status}: ${await answer.text()}`)
  return (await answer.json()) as ModelDetails
}

/** The vocabularies come from the manifest, which must be that of the server's model. */
function checkFields({ fields = [], name, version }: ModelDetails, { folder, manifest }: Bundle): void {
  const sign = (list: readonly { name: string; side: string; kind: string }[]) =>
    list.map((field) => `${field.name} (${field.side}, ${field.kind})`).join(', ')
  if (sign(fields) !== sign(manifest.features))
    throw new Error(
      `${name}/${version} of the server has the fields ${sign(fields)}, but ${folder} has ${sign(manifest.features)}`,
    )
}

function summary({ requestsPerSecond, p50, p99, errors }: ClosedLoopResult): string {
  const wrong = errors > 0 ? `, ${errors} ERRORS` : ''
  return `${Math.round(requestsPerSecond).toLocaleString('en').padStart(7)} req/s, p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms${wrong}`
}

function meanBytes(bodies: readonly string[]): number {
  return bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0) / bodies.length
}
