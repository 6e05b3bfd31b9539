import t from 'tap'
import { optionsBeyond } from '../../../../src/model/graph/architectures/keras-class.ts'
import { architectureOf } from '../../../../src/model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { blocksOf } from '../../../../src/tools/convert/keras/blocks.ts'
import { classWeights } from '../../../../src/tools/convert/keras/class-weights.ts'
import { type Hdf5File, readHdf5 } from '../../../../src/tools/convert/keras/hdf5.ts'
import { plainTasks, recognise } from '../../../../src/tools/convert/keras/recognise.ts'
import { writeKerasWeights } from '../../../../src/tools/convert/keras/write-weights.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import { counted } from '../../../support/keras/saved-model.ts'
import { randomOptions } from '../../../support/random-architecture.ts'

const shapes = fc.record({
  sparseFields: fc.integer({ min: 1, max: 4 }),
  denseFields: fc.integer({ min: 1, max: 4 }),
  ids: fc.integer({ min: 1, max: 40 }),
  tasks: fc.integer({ min: 1, max: 12 }).map(plainTasks),
})

const options: ArchitectureOptions = {
  name: 'mixture_of_experts',
  dim_emb: 2,
  embedding_l2: 0,
  num_experts: 2,
  num_hidden_expert: 2,
  dim_hidden_expert: 3,
  dropout_expert: 0,
  num_hidden_tasks: 2,
  dim_hidden_tasks: 3,
  dropout_tasks: 0,
}
const shape = { sparseFields: 2, denseFields: 1, ids: 5, tasks: plainTasks(2) }

/** A file as Keras has it, of weights that follow from their names. */
async function written(version: 2 | 3, change?: (file: Hdf5File) => void): Promise<Hdf5File> {
  const weights = new Map(classWeights(options, shape).map((weight) => [weight.name, counted(...weight.shape).values]))
  const bytes = await writeKerasWeights(options, shape, (name) => weights.get(name)!, version)
  const file = await readHdf5(Uint8Array.from(bytes), 'model.weights.h5')
  change?.(file)
  return file
}

/** Without what the reference's classes lack. */
const referenceOptions = randomOptions({ tasks: ['ctr'] }).map((options) => {
  const beyond = optionsBeyond(architectureOf(options.name).keras ?? {}, options)
  const kept = Object.entries(options).filter(([name]) => !beyond.includes(name))
  return Object.fromEntries(kept) as ArchitectureOptions
})

t.test('what is written is recognised, weight by weight, in the layout of either Keras', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      referenceOptions,
      shapes,
      fc.constantFrom(2 as const, 3 as const),
      async (options, shape, version) => {
        // The reference's classes normalise, and not all of them build on Keras 3.
        const { keras } = architectureOf(options.name)
        fc.pre(
          !options.wide && options.normalisation !== 'none' && keras !== undefined && (version === 2 || keras.keras3),
        )
        seen.add(`${options.name} ${version}`)
        const random = new Map(
          classWeights(options, shape).map(({ name, shape }, i) => [
            name,
            counted(...shape).values.map((value) => value + i),
          ]),
        )
        const bytes = await writeKerasWeights(options, shape, (name) => random.get(name)!, version)
        const file = await readHdf5(Uint8Array.from(bytes), 'x')
        const found = recognise(blocksOf(file), { name: options.name, options: {} }, 'x')
        const { sparseFields, denseFields, ids, tasks } = found
        const same =
          [sparseFields, denseFields, ids, tasks].join() ===
          [shape.sparseFields, shape.denseFields, shape.ids, shape.tasks.length].join()
        return (
          same &&
          found.weights.size === random.size &&
          [...found.weights].every(([name, { values }]) => values.join() === random.get(name)!.join())
        )
      },
    ),
    { numRuns: randomCases(30) },
  )
})

t.test('the class is guessed where nobody says it', async (t) => {
  t.equal(recognise(blocksOf(await written(2)), { options: {} }, 'x').options.name, 'mixture_of_experts')
  const file = await written(3)
  t.throws(() => recognise(blocksOf(file), { name: 'multi_gate', options: {} }, 'x'), {
    code: 'INVALID_BUNDLE',
    message: 'x: 4 MLPs and 1 gates make no multi_gate; they fit mixture_of_experts',
  })
})

