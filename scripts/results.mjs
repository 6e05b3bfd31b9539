// Trains an experiment of scripts/results/experiments.mjs and writes its table between the markers `<!-- <experiment>
// -->` and `<!-- /<experiment> -->` of docs/results.md. The figures of every run are kept in
// docs/results/<experiment>.json: runs that are there are not trained again, unless their spec has changed. Delete the
// file to train them again after a change of the code.
//   npm run results -- census-income                   5 seeds
//   npm run results -- census-income --seeds 3
//   npm run results -- census-income --only multi_gate trains one architecture alone
//   npm run results -- census-income --render          trains nothing
// `--docs <folder>` is another folder than docs. Reads the compiled project: run npm run setup -- --modules first.
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withPart } from './generated.mjs'
import { drawChart } from './results/chart.mjs'
import { experiments } from './results/experiments.mjs'
import { mostSeeds, renderTables } from './results/tables.mjs'

const aborted = new AbortController()
process.once('SIGINT', () => aborted.abort(new Error('interrupted; finished runs are kept')))
try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

async function main(args) {
  const { name, seeds, only, render, docs } = readArguments(args)
  const experiment = experiments[name]
  const page = join(docs, 'results.md')
  withPart(await readFile(page, 'utf8'), name, '', 'results.md')
  const file = join(docs, 'results', `${name}.json`)
  const raw = existsSync(file) ? await readRaw(file) : { experiment: name, runs: [] }
  // Figures of models that a Python script beside the experiments has trained.
  const others = experiment.others ? await readRaw(join(docs, 'results', `${name}-baselines.json`)) : { runs: [] }
  const keep = async (raw) => {
    await mkdir(join(docs, 'results'), { recursive: true })
    await writeFile(file, `${JSON.stringify(raw, null, 1)}\n`)
    const tables = renderTables(name, experiment, { ...raw, runs: [...raw.runs, ...others.runs] })
    await writeFile(page, withPart(await readFile(page, 'utf8'), name, tables, 'results.md'))
  }
  if (!render) {
    const { trainRuns } = await import('./results/train-runs.mjs')
    await trainRuns(experiment, raw, { seeds, only, signal: aborted.signal, keep })
  }
  if (raw.runs.length === 0) throw new Error(`${file} holds no runs`)
  await keep(raw)
  if (experiment.chart) await drawChart(experiment, raw, join(docs, 'images'))
  console.log(`${page}: ${name} written`)
}

async function readRaw(file) {
  try {
    const raw = JSON.parse(await readFile(file, 'utf8'))
    if (!Array.isArray(raw.runs)) throw new Error('it has no runs')
    return raw
  } catch (error) {
    throw new Error(`${file} can't be read: ${error.message}`)
  }
}

function readArguments(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '5' },
      only: { type: 'string' },
      render: { type: 'boolean', default: false },
      docs: { type: 'string', default: join(import.meta.dirname, '../docs') },
    },
  })
  const [name, ...others] = positionals
  if (others.length > 0 || !Object.hasOwn(experiments, name ?? ''))
    throw new Error(`name one experiment: ${Object.keys(experiments).join(', ')}`)
  const seeds = Number(values.seeds)
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > mostSeeds)
    throw new Error(`--seeds must be a whole number from 1 to ${mostSeeds}`)
  const { variants } = experiments[name]
  if (values.only !== undefined && !Object.hasOwn(variants, values.only))
    throw new Error(`--only must be one of ${Object.keys(variants).join(', ')}`)
  return { ...values, name, seeds }
}
