import type { PredictBody } from './form.ts'
import { type Field, type Value, type Values, valueAt } from './model.ts'
import { type Caller, pythonLiteral } from './python-literal.ts'

const types = {
  string: ['BYTES', 'object'],
  integer: ['INT64', 'np.int64'],
  number: ['FP64', 'np.float64'],
} as const

/** Named features over the Open Inference Protocol. A field that only some candidates have is sent with its default for the others. */
export function tritonSnippet({ url, hasKey }: Caller, body: PredictBody, fields: readonly Field[]): string {
  const { protocol, host, pathname } = new URL(url)
  const { context = {}, candidates, model, version } = body
  const columns = fields.flatMap((field) => columnOf(field, context, candidates))
  const options = [
    pythonLiteral(`${host}${pathname.replace(/\/$/, '')}`),
    ...(protocol === 'https:' ? ['ssl=True'] : []),
  ]
  const infer = [
    pythonLiteral(model),
    'inputs',
    ...(version === undefined ? [] : [`model_version=${pythonLiteral(version)}`]),
    ...(hasKey ? [`headers={"authorization": f"Bearer {os.environ['MULTIGATE_KEY']}"}`] : []),
  ]
  return [
    '# pip install "tritonclient[http]"',
    ...(hasKey ? ['import os', ''] : []),
    'import numpy as np',
    'from tritonclient.http import InferenceServerClient, InferInput',
    '',
    '# One value applies to all rows.',
    'features = [',
    ...columns.map(({ field, values }) => {
      const [datatype, dtype] = types[field.type]
      return `    (${pythonLiteral(field.name)}, "${datatype}", np.array(${pythonLiteral(values)}, dtype=${dtype})),`
    }),
    ']',
    'inputs = []',
    'for name, datatype, values in features:',
    '    inputs.append(InferInput(name, values.shape, datatype))',
    '    inputs[-1].set_data_from_numpy(values)',
    `client = InferenceServerClient(${options.join(', ')})`,
    `answer = client.infer(${infer.join(', ')})`,
    'for output in answer.get_response()["outputs"]:',
    '    print(output["name"], answer.as_numpy(output["name"])[:, 0].tolist())',
    '',
  ].join('\n')
}

function columnOf(field: Field, context: Values, candidates: readonly Values[]): { field: Field; values: Value[] }[] {
  const shared = valueAt(context, field.name)
  if (shared !== undefined) return [{ field, values: [shared] }]
  const values = candidates.map((row) => valueAt(row, field.name))
  if (values.every((value) => value === undefined)) return []
  return [{ field, values: values.map((value) => value ?? field.default ?? (field.type === 'string' ? '' : 0)) }]
}
