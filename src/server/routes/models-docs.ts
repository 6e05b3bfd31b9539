import type { Metrics } from '../../schemas/comparison.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
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
      encoding: { ids: [13, 1012], hash: 'murmur3', buckets: 1000, seed: 0 },
    },
    {
      name: 'price',
      side: 'candidate',
      kind: 'numeric',
      type: 'number',
      required: true,
      missing: 'error',
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
    max_batch_rows: 512,
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
      reference: true,
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
      reference: true,
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
      reference: true,
      psi: null,
      observations: 120,
      bins: [
        { label: '0 to 0.02', low: 0, high: 0.02, then: 0.5, now: 0.6 },
        { label: '0.02 to 1', low: 0.02, high: 1, then: 0.5, now: 0.4 },
      ],
    },
  ],
}

const metrics: Metrics = {
  auc: { value: 0.7918, low: 0.7886, high: 0.795 },
  logloss: { value: 0.0948, low: 0.0938, high: 0.0958 },
  normalised_entropy: { value: 0.8113, low: 0.8075, high: 0.8152 },
  calibration_ratio: { value: 1.0039, low: 0.9917, high: 1.0162 },
  ece: { value: 0.0007, low: 0.0002, high: 0.0011 },
}

export const evaluationExample: EvaluationReport = {
  report: 1,
  created: '2026-12-01T09:00:00.000Z',
  command: 'multigate train ads-funnel.yaml',
  multigate: '0.2.0',
  seed: 1,
  replicates: 200,
  model: {
    name: 'ads-funnel',
    version: '1',
    fields: [{ name: 'campaign', side: 'candidate', kind: 'vocabulary', ids: 302, unknown: 0.002 }],
  },
  data: { spec: 'ads-funnel.yaml', source: 'generator ads-funnel', rows: 500_000, part: 'test', judged: 100_000 },
  warnings: [],
  tasks: [
    {
      name: 'ctr',
      rows: 100_000,
      positives: 2526,
      base_rate: 0.02526,
      metrics,
      ece_measured: 0.0009,
      baselines: { base_rate: { logloss: 0.1171 } },
      roc: { fpr: [0, 0.2, 1], tpr: [0, 0.62, 1] },
      reliability: {
        served: [{ rows: 100_000, positives: 2526, predicted: 0.0254, observed: 0.02526, low: 0.0243, high: 0.0262 }],
      },
      histogram: { edges: [0, 0.02, 1], negatives: [0.6, 0.4], positives: [0.2, 0.8] },
      slices: [{ field: 'device', value: 'tablet', kind: 'value', values: 1, rows: 9876, positives: 241, metrics }],
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
