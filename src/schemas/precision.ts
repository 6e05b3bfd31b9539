import Type, { type Static } from '#typebox'

export type Precision = Static<typeof Precision>
export const Precision = Type.Union([Type.Literal('float32'), Type.Literal('int8')], {
  default: 'float32',
  description:
    'What the compiled plan computes in; int8 only where it passes its check against the quantization rows, else float32 is served',
})

export type TableFormat = Static<typeof TableFormat>
export const TableFormat = Type.Union([Type.Literal('float32'), Type.Literal('float16'), Type.Literal('int8')], {
  description:
    'How the compiled plan stores the rows of large embedding tables (int8: with a scale per row); a narrow format only where it passes the check of int8 against the quantization rows, else float32; default: float32',
})
