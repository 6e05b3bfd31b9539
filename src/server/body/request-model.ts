import type { LoadedModel } from '../../model/prediction/contract.ts'

/** The parts of a model that reading a request needs. */
export type RequestModel = Pick<LoadedModel, 'encoder' | 'tensors' | 'manifestless' | 'limits'>
