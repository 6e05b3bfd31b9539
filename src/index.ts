import type { FastifyInstance } from 'fastify'
import {
  type ColumnsAnswer,
  type Model,
  type ModelOptions,
  MultigateError,
  openModel,
  type PredictCall,
  type RowsAnswer,
} from './app/local-model.ts'
import { allSettings } from './base/configuration.ts'
import { ModelError } from './base/errors.ts'
import { hostSettings, modelSettings, readSettings, type Settings } from './base/settings.ts'
import type { Configuration } from './schemas/configuration.ts'
import type { ColumnsRequest, PredictRequest } from './schemas/predict.ts'

/*
 * multigate as a library: the only entry of the package. docs/clients.md has examples.
 */

export type { ColumnsAnswer, Model, ModelOptions, PredictCall, RowsAnswer } from './app/local-model.ts'
export { MultigateError } from './app/local-model.ts'
export type {
  Candidate,
  CandidateColumns,
  ColumnsRequest,
  Context,
  DenseRequest,
  InputsRequest,
  Prediction,
  PredictionColumns,
  PredictOptions,
  PredictRequest,
  RowsRequest,
  TensorsRequest,
} from './schemas/predict.ts'
export type { ProblemItem } from './schemas/problem.ts'

/**
 * Loads one model version into this process: a folder `<name>/<version>`, or the highest version of a folder `<name>`.
 * As on a server, its checksums and golden rows are verified, and it is compiled and warmed up.
 *
 * The model computes in its own worker threads, one per core by default. To load several models, divide the cores with
 * `workers`. `deadlineMs` is the deadline of requests without one.
 *
 * Rejects with MultigateError: MODEL_NOT_FOUND, INVALID_BUNDLE if the version is damaged or contradicts itself,
 * UNSUPPORTED_GRAPH, ENGINE_UNAVAILABLE; with an Error if an option is invalid.
 */
export async function loadModel(path: string, options: ModelOptions = {}): Promise<Model> {
  const { onWarning = () => undefined, ...settings } = options
  return openModel(path, readSettings(settings, modelSettings), onWarning)
}

/** The same as `model.predict(request, call)`. */
export function predict(model: Model, request: ColumnsRequest, call?: PredictCall): Promise<ColumnsAnswer>
export function predict(
  model: Model,
  request: Exclude<PredictRequest, ColumnsRequest>,
  call?: PredictCall,
): Promise<RowsAnswer>
export function predict(model: Model, request: PredictRequest, call?: PredictCall): Promise<RowsAnswer | ColumnsAnswer>
export function predict(
  model: Model,
  request: PredictRequest,
  call?: PredictCall,
): Promise<RowsAnswer | ColumnsAnswer> {
  return model.predict(request, call)
}

/** Settings that concern the whole process: MULTIGATE_ONEDNN is read from the environment. */
const processSettings = ['MULTIGATE_PROCESSES', 'MULTIGATE_ONEDNN'] as const

export type ServerOptions = Settings<Exclude<keyof Configuration, (typeof processSettings)[number]>>

export interface Server {
  /** Its address, e.g. `http://127.0.0.1:3000`. */
  readonly url: string
  /**
   * Resolves when every model of the folder has loaded or failed and at least one answers; with `requiredModels`, these
   * must answer. Otherwise rejects with MultigateError (NOT_READY) and the reason. The server may become ready later:
   * see `/readyz`.
   */
  readonly ready: Promise<void>
  /** Shuts down: `/readyz` fails for `drainDelayMs`, then accepted requests are completed. Idempotent. */
  close(): Promise<void>
}

/**
 * Serves a folder of models from this process on its own port, like `multigate serve` without signals and environment
 * variables. Options are the settings of docs/configuration.md in camel case (`maxQueueRows` for
 * MULTIGATE_MAX_QUEUE_ROWS), with the same defaults.
 *
 * Resolves when it listens, while models still load. Rejects if an option is invalid, the port is in use, the folder
 * can't be read (unless `waitForModels`), or no engine works.
 */
export async function createServer(options: ServerOptions = {}): Promise<Server> {
  const { serve } = await import('./app/listen.ts')
  const server = await serve(
    readSettings(
      options,
      allSettings.filter((key) => !processSettings.some((other) => other === key)),
    ),
  )
  const ready = server.started.then(() => {
    const reasons = server.unreadyReasons()
    if (reasons.length > 0) throw new MultigateError(new ModelError('NOT_READY', reasons.join('; ')))
  })
  // Callers may ignore it and use /readyz.
  ready.catch(() => undefined)
  return { url: server.url, ready, close: server.close }
}

export type PluginOptions = Settings<Exclude<keyof Configuration, (typeof hostSettings)[number]>> & {
  /** Prefix of its paths, e.g. `/rank` for `/rank/predict`, `/rank/docs`, `/rank/readyz`. */
  prefix: string
  /**
   * Called once all models of the folder have loaded or failed, with the reasons why it is not ready; none if it is.
   */
  onLoaded?: ((reasons: string[]) => void) | undefined
}

/**
 * The complete HTTP interface as a plugin of another Fastify 5 application, below a prefix. Options are the settings of
 * docs/configuration.md, except those that belong to the host.
 *
 * Its error handler, parsers and hooks apply to its own routes only. The host's hooks, logger, timeouts and, with
 * `@fastify/compress`, compression apply to them too. Models load while the host starts. When the host closes, accepted
 * requests are completed first.
 */
export async function multigate(fastify: FastifyInstance, options: PluginOptions): Promise<void> {
  const { prefix: _, onLoaded = () => undefined, ...settings } = options
  const allowed = allSettings.filter((key) => !hostSettings.some((host) => host === key))
  const { setUpIn } = await import('./app/mount.ts')
  await setUpIn(fastify, readSettings(settings, allowed), onLoaded)
}

export default multigate

export type { FeatureValue } from './schemas/feature-value.ts'
