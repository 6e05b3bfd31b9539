import { repeatedIndexes } from '../../../base/arrays.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import { type CrossedField, type Field, isDense } from '../../../schemas/features.ts'
import type { Calibration, FieldTensors, Manifest } from '../../../schemas/manifest.ts'
import { crossedProblems } from '../features/crossed.ts'
import { entityProblems } from '../features/entity-problems.ts'
import { boundsOf, requiredMessage } from '../features/field.ts'
import { type Layout, layoutOf } from '../features/layout.ts'
import { ListEncoder } from '../features/lists.ts'
import { Violations } from '../features/problems.ts'
import { tableProblems } from '../features/table.ts'
import { driftProblems } from './drift-consistency.ts'

/** Contradictions in a well-formed manifest; each begins with a JSON pointer. */
export function contradictions(manifest: Manifest): string[] {
  return [
    ...features(manifest),
    ...entityProblems(manifest.features, manifest.entities).map(({ path, message }) => `${path} ${message}`),
    ...tasks(manifest),
    ...graph(manifest),
    ...quantization(manifest),
    ...golden(manifest),
    ...driftProblems(manifest),
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
  const unfit = [
    ...tableProblems(features).map((problem) => `/features${problem}`),
    ...crossedProblems(crossed, features).map(({ path, message }) => `/crossed${path} ${message}`),
  ]
  if (unfit.length > 0) return [...problems, ...unfit]
  const layout = layoutOf(manifest)
  layout.slots.forEach(({ encoder }, i) => {
    if (typeof encoder.missing === 'string' && encoder.missing !== requiredMessage) {
      problems.push(`/features/${i}/missing/default ${encoder.missing}`)
    }
  })
  problems.push(...defaultProblems(layout))
  const { ids } = layout
  if (ids > 2 ** 31 - 1) problems.push(`/features have ${ids} ids in all, more than int32 holds`)
  return problems
}

/** Problems of the defaults of lists and vectors. */
function defaultProblems({ groups, slots, sparse, dense }: Layout): string[] {
  const widths = { sparse: sparse.length, dense: dense.length }
  const row = { sparse: new Int32Array(widths.sparse), dense: new Float32Array(widths.dense) }
  const problems = new Violations()
  problems.leaveOut()
  const lists = new ListEncoder(groups, widths, problems, (slot) => `/features/${slots.indexOf(slot)}/missing/default`)
  for (const group of groups) lists.encode(group, row, undefined)
  return problems.list.map(({ path, message }) => `${path} ${message}`)
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
  const { inputs } = graph
  const has = (name: string, tensor: keyof FieldTensors) =>
    inputs.fields !== undefined && Object.hasOwn(inputs.fields, name) && inputs.fields[name]![tensor] !== undefined
  const weighted = (field: Field) => 'list' in field && field.list?.weighted === true && !has(field.name, 'weights')
  const dense = features.some((field) => (isDense(field) && !has(field.name, 'values')) || weighted(field))
  const ids = [...features.filter((field) => !isDense(field)), ...crossed].filter(({ name }) => !has(name, 'ids'))
  for (const [role, wanted, kind] of [
    ['sparse', ids.length > 0, 'sparse'],
    ['dense', dense, 'numeric'],
  ] as const) {
    if (wanted === (inputs[role] !== undefined)) continue
    const which = inputs.fields === undefined ? `${kind} fields` : `${kind} fields that /graph/inputs/fields leaves`
    problems.push(
      `/graph/inputs/${role} ${wanted ? `is missing: there are ${which}` : `is given, but there are no ${which}`}`,
    )
  }
  const own = inputs.sparse
  if (Array.isArray(own) && own.length > 1 && own.length !== ids.length)
    problems.push(
      `/graph/inputs/sparse lists ${own.length} tensors for ${ids.length} sparse fields: there must be one tensor, or one per field`,
    )
  if (inputs.ids === 'shared' && Array.isArray(own) && own.length > 1)
    problems.push('/graph/inputs/ids must be per_field: each sparse field has a tensor')
  problems.push(...fieldTensorProblems(inputs, features, crossed))
  for (const name of Object.keys(graph.outputs.gates ?? {})) {
    if (!tasks.some((task) => task.name === name)) problems.push(`/graph/outputs/gates/${name} is not a task`)
  }
  return problems
}

/** Problems of the tensors that fields have of their own. */
function fieldTensorProblems(
  { fields = {}, sparse = [], dense = [] }: Manifest['graph']['inputs'],
  features: readonly Field[],
  crossed: readonly CrossedField[],
): string[] {
  const problems: string[] = []
  const used = new Set([sparse, dense].flat())
  const known = [...features, ...crossed].map(({ name }) => name)
  for (const [name, tensors] of Object.entries(fields)) {
    const path = `/graph/inputs/fields/${name}`
    const field = features.find((candidate) => candidate.name === name)
    if (field === undefined && !crossed.some((candidate) => candidate.name === name)) {
      problems.push(`${path} is not a field${didYouMean(name, known)}`)
      continue
    }
    if (Object.keys(tensors).length === 0) problems.push(`${path} names no tensor`)
    for (const [what, tensor] of Object.entries(tensors)) {
      const problem = tensorProblem(what as keyof FieldTensors, field, features)
      if (problem !== undefined) problems.push(`${path}/${what} ${problem}`)
      else if (used.has(tensor)) problems.push(`${path}/${what} is ${JSON.stringify(tensor)}, which is named twice`)
      used.add(tensor)
    }
  }
  return problems
}

/** Why a field, undefined for a crossed one, has no such tensor. */
function tensorProblem(what: keyof FieldTensors, field: Field | undefined, features: readonly Field[]) {
  const list = field !== undefined && 'list' in field ? field.list : undefined
  if (what === 'ids') return field !== undefined && isDense(field) ? 'is given, but the field has no ids' : undefined
  if (what === 'values')
    return field !== undefined && isDense(field) ? undefined : 'is given, but the field has ids: name its tensor ids'
  if (list === undefined) return 'is given, but the field is no list'
  if (what === 'weights') return list.weighted === true ? undefined : 'is given, but the list is not weighted'
  if (!isDense(field!)) return undefined
  const { sequence } = field as { sequence?: string }
  const hasIds = features.some(
    (other) => sequence !== undefined && 'sequence' in other && other.sequence === sequence && !isDense(other),
  )
  return hasIds ? undefined : 'can not be made: where numbers end does not show; put them into a sequence with ids'
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
