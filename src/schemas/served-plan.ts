import Type from 'typebox'

/* How a loaded version is computed: part of GET /models/{model}. */

/** How a precision compares with float32 on held-out rows, measured where it is served. */
export const PrecisionCheck = Type.Object({
  passed: Type.Boolean(),
  rows: Type.Integer({ description: 'Rows compared' }),
  tasks: Type.Array(
    Type.Object({
      task: Type.String(),
      auc_loss: Type.Union([Type.Number(), Type.Null()], {
        description: 'AUC of float32 minus that of the precision; null without enough labels',
      }),
      mean_change: Type.Number({ description: "|mean prediction ÷ float32's − 1|" }),
      logit_p99: Type.Number({ description: '99th percentile of the difference of logits' }),
      logit_max: Type.Number({ description: 'The largest difference of logits' }),
    }),
  ),
  reasons: Type.Array(Type.String(), { description: 'The failed checks' }),
})

/** The graph after a step of the compiler. */
const CompilerPass = Type.Object({
  pass: Type.String({ examples: ['as saved', 'fold linear'] }),
  changes: Type.Integer({ description: 'What it changed' }),
  nodes: Type.Integer(),
  multiplications: Type.Number({ description: 'Multiplications with weights per row' }),
  multiplications_once: Type.Number({ description: 'The same, once per request' }),
  bytes: Type.Number({ description: 'Size of its constants' }),
})

/** Costs of a plan's calls, as a worker has measured them before. */
const PlanCosts = Type.Object(
  {
    measured_at: Type.String({ examples: ['2026-12-01T09:00:00.000Z'] }),
    machine: Type.String({ description: 'Processors, threads per call, and version of Node.js' }),
    full_graph: Type.Union(
      [
        Type.Literal('compiled'),
        Type.Literal('saved', { description: 'the graph as saved, clearly cheaper here than the compiled one' }),
      ],
      { description: 'The graph that computes the rows of the variant `full`' },
    ),
    variants: Type.Array(
      Type.Object({
        variant: Type.String({ examples: ['full', 'shared_context', 'candidate_encoder', 'cached', 'saved'] }),
        engine: Type.Optional(
          Type.String({
            description:
              'What computes it, where oneDNN could: `onednn`, or `onnx` (ONNX Runtime) where that is faster',
          }),
        ),
        row_us: Type.Number({ description: 'µs per row' }),
        call_us: Type.Number({ description: 'µs per call, whatever its rows' }),
      }),
    ),
    cache_miss_us: Type.Optional(Type.Number({ description: 'µs per candidate that is not cached' })),
  },
  {
    description:
      'Costs of the compiled graphs, kept beside the plan; `saved`: of the graph as saved, unless its constants exceed 64 MiB',
  },
)

export const ServedPlan = Type.Object({
  engine: Type.String(),
  graph: Type.String({ description: 'Format of the saved graph' }),
  workers: Type.Integer(),
  max_batch_rows: Type.Integer(),
  precision: Type.String({ description: 'Precision of the computation: `float32`, `bfloat16` or `int8`' }),
  tables: Type.String({ description: 'Format of the rows of large tables: `float32`, `float16` or `int8`' }),
  compiled: Type.Boolean({ description: 'The graph was compiled; otherwise it runs as saved' }),
  compile_seconds: Type.Number({ description: 'Seconds to compile it, or to load its plan from the cache' }),
  split_by_side: Type.Boolean({
    description: 'The context is computed once per request, and cached candidates are skipped',
  }),
  notes: Type.Array(Type.String(), {
    description:
      'Why the graph runs as saved, in another precision, with other tables, or without the split by side or its catalogue',
  }),
  int8_check: Type.Optional(PrecisionCheck),
  bfloat16_check: Type.Optional(PrecisionCheck),
  products: Type.Optional(
    Type.String({
      description: 'What computes the products of bfloat16 or int8, and why',
      examples: ['oneDNN 3.2.0, AMX'],
    }),
  ),
  passes: Type.Optional(
    Type.Array(CompilerPass, {
      description: 'The float32 graph as saved, then after each pass of the compiler; absent where it runs as saved',
    }),
  ),
  costs: Type.Optional(PlanCosts),
  tables_check: Type.Optional(PrecisionCheck),
  catalogue: Type.Optional(
    Type.Object(
      {
        rows: Type.Integer({ description: 'Candidates' }),
        precision: Type.String({ description: 'How they are stored: `float32`, `bfloat16` or `int8`' }),
        bytes: Type.Integer({ description: 'Its files, which are mapped, and its index' }),
        made_at: Type.String({ examples: ['2026-12-01T09:00:00.000Z'] }),
      },
      { description: 'Candidates computed ahead of requests (`multigate warm`)' },
    ),
  ),
})
