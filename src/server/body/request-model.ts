import type { LoadedModel } from '../../model/prediction/contract.ts'

/** What has to be known of a model to read a request to it. */
export type RequestModel = Pick<LoadedModel, 'encoder' | 'tensors' | 'manifestless' | 'limits'>
