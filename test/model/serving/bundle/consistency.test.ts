import t from 'tap'
import { contradictions } from '../../../../src/model/serving/bundle/consistency.ts'
import type { Entity } from '../../../../src/schemas/entities.ts'
import type { Field } from '../../../../src/schemas/features.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { exampleManifest, gatedManifest } from '../../../support/fakes/manifest.ts'

const { features, graph } = exampleManifest()

/** The example, changed; fields of `change` replace those of the same name. */
const found = (changes: Partial<Manifest>) => contradictions(exampleManifest(changes))
const withField = (place: number, changes: Partial<Field>) => ({
  features: features.map((field, i) => (i === place ? ({ ...field, ...changes } as Field) : field)),
})
const withGraph = (changes: Partial<Manifest['graph']>) => ({ graph: { ...graph, ...changes } })
const row = { hour: 1, campaign: 'c1', price: 1 }

t.test('a manifest that agrees with itself has no contradictions', async (t) => {
  t.same(contradictions(exampleManifest()), [])
  t.same(contradictions(gatedManifest()), [])
})

t.test('features of the same name are told, every time but the first', async (t) => {
  t.same(found({ features: [...features, features[0]!, features[0]!] }), [
    '/features/6/name is used twice',
    '/features/7/name is used twice',
  ])
})

t.test('a range from more to less is told', async (t) => {
  t.same(found(withField(5, { scaling: { method: 'min_max', min: 1, max: 0 }, missing: 'error' })), [
    '/features/5/scaling/max must be greater than min',
  ])
})

t.test('a range of nothing is told', async (t) => {
  t.same(found(withField(5, { scaling: { method: 'min_max', min: 1, max: 1 }, missing: 'error' })), [
    '/features/5/scaling/max must be greater than min',
  ])
})

t.test('a default that the field refuses is told', async (t) => {
  t.same(found(withField(1, { missing: { default: 24 } })), ['/features/1/missing/default must be from 0 to 23'])
  t.same(found(withField(2, { missing: { default: 'c9' } })), [
    '/features/2/missing/default is not in the field\'s vocabulary: "c9"',
  ])
  t.same(found(withField(5, { missing: { default: 1e39 } })), ['/features/5/missing/default is too large for float32'])
})

t.test('a default in the bucket is no contradiction', async (t) => {
  t.same(found(withField(0, { missing: { default: 'unknown' } })), [])
})

t.test('more ids than int32 holds are told', async (t) => {
  t.same(found(withField(1, { size: 2 ** 31 - 2 })), ['/features have 2147483702 ids in all, more than int32 holds'])
})

t.test('as many ids as int32 holds are no contradiction', async (t) => {
  t.same(found(withField(1, { size: 2 ** 31 - 1 - 56 })), [])
})

t.test('tasks of the same name are told, derived ones too', async (t) => {
  t.same(
    found({
      tasks: [{ name: 'ctr' }, { name: 'cvr' }, { name: 'ctr' }],
      derived: [
        { name: 'cvr', product: ['ctr'] },
        { name: 'x', product: ['ctr'] },
        { name: 'x', product: ['cvr'] },
      ],
    }),
    ['/tasks/2/name is used twice', '/derived/0/name is used twice', '/derived/2/name is used twice'],
  )
})

t.test('quantization rows whose file is not listed, and so has no checksum, are told', async (t) => {
  const quantization = { file: 'q.bin', rows: 1, labels: false }
  t.same(found({ quantization }), ['/quantization/file is not among /files: "q.bin"'])
  t.same(found({ quantization, files: { ...exampleManifest().files, 'q.bin': '0'.repeat(64) } }), [])
})

t.test('a product of an unknown task is reported', async (t) => {
  t.same(found({ derived: [{ name: 'x', product: ['ctr', 'nothing'] }] }), [
    '/derived/0/product/1 is not a task: "nothing"; known are ctr, cvr',
  ])
})

t.test('a product of a derived task is told', async (t) => {
  t.same(
    found({
      derived: [
        { name: 'x', product: ['ctr'] },
        { name: 'y', product: ['x'] },
      ],
    }),
    ['/derived/1/product/0 is not a task: "x"; known are ctr, cvr'],
  )
})

const calibrated = (x: number[], y: number[]) =>
  found({ tasks: [{ name: 'ctr' }, { name: 'cvr', calibration: { method: 'isotonic', x, y } }] })

t.test('isotonic points of unequal number are told', async (t) => {
  t.same(calibrated([0, 0.5, 1], [0, 1]), ['/tasks/1/calibration has 3 x and 2 y'])
})

