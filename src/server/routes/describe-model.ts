import { type CatalogueDescription, catalogueBytes } from '../../model/contracts/catalogue.ts'
import type { PlanCostsInUse } from '../../model/engines/plan/plan-cost.ts'
import { hasEvaluation } from '../../model/serving/bundle/evaluation.ts'
import { referenceOf } from '../../model/serving/drift/monitor.ts'
import { unscale } from '../../model/serving/features/decode.ts'
import type { FieldColumn } from '../../model/serving/features/field-column.ts'
import type { Layout } from '../../model/serving/features/layout.ts'
import { type InputField, paddingOf, tableOf } from '../../model/serving/features/table.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import { defaultHash, type HashField } from '../../schemas/features.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { CrossedDetails, FieldDetails, ModelDetails, ModelStatus } from '../../schemas/models.ts'
import { residentBytes } from '../metrics/graph-metrics.ts'
import type { ServerContext } from '../request/context.ts'
import { describeEntities } from './describe-entities.ts'
import { exampleOf } from './example.ts'

type Plan = NonNullable<ModelDetails['plan']>

/** A version that is loaded, in full. `path`: that of the description. */
export async function describeVersion(
  context: Pick<ServerContext, 'metrics' | 'tables'>,
  status: ModelStatus,
  model: LoadedModel,
  path: string,
): Promise<ModelDetails> {
  const { plan, ...described } = describeModel(model, path)
  const [costs, memory] = await Promise.all([model.keptCosts(), memoryOf(model)])
  return {
    ...status,
    ...described,
    ...describeEntities(model, context),
    plan: { ...plan, ...(costs === undefined ? {} : { costs: describeCosts(costs) }) },
    ...memory,
  } as ModelDetails
}

/** Nothing where the engine doesn't count. */
async function memoryOf(model: LoadedModel): Promise<Pick<ModelDetails, 'memory'>> {
  const stats = await model.graphStats().catch(() => undefined)
  return stats === undefined ? {} : { memory: residentBytes(stats) }
}

function describeCatalogue(catalogue: CatalogueDescription): NonNullable<Plan['catalogue']> {
  const { rows, precision, made } = catalogue
  return { rows, precision, bytes: catalogueBytes(catalogue), made_at: new Date(made).toISOString() }
}

function describeCosts({ machine, measured, costs, takesSaved }: PlanCostsInUse): NonNullable<Plan['costs']> {
  const { lookUp, ...variants } = costs
  return {
    measured_at: new Date(measured).toISOString(),
    machine,
    full_graph: takesSaved ? 'saved' : 'compiled',
    variants: Object.entries(variants).map(([variant, { a, b, engine }]) => ({
      variant,
      ...(engine && { engine }),
      row_us: a,
      call_us: b,
    })),
    ...(lookUp === undefined ? {} : { cache_miss_us: lookUp }),
  }
}

function describeModel(model: LoadedModel, path: string): Partial<ModelDetails> {
  const { manifest, encoder, tensors } = model
  const { version, description, architecture, quality, provenance, graph } = manifest
  return {
    version,
    ...(description === undefined ? {} : { description }),
    ...(architecture === undefined ? {} : { architecture }),
    fields: describeFields(manifest, encoder.layout, path),
    ...(encoder.layout.crossed.length === 0 ? {} : { crossed: describeCrossed(encoder.layout) }),
    inputs: tensors.inputs.map(({ name, dtype, dims }) => ({ name, dtype, shape: dims })),
    tasks: [
      ...manifest.tasks.map((task) => ({ ...task, gate: Object.hasOwn(graph.outputs.gates ?? {}, task.name) })),
      ...manifest.derived,
    ],
    ...exampleOf(manifest),
    ...(quality === undefined ? {} : { quality }),
    ...(hasEvaluation(model) ? { evaluated: true } : {}),
    plan: describePlan(model),
    ...(provenance === undefined ? {} : { provenance }),
  }
}

/** Where the judgement of a precision stands. */
const checkOf = { float32: 'int8_check', bfloat16: 'bfloat16_check', int8: 'int8_check' } as const

