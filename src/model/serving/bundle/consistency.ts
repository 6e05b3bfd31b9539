import { repeatedIndexes } from '../../../base/arrays.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import type { Calibration, Distribution, Manifest } from '../../../schemas/manifest.ts'
import { crossedProblems } from '../features/crossed.ts'
import { boundsOf, requiredMessage } from '../features/field.ts'
import { layoutOf } from '../features/layout.ts'

/** Contradictions in a well-formed manifest; each begins with a JSON pointer. */
export function contradictions(manifest: Manifest): string[] {
  return [
    ...features(manifest),
    ...tasks(manifest),
    ...graph(manifest),
    ...quantization(manifest),
    ...golden(manifest),
    ...drift(manifest),
  ]
}

function features(manifest: Manifest): string[] {
  const { features, crossed = [] } = manifest
  const problems = repeatedIndexes([...features, ...crossed].map(({ name }) => name)).map((i) =>
    i < features.length ? `/features/${i}/name is used twice` : `/crossed/${i - features.length}/name is used twice`,
  )
  features.forEach((field, i) => {
    if (field.kind === 'numeric' && field.scaling.method === 'min_max' && field.scaling.max <= field.scaling.min) {
      problems.push(`/features/${i}/scaling/max must be greater than min`)
    }
    const range = field.kind === 'numeric' && field.scaling.method === 'standard' ? field.scaling.range : undefined
    if (range && !(range[0]! <= range[1]!)) problems.push(`/features/${i}/scaling/range must ascend`)
    else if (range && field.kind === 'numeric' && !Object.values(boundsOf(field)!).every(Number.isFinite))
      problems.push(`/features/${i}/scaling/range is beyond float32 when it is scaled`)
  })
  const unfit = crossedProblems(crossed, features).map(({ path, message }) => `/crossed${path} ${message}`)
  if (unfit.length > 0) return [...problems, ...unfit]
  const { slots, ids } = layoutOf(manifest)
  slots.forEach(({ encoder }, i) => {
    if (typeof encoder.missing === 'string' && encoder.missing !== requiredMessage) {
      problems.push(`/features/${i}/missing/default ${encoder.missing}`)
    }
  })
  if (ids > 2 ** 31 - 1) problems.push(`/features have ${ids} ids in all, more than int32 holds`)
  return problems
}

function tasks(manifest: Manifest): string[] {
  const names = manifest.tasks.map(({ name }) => name)
  const all = [...names, ...manifest.derived.map(({ name }) => name)]
  const problems = repeatedIndexes(all).map((i) =>
    i < names.length ? `/tasks/${i}/name is used twice` : `/derived/${i - names.length}/name is used twice`,
  )
  manifest.derived.forEach(({ product }, i) => {
    product.forEach((name, j) => {
      if (names.includes(name)) return
      problems.push(
        `/derived/${i}/product/${j} is not a task: ${JSON.stringify(name)}; known are ${names.join(', ')}${didYouMean(name, names)}`,
      )
    })
  })
  manifest.tasks.forEach(({ calibration }, i) => {
    const problem = calibration && calibrationProblem(calibration)
    if (problem) problems.push(`/tasks/${i}/calibration ${problem}`)
  })
  manifest.derived.forEach(({ calibration }, i) => {
    const problem = calibration && calibrationProblem(calibration)
    if (problem) problems.push(`/derived/${i}/calibration ${problem}`)
  })
  return problems
}

function calibrationProblem(calibration: Calibration): string | undefined {
  if (calibration.method !== 'isotonic') return undefined
  const { x, y } = calibration
  if (x.length !== y.length) return `has ${x.length} x and ${y.length} y`
  const ascends =
    x.every((value, i) => i === 0 || value > x[i - 1]!) && y.every((value, i) => i === 0 || value >= y[i - 1]!)
  return ascends ? undefined : 'must ascend: x strictly, y without falling'
}

