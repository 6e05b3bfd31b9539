import { layers } from '@tensorflow/tfjs-layers'
import { expertStack, gateExperts } from './experts.ts'
import { dense, join, mlp, stack } from './layers.ts'
import { tower } from './towers.ts'

/**
 * The layers that architectures are made of. An architecture takes them as an argument, so that TensorFlow.js, which is
 * optional, is loaded only where a model is built.
 */
export const layerKit = { layers, dense, mlp, join, stack, tower, expertStack, gateExperts }

export type LayerKit = typeof layerKit