t.test('isotonic points that do not ascend are told', async (t) => {
  const message = '/tasks/1/calibration must ascend: x strictly, y without falling'
  t.same(calibrated([0, 0], [0, 1]), [message])
  t.same(calibrated([0, 0.5, 0.4], [0, 0.1, 0.2]), [message])
  t.same(calibrated([0, 0.5, 1], [0, 0.2, 0.1]), [message])
})

t.test('isotonic points may be level', async (t) => {
  t.same(calibrated([0, 0.5, 1], [0.2, 0.2, 0.2]), [])
})

t.test('other calibrations have nothing to contradict', async (t) => {
  t.same(found({ tasks: [{ name: 'ctr', calibration: { method: 'platt', a: -1, b: 0 } }, { name: 'cvr' }] }), [])
})

t.test('a graph that is not among the files is told', async (t) => {
  t.same(found(withGraph({ file: 'other.onnx' })), ['/graph/file is not among /files: "other.onnx"'])
})

t.test('a graph called like a property of every object is told', async (t) => {
  t.same(found(withGraph({ file: 'constructor' })), ['/graph/file is not among /files: "constructor"'])
})

t.test('inputs that the fields need are told', async (t) => {
  t.same(found(withGraph({ inputs: {} })), [
    '/graph/inputs/sparse is missing: there are sparse fields',
    '/graph/inputs/dense is missing: there are numeric fields',
  ])
})

t.test('inputs that no field needs are told', async (t) => {
  t.same(found({ features: features.slice(0, 4) }), ['/graph/inputs/dense is given, but there are no numeric fields'])
  t.same(found({ features: features.slice(4) }), ['/graph/inputs/sparse is given, but there are no sparse fields'])
})

t.test('gates of an unknown task are reported', async (t) => {
  t.same(found(withGraph({ outputs: { probabilities: 'p', gates: { ctr: 'g', ctcvr: 'h' } } })), [
    '/graph/outputs/gates/ctcvr is not a task',
  ])
})

t.test('golden rows and answers of unequal number are told', async (t) => {
  t.same(found({ golden: { rows: [row, row], probabilities: [[0.1, 0.2]], tolerance: 1e-5 } }), [
    '/golden has 2 rows and 1 answers',
  ])
})

t.test('golden answers with a value too few or too many are told', async (t) => {
  const probabilities = [[0.1], [0.1, 0.2], [0.1, 0.2, 0.3]]
  t.same(found({ golden: { rows: [row, row, row], probabilities, tolerance: 1e-5 } }), [
    '/golden/probabilities/0 has 1 values for 2 tasks',
    '/golden/probabilities/2 has 3 values for 2 tasks',
  ])
})

t.test('golden rows may lack the last derived tasks, and no more', async (t) => {
  const golden = (served: number[][]) => ({
    golden: {
      rows: [row, row],
      probabilities: [
        [0.1, 0.2],
        [0.1, 0.2],
      ],
      served,
      tolerance: 1e-5,
    },
  })
  t.same(
    found(
      golden([
        [0.1, 0.2],
        [0.1, 0.2, 0.02],
      ]),
    ),
    [],
  )
  t.same(found(golden([[0.1], [0.1, 0.2, 0.02, 0.3]])), [
    '/golden/served/0 has 1 values for 3 tasks: correct it, or remove /golden/served',
    '/golden/served/1 has 4 values for 3 tasks: correct it, or remove /golden/served',
  ])
})

t.test('entities have fields of their side, each of one entity, and a key of their own', async (t) => {
  const [field] = exampleManifest().features.filter(({ side }) => side === 'candidate')
  const [other] = exampleManifest().features.filter(({ side }) => side === 'context')
  const entity = (changes: Partial<Entity> = {}): Entity => ({
    ...{ key: 'ad_id', side: 'candidate', table: 'ads', features: [field!.name], unknown: 'defaults' },
    ...changes,
  })
  t.same(found({ entities: { ad: entity() } }), [])
  t.same(found({ entities: { ad: entity({ key: 'id' }) } }), [
    '/entities/ad/key is a property that every candidate has: use another name',
  ])
  t.same(found({ entities: { ad: entity({ features: [other!.name] }) } }), [
    '/entities/ad/features/0 is a field of the context, not of the candidate',
  ])
  t.match(found({ entities: { ad: entity({ features: [`${field!.name}s`] }) } }), [
    /^\/entities\/ad\/features\/0 is not a field: .*did you mean/,
  ])
  t.same(found({ entities: { ad: entity({ key: field!.name }) } }), [
    '/entities/ad/features has the key, which requests send',
  ])
  t.same(found({ entities: { ad: entity({ key: other!.name }) } }), [
    '/entities/ad/key is a field of the context, not of the candidate',
  ])
  t.same(found({ entities: { ad: entity(), item: entity({ key: 'item_id' }) } }), [
    '/entities/item/features/0 belongs to the entity ad, too',
    '/entities/item is a second entity of candidates, beside ad',
  ])
  const user = entity({ side: 'context', features: [other!.name] })
  t.same(found({ entities: { ad: entity(), user } }), ['/entities/user/key is that of the entity ad, too'])
})

