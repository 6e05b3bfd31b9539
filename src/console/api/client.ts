import { signal } from '@preact/signals'
import createClient from 'openapi-fetch'
import type { components, paths } from '../../../build/console-api.d.ts'
import { createKept } from '../base/kept.ts'

export type Schemas = components['schemas']
export type Problem = Schemas['ProblemDetails']

/** The server, whatever the prefix that it is mounted at. */
export const base = new URL('.', document.baseURI)

/** The HTTP interface, typed by the server's OpenAPI document. */
export const client = createClient<paths>({ baseUrl: base.href.replace(/\/$/, '') })

client.use({
  onRequest({ request }) {
    if (key.value !== '') request.headers.set('authorization', `Bearer ${key.value}`)
    return request
  },
  onResponse({ request, response }) {
    if (response.status === 401) refuseKey(request.headers.get('authorization')?.replace('Bearer ', ''))
  },
})

/** Opens the form for a key. */
export function askForKey(reason = 'This server asks for a key.'): void {
  keyAsked.value = reason
}

/** The server does not take this key, or none: it asks for another, unless the reader has entered one since. */
export function refuseKey(presented = ''): void {
  if (presented === key.value) askForKey(presented === '' ? undefined : 'The server no longer takes this key.')
}

/** The scope that a refusal misses in the key; undefined where it has another cause. */
export const missingScope = (message: string): string | undefined => /lacks the scope (\w+)/.exec(message)?.[1]

/** A browser does not tell a connection that was closed from one that could not be opened. */
export const noConnection =
  'There is no connection: the server may be overloaded or restarting, or this machine can’t reach it'

/** Why a request got no result. */
export class AskError extends Error {
  /** The server's answer; undefined where it could not be reached. */
  readonly problem: Problem | undefined

  constructor(message: string, problem?: Problem) {
    super(message)
    this.problem = problem
  }

  /** The same error, or one that says what was thrown instead. */
  static of(thrown: unknown): AskError {
    return thrown instanceof AskError ? thrown : new AskError(String(thrown))
  }

  get status(): number {
    return this.problem?.status ?? 0
  }
}

/** The data of a response. Rejects with an AskError. */
export async function ask<T>(sent: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const answer = await sent.catch(() => undefined)
  if (answer === undefined) throw new AskError(noConnection)
  const { data, error, response } = answer
  if (data !== undefined && response.ok) return data
  const problem = error as Problem | undefined
  if (problem?.detail === undefined) throw new AskError(`The server answered with status ${response.status}`)
  throw new AskError(problem.detail, problem)
}

export const askModels = (): Promise<Schemas['ModelList']> => ask(client.GET('/models'))

export const askTables = (): Promise<Schemas['TableList']> => ask(client.GET('/tables'))

export const askPredictionLog = (): Promise<Schemas['PredictionLogStatus']> => ask(client.GET('/debug/prediction-log'))

/** A version in full, or the default one; one that has no details has only its model's status. */
export const askDetails = (model: string, version?: string): Promise<Schemas['ModelDetails']> =>
  version === undefined
    ? ask(client.GET('/models/{model}', { params: { path: { model } } }))
    : ask(client.GET('/models/{model}/versions/{version}', { params: { path: { model, version } } }))

/**
 * The same. Rejects with the reason where the version failed to load: to the server, that is one that it does not have.
 * `what`: names it in the title then.
 */
export async function askVersion(
  model: string,
  version: string | undefined,
  what = `Version ${version}`,
): Promise<Schemas['ModelDetails']> {
  try {
    return await askDetails(model, version)
  } catch (error) {
    const { problem } = error as AskError
    if (problem?.code !== 'VERSION_NOT_FOUND') throw error
    const status = await askDetails(model).catch(() => undefined)
    const reason = status?.versions.find((one) => one.version === version)?.error
    if (reason === undefined) throw error
    throw new AskError(reason, { ...problem, title: `${what} failed to load` })
  }
}

export const askDistributions = (model: string, version: string): Promise<Schemas['VersionDistributions']> =>
  ask(client.GET('/models/{model}/versions/{version}/distributions', { params: { path: { model, version } } }))

/** The key that requests carry; '' where there is none. It is kept for this tab alone, until it is closed. */
export const key = createKept('multigate-key', () => sessionStorage)

/** Why a key is asked for; undefined where none is. */
export const keyAsked = signal<string | undefined>(undefined)

/** Takes a key for this tab; '' forgets it. */
export function setKey(value: string): void {
  key.value = value
  keyAsked.value = undefined
}