function describePlan({ manifest, engine, plan }: LoadedModel): Plan {
  const judged = manifest.precision === 'auto' ? plan.precision : manifest.precision
  return {
    engine,
    graph: manifest.graph.format,
    workers: plan.workers,
    max_batch_rows: plan.maxBatchRows,
    precision: plan.precision,
    tables: plan.tables,
    compiled: plan.compiled,
    compile_seconds: plan.compileSeconds,
    split_by_side: plan.split,
    notes: plan.notes,
    ...(plan.products === undefined ? {} : { products: plan.products }),
    ...(plan.verdict === undefined ? {} : { [checkOf[judged]]: plan.verdict }),
    ...(plan.tablesVerdict === undefined ? {} : { tables_check: plan.tablesVerdict }),
    // Their reasons name nodes of the graph.
    ...(plan.passes.length === 0 ? {} : { passes: plan.passes.map(({ left: _, ...pass }) => pass) }),
    ...(plan.catalogue === undefined ? {} : { catalogue: describeCatalogue(plan.catalogue) }),
  }
}

/** Values of a vocabulary that a model's description shows. */
const shownValues = 10

/** The values that a client may send for each field of a model, in manifest order. `path`: that of the description. */
export function describeFields({ drift }: Manifest, { slots, sparse }: Layout, path: string): FieldDetails[] {
  return slots.map(({ sparse: isSparse, column, padding, encoder: { field } }: FieldColumn) => {
    const list = 'list' in field ? field.list : undefined
    const { offset, ids } = (isSparse ? sparse[column] : undefined) ?? { offset: 0, ids: 0 }
    return {
      name: field.name,
      side: field.side,
      kind: field.kind,
      type: types[field.kind],
      ...(list && { list }),
      ...('sequence' in field && field.sequence !== undefined && { sequence: field.sequence }),
      ...('owner' in field && field.owner && { table: field.owner.name }),
      required: field.missing === 'error',
      missing: field.missing === 'error' ? 'error' : 'default',
      ...(field.missing === 'error' ? {} : { default: field.missing.default }),
      ...ofKind(field, path, referenceOf(drift?.features, field.name)),
      encoding: {
        ...(isSparse ? { ids: [offset, offset + ids - 1] } : {}),
        ...(isSparse && list ? { padding } : {}),
        ...(field.kind === 'hash' ? encodingOf(field) : {}),
        ...(field.kind === 'numeric' ? { scaling: field.scaling } : {}),
      },
    }
  })
}

/** The hash stands there even where it is the default, so that a client needs to know of none. */
function encodingOf({ hash = defaultHash, buckets, seed }: HashField): FieldDetails['encoding'] {
  return { hash, buckets, ...(seed !== undefined && { seed }) }
}

function describeCrossed({ crossed }: Layout): CrossedDetails[] {
  return crossed.map(({ field: { name, side, of }, offset, ids, hashed, list }) => ({
    ...{ name, side, of, hashed },
    ids: [offset, offset + ids - 1],
    ...(list && { max: list.width }),
  }))
}

const types = {
  vocabulary: 'string',
  hash: 'string',
  integer: 'integer',
  numeric: 'number',
  vector: 'number',
} as const

function ofKind(field: InputField, path: string, reference: Reference): Partial<FieldDetails> {
  switch (field.kind) {
    case 'vocabulary':
      return {
        out_of_vocabulary: field.out_of_vocabulary,
        values: {
          count: field.values.length,
          first: field.values.slice(0, shownValues),
          path: `${path}/fields/${encodeURIComponent(field.name)}/values`,
        },
      }
    case 'integer':
      return { out_of_vocabulary: field.out_of_vocabulary, ...knownIntegers(field) }
    case 'hash':
      return {}
    case 'vector':
      return { length: field.length }
    case 'numeric': {
      const edges = reference && 'edges' in reference ? reference.edges : undefined
      return {
        ...(field.scaling.method === 'log1p' ? { exclusive_minimum: -1 } : {}),
        ...(edges ? { usual: [edges[0]!, edges.at(-1)!].map((edge) => rounded(unscale(field, edge))) } : {}),
      }
    }
  }
}

/** The range of integers that the model knows. One at an end that has the id of padding counts as unknown. */
function knownIntegers(field: Extract<InputField, { kind: 'integer' }>): { minimum: number; maximum: number } {
  const { size, list } = field
  const padding = list === undefined ? undefined : paddingOf(field) - (tableOf(field).ids - size)
  return { minimum: padding === 0 ? 1 : 0, maximum: padding === size - 1 ? size - 2 : size - 1 }
}

/** Edges are float32, of which six digits are exact. */
const rounded = (value: number) => Number(value.toPrecision(6))

type Reference = NonNullable<Manifest['drift']>['features'][string] | undefined
