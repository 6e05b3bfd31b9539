import { product } from '../../../base/arrays.ts'
import { buildArchitecture, graphOutputs } from '../../../model/graph/architectures/build.ts'
import { isFixedWeight } from '../../../model/graph/architectures/fixed-weights.ts'
import type { ModelShape } from '../../../model/graph/architectures/layers.ts'
import { hasOwnTables } from '../../../model/graph/architectures/own-tables.ts'
import { isWideTable } from '../../../model/graph/architectures/wide-part.ts'
import { sidesOf } from '../../../model/graph/ir/declared.ts'
import type { Graph } from '../../../model/graph/ir/graph.ts'
import type { LayersModel, Weight } from '../../../model/graph/lower/layers/layers-model.ts'
import { itemsInput, listClasses } from '../../../model/graph/lower/layers/list-classes.ts'
import { lowerToGraph } from '../../../model/graph/lower/layers/lower-layers.ts'
import { layersModelFile, layersModelFiles } from '../../../model/graph/lower/layers/write-layers-model.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { keepStatistics } from './keep-statistics.ts'
import type { Network } from './network.ts'
import type { Items, Mask } from './training-step.ts'

/** A new network of a built-in architecture, with initial weights. */
export function createArchitecture(options: ArchitectureOptions, shape: ModelShape): Network {
  return layersNetwork(buildArchitecture(options, shape), options, shape.tasks, () => false)
}

/**
 * A layers model of a built-in architecture, whose weights are where training starts. `frozen` weights are not trained.
 */
export function layersNetwork(
  model: LayersModel,
  architecture: ArchitectureOptions,
  tasks: string[],
  frozen: (name: string) => boolean,
): Network {
  const outputs = graphOutputs(architecture, tasks)
  const statistics = statisticsOf(model)
  const names = [...model.weights.keys()].filter((name) => !statistics.has(name) && !isFixedWeight(name))
  const trained = new Set(names.filter((name) => !frozen(name)))
  const inputNames = new Set(model.inputs.map(({ layer }) => layer))
  const input = (name: string) => (inputNames.has(name) ? name : undefined)
  const weightOf = (name: string): Weight => {
    const weight = model.weights.get(name)
    if (weight === undefined) throw new Error(`there is no weight ${name}`)
    return weight
  }
  return {
    title: architecture.name,
    architecture,
    names,
    size: [...trained].reduce((sum, name) => sum + product(weightOf(name).shape), 0),
    async open() {
      const lower = (training: boolean) => lowerToGraph(model, [outputs.logits], { training })
      const training = lower(true)
      keepStatistics(training, frozen)
      return {
        training,
        inference: lower(false),
        logits: outputs.logits,
        inputs: { sparse: input('sparse'), dense: input('dense') },
        trained,
        items: itemsOf(model, training),
        masks: masksOf(model, training, inputNames),
        l2: penaltiesOf(model),
        paddings: paddingsOf(training),
        columnwise: new Set(names.filter(isWideTable)),
      }
    },
    values: (name) => floatsOf(weightOf(name)),
    async save(valuesOf) {
      const copy = withOwnWeights(model)
      for (const { name } of copy.weights.values()) {
        const values = valuesOf(name)
        if (values) floatsOf(copy.weights.get(name)!).set(values)
      }
      const { sparse, dense } = { sparse: input('sparse'), dense: input('dense') }
      return {
        graph: {
          format: 'layers',
          file: layersModelFile,
          inputs: {
            ...{ ...(sparse && { sparse }), ...(dense && { dense }) },
            ...(hasOwnTables(model.weights.keys()) && { ids: 'per_field' as const }),
          },
          outputs,
        },
        files: layersModelFiles(copy),
      }
    },
  }
}

const floatsOf = ({ data }: Weight): Float32Array =>
  new Float32Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 4)

/** Moving statistics, which no gradient changes. */
function statisticsOf({ layers, weights }: LayersModel): Set<string> {
  const names = [...layers.values()]
    .filter(({ className }) => className === 'BatchNormalization')
    .flatMap(({ name }) => [`${name}/moving_mean`, `${name}/moving_variance`])
  return new Set(names.filter((name) => weights.has(name)))
}

/** Inputs that only training has. */
function masksOf(model: LayersModel, graph: Graph, inputs: ReadonlySet<string>): Mask[] {
  const { layers } = model
  return graph.inputs.flatMap((declared) => {
    if (inputs.has(declared.name) || itemsMask(model, declared.name)) return []
    const layer = layers.get(declared.name.slice(0, declared.name.lastIndexOf(':mask')))
    const rate = layer?.config.rate
    if (typeof rate !== 'number') throw new Error(`the input ${declared.name} is no layer's mask`)
    return [{ name: declared.name, dims: sidesOf(graph, declared)!, rate }]
  })
}

/** The mask of a list whose items an input names. */
const itemsMask = ({ layers }: LayersModel, input: string) =>
  [...layers.values()].find(({ name, className }) => className === listClasses.mask && itemsInput(name) === input)

/** Inputs with the places of the values of lists. */
function itemsOf(model: LayersModel, graph: Graph): Items[] {
  return graph.inputs.flatMap(({ name }) => {
    const mask = itemsMask(model, name)
    if (mask === undefined) return []
    const { column, padding, max } = mask.config as { column: number; padding: number; max: number }
    return [{ name, column, padding, max }]
  })
}

/** By tensor of ids, the id that a mask of a list leaves out. */
function paddingsOf(graph: Graph): Map<string, number> {
  const paddings = new Map<string, number>()
  for (const { opType, input } of graph.nodes) {
    const padding = opType === 'Equal' ? graph.integersOf(input[1]!) : undefined
    if (padding?.length === 1) paddings.set(input[0]!, padding[0]!)
  }
  return paddings
}

function penaltiesOf({ layers }: LayersModel): Map<string, number> {
  const penalties = new Map<string, number>()
  for (const { name, className, config } of layers.values()) {
    const regularizer = config.embeddings_regularizer as { config?: { l2?: number } } | null | undefined
    if (className === 'Embedding' && regularizer?.config?.l2) penalties.set(`${name}/embeddings`, regularizer.config.l2)
  }
  return penalties
}

function withOwnWeights(model: LayersModel): LayersModel {
  const weightData = new ArrayBuffer(model.weightData.byteLength)
  const weights = new Map<string, Weight>()
  const start = new Uint8Array(weightData)
  for (const [name, weight] of model.weights) {
    const data = start.subarray(weight.data.byteOffset, weight.data.byteOffset + weight.data.byteLength)
    data.set(weight.data)
    weights.set(name, { ...weight, data })
  }
  return { ...model, weights, weightData }
}
