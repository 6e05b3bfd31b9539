import type { VersionDistributions, VersionRows } from '../../schemas/model-versions.ts'
import type { FieldValues, ModelDetails, ModelList } from '../../schemas/models.ts'

const ready = { state: 'ready', engine: 'onnx', precision: 'float32' } as const

export const modelListExample: ModelList = {
  administration: false,
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

export const versionDistributionsExample: VersionDistributions = {
  model: 'ads-funnel',
  version: '1',
  fields: [
    {
      name: 'country',
      psi: 0.03,
      observations: 12_000,
      bins: [
        { label: 'AT', value: 'AT', then: 0.2, now: 0.18 },
        { label: 'all other values', then: 0.8, now: 0.82 },
      ],
      unknown: 17,
    },
    {
      name: 'price',
      psi: 0.31,
      observations: 12_000,
      bins: [
        { label: 'up to 0.1', value: 0.1, high: 0.1, then: 0.1, now: 0.02 },
        { label: '0.1 to 4.2', value: 1.2, low: 0.1, high: 4.2, then: 0.8, now: 0.58 },
        { label: 'above 4.2', value: 6.1, low: 4.2, then: 0.1, now: 0.4 },
      ],
      unknown: 0,
    },
  ],
  tasks: [
    {
      name: 'ctr',
      psi: null,
      observations: 120,
      bins: [
        { label: '0 to 0.02', low: 0, high: 0.02, then: 0.5, now: 0.6 },
        { label: '0.02 to 1', low: 0.02, high: 1, then: 0.5, now: 0.4 },
      ],
    },
  ],
}

export const versionRowsExample: VersionRows = {
  model: 'ads-funnel',
  version: '1',
  rows: [{ context: { country: 'AT' }, candidate: { campaign: 'c2', price: 1.89 } }],
}

export const fieldValuesExample: FieldValues = {
  model: 'ads-funnel',
  version: '1',
  field: 'country',
  total: 12,
  offset: 0,
  values: ['AR', 'AT', 'AU'],
}