t.test('a weight that is missing, left over or misshapen is named, with path and shapes', async (t) => {
  const refused = async (change: (file: Hdf5File) => void, message: RegExp, version: 2 | 3 = 3) => {
    const file = await written(version, change)
    t.throws(() => recognise(blocksOf(file), { options: {} }, file.file), { code: 'INVALID_BUNDLE', message })
  }
  await refused(
    ({ tensors }) => tensors.delete('experts/mlp_1/layers/dense/vars/1'),
    /^model\.weights\.h5 lacks expert_1\/dense_0\/bias \[3\]/,
  )
  await refused(
    ({ tensors }) => tensors.set('experts/mlp_1/layers/dense_1/vars/0', counted(3, 4)),
    /\/experts\/mlp_1\/layers\/dense_1\/vars\/0 has the shape \[3,4\], but expert_1\/output\/kernel of this mixture_of_experts must be \[3,3\]/,
  )
  await refused(
    ({ tensors }) => tensors.set('experts/mlp/layers/dense_2/vars/0', counted(3, 3)),
    /lacks expert_0\/norm_1\/gamma \[3\]/,
  )
  await refused(
    ({ tensors }) => tensors.set('notes/vars/0', counted(1)),
    /\/notes\/vars\/0 belongs to none of the supported classes/,
  )
  await refused(
    ({ tensors }) => tensors.delete('layers/mlp_2/layers/dense/vars/0'),
    /lacks the weight \/layers\/mlp_2\/layers\/dense\/vars\/0/,
  )
  await refused(
    ({ tensors }) => tensors.delete('towers/mlp/layers/dense/vars/0'),
    /lacks the weight \/towers\/mlp\/layers\/dense\/vars\/0/,
    2,
  )
  await refused(({ tensors }) => tensors.clear(), /contains only weights, which fit none of the classes/)
})

t.test('a gate too many is left over', async (t) => {
  const file = await written(3, ({ tensors }) => tensors.set('gates/dense/vars/0', counted(6, 2)))
  t.throws(() => recognise(blocksOf(file), { name: 'mixture_of_experts', options: {} }, 'x'), {
    message: 'x: 4 MLPs and 2 gates make no mixture_of_experts; they fit multi_gate',
  })
})

t.test('hints must agree with the file', async (t) => {
  const blocks = blocksOf(await written(3))
  const refused = (hints: object, message: RegExp) =>
    t.throws(() => recognise(blocks, { options: {}, ...hints }, 'x'), { code: 'INVALID_REQUEST', message })
  refused({ sparseFields: 3 }, /x has 2 sparse fields, not 3/)
  refused({ num_tasks: 1e9 }, /x has 2 tasks, not 1000000000/)
  refused({ options: { num_experts: 65536 } }, /x has 2 experts, not 65536/)
  t.throws(() => recognise(blocks, { options: { dim_hidden_expert: 9 } }, 'x'), { message: /must be \[6,9\]/ })
  t.throws(() => recognise(blocks, { options: {}, num_emb: 6 }, 'x'), {
    message: /embeddings of this .* must be \[6,2\]/,
  })
})

t.test('what the class can not hold is refused', async (t) => {
  const none = () => new Float32Array()
  await t.rejects(writeKerasWeights(options, { ...shape, sparseFields: 0 }, none, 3), {
    code: 'UNSUPPORTED_GRAPH',
    message: /this model has no sparse fields/,
  })
  await t.rejects(writeKerasWeights(options, { ...shape, denseFields: 0 }, none, 3), { message: /no numeric fields/ })
  const aitm: ArchitectureOptions = {
    name: 'aitm',
    dim_emb: 2,
    embedding_l2: 0,
    num_hidden_tower: 1,
    dim_hidden_tower: 2,
    dropout_tower: 0,
    num_hidden_head: 1,
    dim_hidden_head: 2,
    dropout_proj_head: 0,
  }
  await t.rejects(writeKerasWeights(aitm, shape, none, 3), { message: /does not build on Keras 3: use --keras 2/ })
})
