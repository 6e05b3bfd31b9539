import type { TSchema } from 'typebox'
import type { Violation } from '../../model/base/errors.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import { InferRequest } from '../../schemas/infer.ts'
import { PredictRequest } from '../../schemas/predict.ts'
import { ServingRequest } from '../../schemas/serving.ts'

/** Properties that bodies of predictions can have, whatever the model. */
const ofRequests = new Set<string>()
for (const schema of [PredictRequest, InferRequest, ServingRequest]) addProperties(schema)

/** Six digits number the rows of any request; more may be a client's own, a phone number say. */
const index = /^\d{1,6}$/

/** Indices of a tensor's value: `[3, 1]`. */
const indices = /^\[\d+(?:, \d+)*\]$/

/** The model that a request was for, as far as it has names. */
type Named = Pick<LoadedModel, 'manifest' | 'tensors'>

/** What messages quote follows a colon, or stands in quotation marks; suggestions follow a semicolon. */
const quotes = /[:;]|,? "|, not \[/

/** A problem without names and values that the client made up, which may be anything. */
export function knownProblem({ path, message }: Violation, model?: Named): Violation {
  return { path: knownPath(path, model), message: message.split(quotes, 1)[0]! }
}

/** `*` stands for names that are not those of the request's schema or of the model's fields, tensors and tasks; indices stay. */
function knownPath(path: string, model: Named | undefined): string {
  const isKnown = (name: string) => ofRequests.has(name) || (model !== undefined && isOf(model, name))
  const step = (escaped: string) =>
    index.test(escaped) || isKnown(escaped.replaceAll('~1', '/').replaceAll('~0', '~')) ? escaped : '*'
  const steps = ([_, ...parts]: string[]) => parts.map((part) => `/${step(part)}`).join('')
  if (path.startsWith('/')) return steps(path.split('/'))
  if (path.startsWith('?')) return isKnown(path.slice(1)) ? path : '?*'
  const [what] = /^(?:in|out)put /.exec(path) ?? []
  // The model, or a header.
  if (what === undefined) return path
  const [, quoted, rest = ''] = /^\w+ ("(?:[^"\\]|\\.)*")(.*)$/s.exec(path) ?? []
  const name = quoted !== undefined && isKnown(JSON.parse(quoted)) ? quoted : '*'
  if (indices.test(rest)) return what + name + rest
  return what + name + steps(rest.split('/'))
}

function isOf({ manifest, tensors }: Named, name: string): boolean {
  return [manifest.features, manifest.tasks, manifest.derived, tensors.inputs, tensors.outputs].some((named) =>
    named.some((one) => one.name === name),
  )
}

function addProperties(schema: TSchema | object): void {
  for (const [key, value] of Object.entries(schema)) {
    if (typeof value !== 'object' || value === null) continue
    if (key === 'properties') for (const name of Object.keys(value)) ofRequests.add(name)
    addProperties(value)
  }
}
