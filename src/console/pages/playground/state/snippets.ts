import type { PredictBody } from './form.ts'
import { type Field, type Value, type Values, valueAt } from './model.ts'

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
    JSON.stringify(body, null, 2),
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
  return JSON.stringify(value, null, 2).replace(/^(\s*)"__proto__":/gm, '$1["__proto__"]:')
}

function indented(text: string, by: string): string {
  return text.replaceAll('\n', `\n${by}`)
}

const types = {
  string: ['BYTES', 'object'],
  integer: ['INT64', 'np.int64'],
  number: ['FP64', 'np.float64'],
} as const

/**
 * Named features over the Open Inference Protocol. A field that only some candidates have is sent with its default for
 * the others.
 */
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

/** Where and how it is asked. */
export interface Caller {
  /** The server, without a slash at its end. */
  url: string
  /** Requests carry a key, which is read from the variable MULTIGATE_KEY and never written down. */
  hasKey: boolean
}

/** A string, number, list or dictionary of Python: JSON's escapes mean the same there. */
export function pythonLiteral(value: unknown, indent = ''): string {
  const inner = `${indent}    `
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object' || item === null))
      return `[${value.map((item) => pythonLiteral(item)).join(', ')}]`
    return `[\n${value.map((item) => `${inner}${pythonLiteral(item, inner)},\n`).join('')}${indent}]`
  }
  if (typeof value === 'object') {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined)
    const shown = entries.map(([name, item]) => `${inner}${JSON.stringify(name)}: ${pythonLiteral(item, inner)},\n`)
    return entries.length === 0 ? '{}' : `{\n${shown.join('')}${indent}}`
  }
  return JSON.stringify(value)
}
