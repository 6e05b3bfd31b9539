import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { multigateVersion } from '../../build/src/base/project.js'
import { readSpec } from '../../build/src/tools/data/read-spec.js'
import { readRows } from '../../build/src/tools/train/read-rows.js'
import { createProgress } from '../../build/src/tools/train/run-train.js'
import { train } from '../../build/src/tools/train/train.js'

const specs = join(import.meta.dirname, '../../src/tools/train/specs')

/**
 * Trains what `raw.runs` lacks of an experiment: each variant on each part, from each of the seeds 1 … `seeds`. `keep`
 * is called with the raw figures after each run. Runs whose spec has changed do not count, and are dropped. With
 * `keepRows`, rows are read or generated once for all runs, and stay in memory.
 */
export async function trainRuns(experiment, raw, { seeds, only, signal, keep }) {
  const highest = Math.max(seeds, ...raw.runs.map(({ seed }) => seed))
  const runs = await plan(experiment, highest)
  raw.runs = raw.runs.filter((run) => runs.some(({ key, digest }) => key === keyOf(run) && digest === run.spec))
  const missing = runs.filter(
    ({ key, variant, seed }) =>
      seed <= seeds && (only === undefined || variant === only) && !raw.runs.some((run) => keyOf(run) === key),
  )
  const rowsOf = experiment.keepRows ? keptRows({ signal }) : () => undefined
  const models = await mkdtemp(join(tmpdir(), 'multigate-results-'))
  try {
    for (const [index, { part, variant, seed, digest, loaded }] of missing.entries()) {
      signal.throwIfAborted()
      process.stderr.write(`\n[${index + 1}/${missing.length}] ${part}, ${variant}, seed ${seed}\n`)
      const started = Date.now()
      const names = loaded.spec.tasks.map(({ name }) => name)
      const observer = createProgress(process.stderr, names)
      let weights
      const log = (line) => {
        process.stderr.write(`${line}\n`)
        weights ??= /with (\d+) weights/.exec(line)?.[1]
      }
      const { report, fitted } = await train(loaded, {
        ...{ models, force: true, threads: 1, from: undefined, run: undefined, resume: false },
        ...{ brief: !experiment.baselines, dataset: await rowsOf(loaded) },
        ...{ command: 'results', multigateVersion, now: Date.now, signal, observer, cache: undefined, log },
      }).finally(observer.stop)
      const tasks = Object.fromEntries(
        report.tasks.map(({ name, rows, positives, metrics, baselines }) => [
          name,
          { rows, positives, ...metrics, ...baselinesOf(baselines) },
        ]),
      )
      const seconds = Math.round((Date.now() - started) / 1000)
      const { epochs, kept } = fitted
      const run = { part, variant, seed, spec: digest, weights: Number(weights), epochs, kept: kept.epoch, seconds }
      raw.runs.push({ ...run, tasks })
      raw.machine = { processor: cpus()[0].model.trim(), node: process.versions.node, multigate: multigateVersion }
      await keep(raw)
    }
  } finally {
    await rm(models, { recursive: true, force: true })
  }
}

/** Reads the rows of each spec once: all that the network alone makes different have the same. */
function keptRows(options) {
  const read = new Map()
  return (loaded) => {
    const { architecture, sequences, training, ...rows } = loaded.spec
    const key = JSON.stringify(rows)
    if (!read.has(key)) read.set(key, readRows(loaded, options))
    return read.get(key)
  }
}

/** A spec that was read, as it is written: crossed fields after the others. */
function asWritten({ fields, crossed, embeddings, poolings, ...spec }) {
  const written = crossed.map((field) => {
    const pooling = poolings?.[field.name]
    return { ...field, ...embeddings?.[field.name], ...(pooling && { pooling }), kind: 'crossed' }
  })
  return { ...spec, fields: [...fields, ...written] }
}

const keyOf = ({ part, variant, seed }) => JSON.stringify([part, variant, seed])

/** The version's metrics less those of logistic regression. */
function baselinesOf({ logistic }) {
  if (logistic === undefined) return {}
  const { auc, normalised_entropy } = logistic.differences
  return { auc_gained: auc.difference, entropy_gained: normalised_entropy.difference }
}

/** All runs, seed by seed, so that an interrupted experiment has some of each. */
async function plan({ parts, variants, spec, training }, seeds) {
  const runs = []
  for (let seed = 1; seed <= seeds; seed++)
    for (const [part, { spec: name = spec, change = () => ({}) }] of Object.entries(parts))
      for (const [variant, changeNetwork] of Object.entries(variants)) {
        const loaded = await changed(name, (base) => {
          const data = { ...base, training: { ...base.training, ...training }, ...change(base, seed) }
          const network = { ...data, ...changeNetwork(data) }
          return { ...network, training: { ...network.training, seed } }
        })
        const digest = createHash('sha256').update(JSON.stringify(loaded.spec)).digest('hex').slice(0, 16)
        runs.push({ key: keyOf({ part, variant, seed }), part, variant, seed, digest, loaded })
      }
  return runs
}

/** A named spec with changes, checked as if they were written in a file. */
async function changed(name, change) {
  const base = await readSpec(name, specs)
  const folder = await mkdtemp(join(tmpdir(), 'multigate-results-'))
  try {
    const file = join(folder, `${name}.json`)
    await writeFile(file, JSON.stringify(asWritten(change(base.spec))))
    const { spec } = await readSpec(file, specs)
    return { file: base.file, spec }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
