import type { FastifyInstance } from 'fastify'
import {
  type ColumnsAnswer,
  type Model,
  type ModelOptions,
  openModel,
  type PredictCall,
  type RowsAnswer,
} from './app/local-model.ts'
import { MultigateError } from './app/multigate-error.ts'
import { allSettings } from './config/configuration.ts'
import { hostSettings, modelSettings, readSettings, type Settings } from './config/settings.ts'
import { ModelError } from './model/base/errors.ts'
import type { Configuration } from './schemas/configuration.ts'
import type { ColumnsRequest, PredictRequest } from './schemas/predict.ts'

/*
 * multigate in another program's process: the package's only entry. docs/clients.md shows how it is used.
 */

export type { ColumnsAnswer, Model, ModelOptions, PredictCall, RowsAnswer } from './app/local-model.ts'
export { MultigateError } from './app/multigate-error.ts'
export type {
  Candidate,
  CandidateColumns,
  ColumnsRequest,
  Context,
  DenseRequest,
  FeatureValue,
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
 * Loads one model version into this process: a folder `<name>/<version>`, or `<name>`, then the highest version in it. It is
 * verified by its checksums and golden rows, compiled and warmed first, as when it is served.
 *
 * It computes in worker threads of its own, one per core unless `workers` says otherwise: who loads several models gives each
 * a share of the cores. `deadlineMs` holds for requests that name no deadline.
 *
 * Rejects with MultigateError: MODEL_NOT_FOUND where there is none, INVALID_BUNDLE where it is damaged or contradicts
 * itself, UNSUPPORTED_GRAPH, ENGINE_UNAVAILABLE; and with an Error where an option is wrong.
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

export type ServerOptions = Settings<Exclude<keyof Configuration, 'MULTIGATE_PROCESSES'>>

export interface Server {
  /** Where it listens, e.g. `http://127.0.0.1:3000`. */
  readonly url: string
  /**
   * Resolves when every model of the folder has been loaded, or has failed, and one answers; with `requiredModels`, when these
   * answer. Rejects with MultigateError (NOT_READY), which says why, when all have been looked at and that isn't so; it may be
   * later, as `/readyz` tells.
   */
  readonly ready: Promise<void>
  /** Stops without losing an accepted request: `/readyz` says so for `drainDelayMs`, then what is under way is finished. Idempotent. */
  close(): Promise<void>
}

/**
 * Serves a folder of models from this process, on a port of its own: `multigate serve`, without signals and without the
 * environment. Options are the settings of docs/configuration.md, `maxQueueRows` for MULTIGATE_MAX_QUEUE_ROWS, with their
 * defaults.
 *
 * Resolves when it listens; models are loaded meanwhile. Rejects where an option is wrong, the port is taken, the
 * folder can't be read (unless `waitForModels`), or no engine works.
 */
export async function createServer(options: ServerOptions = {}): Promise<Server> {
  const { serve } = await import('./app/listen.ts')
  const server = await serve(
    readSettings(
      options,
      allSettings.filter((key) => key !== 'MULTIGATE_PROCESSES'),
    ),
  )
  const ready = server.started.then(() => {
    const reasons = server.unreadyReasons()
    if (reasons.length > 0) throw new MultigateError(new ModelError('NOT_READY', reasons.join('; ')))
  })
  // Who doesn't wait for it hears it from /readyz.
  ready.catch(() => undefined)
  return { url: server.url, ready, close: server.close }
}

export type PluginOptions = Settings<Exclude<keyof Configuration, (typeof hostSettings)[number]>> & {
  /** Where its paths begin, e.g. `/rank`: then `/rank/predict`, `/rank/docs`, `/rank/readyz`. */
  prefix: string
  /** Called once the models of the folder have been loaded, or have failed: why requests can't be answered; empty when ready. */
  onLoaded?: ((reasons: string[]) => void) | undefined
}

/**
 * The whole HTTP interface as a plugin of another Fastify 5 application, below a prefix. Options are the settings of
 * docs/configuration.md but those that are the host's.
 *
 * It keeps its error handler, parsers and hooks to itself; the host's hooks run for its routes too, and so do the host's
 * logger, timeouts and, where it has `@fastify/compress`, compression. Models are loaded while the host starts. When the
 * host closes, what is accepted is answered first.
 */
export async function multigate(fastify: FastifyInstance, options: PluginOptions): Promise<void> {
  const { prefix: _, onLoaded = () => undefined, ...settings } = options
  const allowed = allSettings.filter((key) => !hostSettings.some((host) => host === key))
  const { setUpIn } = await import('./app/mount.ts')
  await setUpIn(fastify, readSettings(settings, allowed), onLoaded)
}

export default multigate
