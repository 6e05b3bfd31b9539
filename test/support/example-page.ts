/**
 * A block of shell of an example's page: what starts a server or runs a script, or requests with the answers that the
 * page shows.
 */
export type Block = Start | { requests: Request[] }

export interface Start {
  /** `npm start`, `node` or `bash`. */
  command: string
  /** The script that `node` or `bash` runs, from the root of the project. */
  script: string | undefined
  env: Record<string, string>
}

export interface Request {
  command: string
  /**
   * `[STATUS] BODY`, where the status is 200 by default, and `…` stands for what is left out; several are joined by
   * `or`.
   */
  answer: string
}

export interface Answer {
  status: number
  body: string
}

/** The blocks of a page, in their order. Throws where a request has no answer. */
export function readPage(page: string): Block[] {
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, code]) => readBlock(code!))
  if (blocks.length !== [...page.matchAll(/^```\w/gm)].length) throw new Error('a block of the page is no shell')
  return blocks
}

function readBlock(code: string): Block {
  const start = /^((?:\w+=\S+ )*)(?:(npm start)|(node|bash) (\S+))$/m.exec(code)
  if (start === null) return { requests: readRequests(code) }
  const [, variables, npm, interpreter, script] = start
  const env = Object.fromEntries([...variables!.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!]))
  return { command: npm ?? interpreter!, script, env }
}

/** The requests of a block or of a script. Throws where one has no answer. */
export function readRequests(code: string): Request[] {
  const requests = [...code.matchAll(/^(curl (?:.+\n)+?)((?:#> .*\n)+)/gm)].map(([, command, answer]) => ({
    command: command!.trim(),
    answer: answer!.replaceAll('#> ', '').trim(),
  }))
  if (requests.length === 0 || requests.length !== [...code.matchAll(/^curl /gm)].length)
    throw new Error(`a request has no answer:\n${code}`)
  return requests
}

/** How an answer differs from the one that is shown; undefined where it doesn't. */
export function differenceOf(shown: string, actual: Answer): string | undefined {
  const problems = shown.split(/(?<=\}) or (?=[{\d])/).map((alternative) => differenceOfOne(alternative, actual))
  return problems.includes(undefined) ? undefined : problems.join(', and ')
}

function differenceOfOne(shown: string, { status, body }: Answer): string | undefined {
  const [, expected = '200', text] = /^(?:(\d{3}) )?([\s\S]*)$/.exec(shown)!
  if (status !== Number(expected)) return `the status is ${status}, not ${expected}`
  if (/^[[{]/.test(text!)) return jsonDifference(parseShortened(text!), JSON.parse(body), '')
  const absent = text!.split(more).find((part) => !body.includes(part.trim()))
  return absent === undefined ? undefined : `there is no ${absent}`
}

/** A key of an object, or the last element of an array, where there is more. */
const more = '…'

/** JSON in which `…` may stand for the rest of an object or array. */
function parseShortened(json: string): unknown {
  const open: string[] = []
  const whole = json.replaceAll(/"(?:[^"\\]|\\.)*"|[[\]{}…]/g, (token) => {
    if (token === '[' || token === '{') open.push(token)
    if (token === ']' || token === '}') open.pop()
    if (token !== more) return token
    return open.at(-1) === '{' ? `"${more}":0` : `"${more}"`
  })
  return JSON.parse(whole)
}

/** Numbers are shown with three digits; the last ones of an answer depend on the processor and the batch. */
const tolerance = 0.01

function jsonDifference(expected: unknown, actual: unknown, path: string): string | undefined {
  if (expected === more && typeof actual === 'string' && actual !== '') return undefined
  if (typeof expected === 'number' && typeof actual === 'number')
    return Math.abs(actual - expected) <= tolerance * Math.abs(expected)
      ? undefined
      : `${path} is ${actual}, not ${expected}`
  if (!isContainer(expected) || !isContainer(actual) || Array.isArray(expected) !== Array.isArray(actual))
    return expected === actual ? undefined : `${path} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`
  const isShortened = Array.isArray(expected) ? expected.at(-1) === more : more in expected
  const shown = Array.isArray(expected) && isShortened ? expected.slice(0, -1) : expected
  const found = new Map(Object.entries(actual))
  for (const [key, value] of Object.entries(shown).filter(([key]) => key !== more)) {
    if (!found.has(key)) return `${path}/${key} is absent`
    const problem = jsonDifference(value, found.get(key), `${path}/${key}`)
    if (problem !== undefined) return problem
    found.delete(key)
  }
  return isShortened || found.size === 0 ? undefined : `${path} also has ${[...found.keys()].join(', ')}`
}

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null
