import { jsonText, type Notation } from '../../../parts/json-text.ts'
import type { PredictBody } from './form.ts'
import { weightsOf } from './lists.ts'
import { type Field, type Item, isSeveral, itemsOf, type Value, type Values, valueAt } from './model.ts'

export const languages = {
  curl: 'curl',
  javascript: 'JavaScript',
  requests: 'Python requests',
  triton: 'Python tritonclient',
} as const

export type Language = keyof typeof languages

/** A program that asks what the page asks. */
export function snippetOf(language: Language, caller: Caller, body: object, fields: readonly Field[]): string {
  switch (language) {
    case 'curl':
      return curlSnippet(caller, body)
    case 'javascript':
      return javascriptSnippet(caller, body)
    case 'requests':
      return requestsSnippet(caller, body)
    case 'triton':
      return tritonSnippet(caller, body as PredictBody, fields)
  }
}

/** In a quoted here-document a shell interprets nothing; no line of JSON is `JSON` alone. */
function curlSnippet({ url, hasKey }: Caller, body: object): string {
  return [
    `curl -sS ${shellText(`${url}/predict`)} \\`,
    ...(hasKey ? ['  -H "authorization: Bearer $MULTIGATE_KEY" \\'] : []),
    `  -H 'content-type: application/json' --data-binary @- <<'JSON'`,
    jsonText(body),
    'JSON',
    '',
  ].join('\n')
}

function javascriptSnippet({ url, hasKey }: Caller, body: object): string {
  return [
    `const answer = await fetch(${JSON.stringify(`${url}/predict`)}, {`,
    "  method: 'POST',",
    hasKey
      ? // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program
        "  headers: { 'content-type': 'application/json', authorization: `Bearer ${process.env.MULTIGATE_KEY}` },"
      : "  headers: { 'content-type': 'application/json' },",
    `  body: JSON.stringify(${indented(javascriptLiteral(body), '  ')}),`,
    '})',
    'const body = await answer.json()',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a program
    'if (!answer.ok) throw new Error(`${body.code}: ${body.detail}`)',
    'console.log(body.predictions)',
    '',
  ].join('\n')
}

function requestsSnippet({ url, hasKey }: Caller, body: object): string {
  return [
    ...(hasKey ? ['import os', ''] : []),
    'import requests',
    '',
    `body = ${pythonLiteral(body)}`,
    'answer = requests.post(',
    `    ${pythonLiteral(`${url}/predict`)},`,
    '    json=body,',
    ...(hasKey ? [`    headers={"authorization": f"Bearer {os.environ['MULTIGATE_KEY']}"},`] : []),
    '    timeout=10,',
    ')',
    'if not answer.ok:',
    '    problem = answer.json()',
    `    raise RuntimeError(f"{problem['code']}: {problem['detail']}")`,
    'print(answer.json()["predictions"])',
    '',
  ].join('\n')
}

/** For a POSIX shell. */
function shellText(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** JSON is JavaScript, but for `__proto__`, which would be the prototype. */
function javascriptLiteral(value: object): string {
  return jsonText(value).replace(/^(\s*)"__proto__":/gm, '$1["__proto__"]:')
}

function indented(text: string, by: string): string {
  return text.replaceAll('\n', `\n${by}`)
}

const types = {
  string: ['BYTES', 'object'],
  integer: ['INT64', 'np.int64'],
  number: ['FP64', 'np.float64'],
} as const

/** A tensor of named features, as a line of the program. */
interface Tensor {
  name: string
  type: keyof typeof types
  values: readonly Item[] | readonly (readonly Item[])[]
}

/**
 * Named features over the Open Inference Protocol. A field that only some candidates have is sent with its default for
 * the others.
 */
export function tritonSnippet({ url, hasKey }: Caller, body: PredictBody, fields: readonly Field[]): string {
  const { protocol, host, pathname } = new URL(url)
  const { context = {}, candidates, model, version } = body
  const tensors = fields.flatMap((field) =>
    isSeveral(field) ? listTensors(field, context, candidates) : columnOf(field, context, candidates),
  )
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
    ...tensors.map(({ name, type, values }) => {
      const [datatype, dtype] = types[type]
      const rows = values.map((row) => jsonText(row, python)).join(', ')
      return `    (${pythonLiteral(name)}, "${datatype}", np.array([${rows}], dtype=${dtype})),`
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

function columnOf({ name, type, default: usual }: Field, context: Values, candidates: readonly Values[]): Tensor[] {
  const [first = type === 'string' ? '' : 0] = itemsOf(usual)
  const values = columnIn(name, context, candidates)
  return values === undefined
    ? []
    : [{ name, type, values: values.map((value) => itemsOf(value ?? first)[0] ?? first) }]
}

/** Lists of equal lengths are a matrix; others have their values in one array, beside where each list begins. */
function listTensors(field: Field, context: Values, candidates: readonly Values[]): Tensor[] {
  const { name, type } = field
  const given = columnIn(name, context, candidates)
  if (given === undefined) return []
  // One list holds for all rows only where it describes the context.
  const isRepeated = given.length === 1 && field.side !== 'context'
  const rows = isRepeated ? candidates.map(() => given[0]) : given
  const lists = rows.map((value) => value ?? field.default ?? [])
  const lengths = lists.map((list) => itemsOf(list).length)
  const isMatrix = lengths[0]! > 0 && lengths.every((length) => length === lengths[0])
  const put = (items: (value: Value) => readonly Item[]) => (isMatrix ? lists.map(items) : lists.flatMap(items))
  let end = 0
  const ends = lengths.map((length) => {
    end += length
    return end
  })
  return [
    { name, type, values: put(itemsOf) },
    ...(isMatrix ? [] : [{ name: `${name}.offsets`, type: 'integer' as const, values: [0, ...ends] }]),
    ...(field.list?.weighted ? [{ name: `${name}.weights`, type: 'number' as const, values: put(weightsOf) }] : []),
  ]
}

/** One value for all rows, or one for each; undefined where no row has one. */
function columnIn(name: string, context: Values, candidates: readonly Values[]): (Value | undefined)[] | undefined {
  const shared = valueAt(context, name)
  if (shared !== undefined) return [shared]
  const values = candidates.map((row) => valueAt(row, name))
  return values.every((value) => value === undefined) ? undefined : values
}

/** Where and how it is asked. */
export interface Caller {
  /** The server, without a slash at its end. */
  url: string
  /** Requests carry a key, which is read from the variable MULTIGATE_KEY and never written down. */
  hasKey: boolean
}

const python: Notation = { none: 'None', true: 'True', false: 'False', comma: ',', indent: '    ' }

/** A string, number, list or dictionary of Python: JSON's escapes mean the same there. */
export const pythonLiteral = (value: unknown): string => jsonText(value, python)
