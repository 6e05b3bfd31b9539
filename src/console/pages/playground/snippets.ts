import type { PredictBody } from './form.ts'
import type { Field } from './model.ts'
import { type Caller, pythonLiteral } from './python-literal.ts'
import { tritonSnippet } from './snippet-triton.ts'

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
