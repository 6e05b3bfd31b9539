import type { FieldValues, ModelDetails, ModelList } from '../../schemas/models.ts'

const ready = { state: 'ready', engine: 'onnx', precision: 'float32' } as const

export const modelListExample: ModelList = {
  models: [
    {
      name: 'ads-funnel',
      default: true,
      default_version: '1',
      labels: { stable: '1' },
      versions: [
        {
          version: '2',
          state: 'failed',
          error: 'ads-funnel/2/model.json is damaged: its SHA-256 is 9f86d081…, the manifest says 60303ae2…',
        },
        { version: '1', ...ready },
      ],
    },
    {
      name: 'census-income',
      default: false,
      default_version: '1',
      pin: '1',
      versions: [{ version: '1', ...ready }],
    },
  ],
}

export const modelDetailsExample: ModelDetails = {
  name: 'ads-funnel',
  default: true,
  default_version: '1',
  versions: [{ version: '1', ...ready }],
  version: '1',
  description: 'Clicks and conversions of ads',
  architecture: { name: 'multi_gate', dim_emb: 16, num_experts: 4 },
  fields: [
    {
      name: 'country',
      side: 'context',
      kind: 'vocabulary',
      type: 'string',
      required: true,
      missing: 'error',
      out_of_vocabulary: 'bucket',
      values: { count: 12, first: ['AR', 'AT', 'AU'], path: '/models/ads-funnel/fields/country/values' },
      encoding: { ids: [0, 12] },
    },
    {
      name: 'campaign',
      side: 'candidate',
      kind: 'hash',
      type: 'string',
      required: true,
      missing: 'error',
      encoding: { ids: [13, 1012], buckets: 1000, seed: 0 },
    },
    {
      name: 'price',
      side: 'candidate',
      kind: 'numeric',
      type: 'number',
      required: false,
      missing: 'default',
      default: 1,
      exclusive_minimum: -1,
      usual: [0.1, 4.2],
      encoding: { scaling: { method: 'log1p', scale: 0.9 } },
    },
  ],
  tasks: [
    { name: 'ctr', description: 'Click', gate: true },
    {
      name: 'cvr',
      description: 'Conversion, given a click',
      calibration: { method: 'platt', a: 0.9, b: -0.3 },
      gate: true,
    },
    { name: 'ctcvr', product: ['ctr', 'cvr'] },
  ],
  example: { model: 'ads-funnel', context: { country: 'AT' }, candidates: [{ campaign: 'c2', price: 1.89 }] },
  quality: {
    ctr: {
      rows: 50_000,
      positives: 1310,
      auc: 0.742,
      logloss: 0.109,
      normalised_entropy: 0.89,
      calibration_ratio: 1.01,
    },
  },
  plan: {
    engine: 'onnx',
    graph: 'layers',
    workers: 4,
    max_batch_rows: 256,
    precision: 'float32',
    tables: 'float32',
    compiled: true,
    compile_seconds: 0.4,
    split_by_side: true,
    notes: [],
  },
  memory: { weights: 0, variants: 4_120_000, tables: 0, cache: 1_730_000 },
}

export const fieldValuesExample: FieldValues = {
  model: 'ads-funnel',
  version: '1',
  field: 'country',
  total: 12,
  offset: 0,
  values: ['AR', 'AT', 'AU'],
}
