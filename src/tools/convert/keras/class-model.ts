import { ModelError } from '../../../base/errors.ts'
import { buildArchitecture, graphOutputs } from '../../../model/graph/architectures/build.ts'
import { layersModelFile, layersModelFiles, setWeights } from '../../../model/graph/lower/layers/write-layers-model.ts'
import { classWeights } from './class-weights.ts'
import { forwardClass } from './forward-class.ts'
import { type IdRange, type ImportedModel, joinTables } from './imported-model.ts'
import { plainTasks, type RecognisedClass } from './recognise.ts'

/** Converts a model of one of the reference's classes into the same architecture here. */
export function classModel(model: RecognisedClass, file: string): ImportedModel {
  const { options, sparseFields, denseFields, ids, tasks, weights, assumed } = model
  return {
    description: `${options.name} of Keras, ${tasks} task${tasks > 1 ? 's' : ''}`,
    architecture: options,
    sparse: Array.from({ length: sparseFields }, (_, i) => ({ name: `sparse_${i}`, rows: ids, table: 0 })),
    dense: Array.from({ length: denseFields }, (_, i) => `dense_${i}`),
    tasks: plainTasks(tasks),
    tableWidth: options.dim_emb,
    assumed,
    evaluate: (sparse, dense) => forwardClass(model, sparse, dense),
    async build(ranges: IdRange[], names: string[], ownIds: boolean) {
      const total = ownIds ? ids : ranges.reduce((sum, { ids }) => sum + ids, 0)
      const shape = { sparseFields, denseFields, ids: total, tasks: names, seed: 1 }
      // The same weights in the same order, for tasks that now have names.
      const [plain, named] = [plainTasks(tasks), names].map((tasks) => classWeights(options, { ...shape, tasks }))
      const values = new Map(named!.map(({ name }, i) => [name, weights.get(plain![i]!.name)!.values]))
      if (sparseFields > 0 && !ownIds) {
        const table = { values: weights.get('embedding/embeddings')!.values, width: options.dim_emb }
        values.set(
          'embedding/embeddings',
          joinTables(ranges, () => [table], options.dim_emb),
        )
      }
      const built = buildArchitecture(options, shape)
      setWeights(built, ({ name }) => {
        const found = values.get(name)
        if (found === undefined) throw new ModelError('INVALID_BUNDLE', `${file} has no weight for ${name}`)
        return found
      })
      const inputs = { ...(sparseFields > 0 && { sparse: 'sparse' }), ...(denseFields > 0 && { dense: 'dense' }) }
      return {
        graph: { format: 'layers' as const, file: layersModelFile, inputs, outputs: graphOutputs(options, names) },
        files: layersModelFiles(built),
      }
    },
  }
}
