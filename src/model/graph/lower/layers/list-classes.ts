/*
 * Layers of lists, of which TensorFlow.js and Keras have none; lists.ts has what they compute.
 */

/** Names of the layers' classes. */
export const listClasses = {
  mask: 'multigate>ListMask',
  pooling: 'multigate>ListPooling',
  attention: 'multigate>ListAttention',
  pairs: 'multigate>ItemPairs',
  sum: 'multigate>ItemSum',
  timeDecay: 'multigate>TimeDecay',
} as const

/** Whether a class of layers is one of these. */
export const isListClass = (className: string): boolean => className.startsWith('multigate>')

/** The input with the places of values, for the layer of a mask. */
export const itemsInput = (mask: string): string => `${mask}:items`
