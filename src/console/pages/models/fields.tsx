import { askDistributions } from '../../api/client.ts'
import { useAsk } from '../../api/use-ask.ts'
import { Lines } from '../../parts/controls.tsx'
import { nameOfDefault, number } from '../../parts/format.ts'
import { useSearch } from '../../parts/pager.tsx'
import { Empty } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { describeSeveral, type Reference } from './describe-several.ts'
import type { Crossed, Field } from './words.ts'

const perPage = 20

/** The inputs, with what a client may send for each. `playground`: where they are measured. */
export function Fields({
  model,
  version,
  fields,
  crossed = [],
  playground,
}: {
  model: string
  version: string
  fields: readonly Field[]
  crossed: readonly Crossed[] | undefined
  playground: string
}) {
  const hasLists = fields.some(({ list }) => list !== undefined)
  // Help alone: without it the table is complete, too.
  const { data } = useAsk(hasLists ? () => askDistributions(model, version) : undefined, [model, version, hasLists])
  const references = new Map(data?.fields.map((field) => [field.name, field]))
  const textOf = ({ name, side, kind }: Field) => `${name} ${side} ${kind}`
  const { shown, pager, field } = useSearch('fields', fields, perPage, textOf)
  if (fields.length === 0) return <p class="muted">Its clients send tensors: it has no named fields.</p>
  return (
    <>
      <p class="muted">
        Context fields describe the user and the page, once per request; candidate fields the item to score; cross
        fields both. <a href={playground}>The playground</a> ranks them by their importance.
      </p>
      {field('Search fields', 'row small')}
      {shown.length === 0 ? (
        <Empty title="No field is like this" />
      ) : (
        <Table
          label="Table of fields"
          rows={shown}
          columns={[
            { title: 'Field', text: ({ name }) => name },
            { title: 'Side', cell: ({ side }) => side },
            { title: 'Kind', cell: ({ kind }) => kind },
            {
              title: 'Values',
              class: 'wide',
              cell: (field) => <Values field={field} reference={references.get(field.name)} />,
            },
            { title: 'If it is missing', class: 'wide', cell: whenMissing },
          ]}
        />
      )}
      {pager}
      {crossed.length > 0 && <CrossedFields crossed={crossed} />}
    </>
  )
}

/** The fields that the service computes. */
function CrossedFields({ crossed }: { crossed: readonly Crossed[] }) {
  return (
    <>
      <p class="muted">Crossed fields are computed from others; no client sends them.</p>
      <Table
        label="Table of crossed fields"
        rows={crossed}
        columns={[
          { title: 'Crossed field', text: ({ name }) => name },
          { title: 'Side', cell: ({ side }) => side },
          { title: 'Made of', class: 'wide', cell: ({ of }) => <bdi>{of.join(' × ')}</bdi> },
          {
            title: 'Combinations',
            class: 'wide',
            cell: ({ ids: [first, last], hashed }) =>
              hashed ? `hashed to ${number(last! - first! + 1, 9)} ids` : number(last! - first! + 1, 9),
          },
        ]}
      />
    </>
  )
}

function whenMissing(field: Field) {
  if (field.required) return 'refused'
  return (
    <>
      counts as <bdi>{nameOfDefault(field)}</bdi>
    </>
  )
}

/** The values that a field takes, and how its lists are. */
function Values({ field, reference }: { field: Field; reference: Reference | undefined }) {
  return (
    <>
      <Items field={field} />
      <Lines class="small muted plain" texts={describeSeveral(field, reference)} />
    </>
  )
}

/** The same of one value of a list. */
function Items({ field }: { field: Field }) {
  const { length, values, minimum, maximum, usual, encoding, exclusive_minimum: above } = field
  if (length !== undefined) return <>{number(length, 9)} numbers</>
  if (values !== undefined) {
    const { count, first } = values
    return (
      <>
        {number(count, 6)}: <bdi>{first.slice(0, 3).join(', ')}</bdi>
        {count > 3 && ', …'}
        {unknowns[field.out_of_vocabulary ?? 'bucket']}
      </>
    )
  }
  if (maximum !== undefined) return <>{`${number(minimum ?? 0, 9)} to ${number(maximum, 9)}`}</>
  if (encoding.buckets !== undefined)
    return (
      <>
        any text, hashed to {number(encoding.buckets, 9)} buckets{encoding.hash && ` by ${encoding.hash}`}
      </>
    )
  if (usual !== undefined) return <>{`mostly ${number(usual[0]!)} to ${number(usual.at(-1)!)}`}</>
  return <>{above === undefined ? 'any number' : `any number above ${number(above)}`}</>
}

/** The fate of values that a vocabulary does not have. */
const unknowns = { bucket: '', error: '; others are refused', drop: '; others are left out' }