function graph({ graph, features, crossed = [], tasks, files }: Manifest): string[] {
  const problems: string[] = []
  if (!Object.hasOwn(files, graph.file)) problems.push(`/graph/file is not among /files: ${JSON.stringify(graph.file)}`)
  const dense = features.some(({ kind }) => kind === 'numeric')
  const sparse = features.some(({ kind }) => kind !== 'numeric')
  if (sparse !== (graph.inputs.sparse !== undefined)) {
    problems.push(
      `/graph/inputs/sparse ${sparse ? 'is missing: there are sparse fields' : 'is given, but there are no sparse fields'}`,
    )
  }
  if (dense !== (graph.inputs.dense !== undefined)) {
    problems.push(
      `/graph/inputs/dense ${dense ? 'is missing: there are numeric fields' : 'is given, but there are no numeric fields'}`,
    )
  }
  const own = graph.inputs.sparse
  const fields = features.filter(({ kind }) => kind !== 'numeric').length + crossed.length
  if (Array.isArray(own) && own.length > 1 && own.length !== fields)
    problems.push(
      `/graph/inputs/sparse lists ${own.length} tensors for ${fields} sparse fields: there must be one tensor, or one per field`,
    )
  if (graph.inputs.ids === 'shared' && Array.isArray(own) && own.length > 1)
    problems.push('/graph/inputs/ids must be per_field: each sparse field has a tensor')
  for (const name of Object.keys(graph.outputs.gates ?? {})) {
    if (!tasks.some((task) => task.name === name)) problems.push(`/graph/outputs/gates/${name} is not a task`)
  }
  return problems
}

function quantization({ quantization, files }: Manifest): string[] {
  if (quantization === undefined || Object.hasOwn(files, quantization.file)) return []
  return [`/quantization/file is not among /files: ${JSON.stringify(quantization.file)}`]
}

function golden({ golden, tasks, derived }: Manifest): string[] {
  if (golden === undefined) return []
  const problems: string[] = []
  if (golden.rows.length !== golden.probabilities.length) {
    problems.push(`/golden has ${golden.rows.length} rows and ${golden.probabilities.length} answers`)
  }
  golden.probabilities.forEach((row, i) => {
    if (row.length !== tasks.length)
      problems.push(`/golden/probabilities/${i} has ${row.length} values for ${tasks.length} tasks`)
  })
  const { served } = golden
  if (served !== undefined && served.length !== golden.rows.length)
    problems.push(`/golden has ${golden.rows.length} rows and ${served.length} served answers`)
  served?.forEach((row, i) => {
    // Derived tasks that a person has added since have no value yet.
    const all = tasks.length + derived.length
    if (row.length < tasks.length || row.length > all)
      problems.push(
        `/golden/served/${i} has ${row.length} values for ${all} tasks: correct it, or remove /golden/served`,
      )
  })
  return problems
}

function drift({ drift, features, tasks, derived }: Manifest): string[] {
  if (drift === undefined) return []
  const problems: string[] = []
  const check = (path: string, distribution: Distribution, known: boolean) => {
    const bins = 'ids' in distribution ? distribution.ids : distribution.edges
    if (!known) problems.push(`${path} matches no field or task of that name: rename it, too, or remove it`)
    if (distribution.shares.length !== bins.length + 1)
      problems.push(`${path}/shares must have one more value than there are bins`)
    const ascends = 'ids' in distribution || bins.every((edge, i) => i === 0 || edge > bins[i - 1]!)
    if (!ascends) problems.push(`${path}/edges must ascend`)
  }
  for (const [name, distribution] of Object.entries(drift.features)) {
    const field = features.find((candidate) => candidate.name === name)
    check(
      `/drift/features/${name}`,
      distribution,
      field !== undefined && (field.kind === 'numeric') === 'edges' in distribution,
    )
  }
  for (const [name, distribution] of Object.entries(drift.tasks)) {
    check(
      `/drift/tasks/${name}`,
      distribution,
      'edges' in distribution && [...tasks, ...derived].some((task) => task.name === name),
    )
  }
  return problems
}