t.test('contradictions of all kinds are told at once', async (t) => {
  const manifest = exampleManifest({
    ...withField(1, { missing: { default: -1 } }),
    ...withGraph({ file: 'x' }),
    derived: [{ name: 'ctr', product: ['cvr'] }],
    golden: { rows: [row], probabilities: [], tolerance: 1 },
  })
  t.equal(contradictions(manifest).length, 4)
})

t.test('distributions to compare live traffic with must fit the fields and tasks', async (t) => {
  const numbers = { edges: [1], shares: [0.5, 0.5] }
  const ids = { ids: [3], shares: [0.5, 0.5] }
  t.same(found({ drift: { features: { hour: ids, price: numbers }, tasks: { ctr: numbers, ctcvr: numbers } } }), [])
  const wrong = {
    features: { hour: numbers, price: ids, nothing: ids, age: { edges: [2, 1], shares: [0.5, 0.5, 0] } },
    lengths: { hour: numbers, nothing: numbers },
    tasks: { ctr: ids, nothing: numbers, cvr: { edges: [1], shares: [1, 0, 0] } },
  }
  t.same(found({ drift: wrong }), [
    '/drift/features/hour has edges, which do not fit it',
    '/drift/features/price has ids, which do not fit it',
    '/drift/features/nothing matches no field or task of that name: rename it, too, or remove it',
    '/drift/features/age/edges must ascend',
    '/drift/lengths/hour is of a field that is no list',
    '/drift/lengths/nothing matches no field or task of that name: rename it, too, or remove it',
    '/drift/tasks/ctr has ids, which do not fit it',
    '/drift/tasks/nothing matches no field or task of that name: rename it, too, or remove it',
    '/drift/tasks/cvr/shares must have one more value than there are bins',
  ])
})

t.test('a distribution that no rows can have is refused with its place', async (t) => {
  const drift = (features: object, lengths: object = {}) => found({ drift: { features, lengths, tasks: {} } as never })
  t.same(drift({ price: { edges: [1, 2], shares: [0.3333, 0.3333, 0.3333] } }), [], 'shares are rounded')
  t.same(drift({ price: { edges: [1], shares: [0.5, 0.4] } }), ['/drift/features/price/shares add up to 0.9, not 1'])
  t.same(drift({ hour: { ids: [3, 3], shares: [0.5, 0.5, 0] } }), [
    '/drift/features/hour/ids/1 is 3, which is there twice',
  ])
  // Ids are those of the tensor, where those of another field come first.
  t.same(drift({ hour: { ids: [3, 26], shares: [0.5, 0.5, 0] } }), [])
  t.same(drift({ hour: { ids: [2, 27], shares: [0.5, 0.5, 0] } }), [
    '/drift/features/hour/ids/0 is 2, but the field has the ids from 3 to 26',
    '/drift/features/hour/ids/1 is 27, but the field has the ids from 3 to 26',
  ])
})

t.test('the distribution of a list and a vector is refused likewise', async (t) => {
  const image = { name: 'image', side: 'context', kind: 'vector', length: 2, missing: 'error' } as const
  const tags = {
    name: 'tags',
    side: 'context',
    kind: 'integer',
    size: 5,
    out_of_vocabulary: 'drop',
    missing: 'error',
    list: { max: 3 },
  } as const
  const half = { edges: [1], shares: [0.5, 0.5] }
  const drift = {
    features: { image: half },
    lengths: { tags: { edges: [-1, 2], shares: [0.5, 0.5, 0] }, image: half },
    tasks: {},
  }
  t.same(found({ features: [...features, image, tags] as never, drift }), [
    '/drift/features/image is of a vector, whose numbers are not watched: remove it',
    '/drift/lengths/tags/edges/0 is -1, but no length is below 0',
    '/drift/lengths/image is of a field that is no list',
  ])
})
