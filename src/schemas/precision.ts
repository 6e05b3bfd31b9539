import Type, { type Static } from 'typebox'

export type Precision = Static<typeof Precision>
export const Precision = Type.Union(
  [Type.Literal('float32'), Type.Literal('bfloat16'), Type.Literal('int8'), Type.Literal('auto')],
  {
    default: 'float32',
    description:
      'What the compiled plan computes in; bfloat16 and int8 only where they pass their check against the quantization rows, else float32 is served, and only where they are faster (see keep_precision); bfloat16 needs oneDNN and AMX or AVX512-BF16; auto takes the fastest on the serving machine of those that pass with a margin',
  },
)

export const KeepPrecision = Type.Boolean({
  description:
    'Whether bfloat16 or int8 is served also where it is no faster than float32 on the serving machine; default: float32 is served there',
})

export type TableFormat = Static<typeof TableFormat>
export const TableFormat = Type.Union([Type.Literal('float32'), Type.Literal('float16'), Type.Literal('int8')], {
  description:
    'How the compiled plan stores the rows of large embedding tables (int8: with a scale per row); a narrow format only where it passes the check of int8 against the quantization rows, else float32; default: float32',
})
