import { Scroll, SearchField, useSearch } from '../../parts/controls.tsx'
import { nameOfDefault, number } from '../../parts/format.ts'
import { Pager, pageOf } from '../../parts/pager.tsx'
import { Empty } from '../../parts/states.tsx'
import type { Field } from './words.ts'

const perPage = 20

/** The inputs, with what a client may send for each. `playground`: where they are measured. */
export function Fields({ fields, playground }: { fields: readonly Field[]; playground: string }) {
  const { wanted, page, setPage, field } = useSearch()
  if (fields.length === 0) return <p class="muted">Its clients send tensors: it has no named fields.</p>
  const found = fields.filter(({ name, side, kind }) => `${name} ${side} ${kind}`.toLowerCase().includes(wanted))
  return (
    <>
      <p class="muted">
        Context fields describe the user and the page, once per request; candidate fields the item to score; cross
        fields both. <a href={playground}>The playground</a> ranks them by their importance.
      </p>
      {fields.length > perPage && <SearchField label="Search fields" {...field} />}
      {found.length === 0 ? (
        <Empty title="No field is like this" />
      ) : (
        <Scroll label="Table of fields">
          <table>
            <thead>
              <tr>
                <th>Field</th>
                <th>Side</th>
                <th>Kind</th>
                <th>Values</th>
                <th>If it is missing</th>
              </tr>
            </thead>
            <tbody>
              {pageOf(found, page, perPage).map((field) => (
                <tr key={field.name}>
                  <td>
                    <bdi>{field.name}</bdi>
                  </td>
                  <td>{field.side}</td>
                  <td>{field.kind}</td>
                  <td class="wide">
                    <Values field={field} />
                  </td>
                  <td class="wide">
                    {field.required ? (
                      'refused'
                    ) : (
                      <>
                        counts as <bdi>{nameOfDefault(field)}</bdi>
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <Pager what="fields" page={page} size={perPage} total={found.length} onPage={setPage} />
    </>
  )
}

function Values({ field }: { field: Field }) {
  const { values, minimum, maximum, usual, encoding, exclusive_minimum: above } = field
  if (values !== undefined) {
    const { count, first } = values
    return (
      <>
        {number(count, 6)}: <bdi>{first.slice(0, 3).join(', ')}</bdi>
        {count > 3 && ', …'}
        {field.out_of_vocabulary === 'error' ? '; others are refused' : ''}
      </>
    )
  }
  if (maximum !== undefined) return <>{`${number(minimum ?? 0, 9)} to ${number(maximum, 9)}`}</>
  if (encoding.buckets !== undefined) return <>any text, hashed to {number(encoding.buckets, 9)} buckets</>
  if (usual !== undefined) return <>{`mostly ${number(usual[0]!)} to ${number(usual.at(-1)!)}`}</>
  return <>{above === undefined ? 'any number' : `any number above ${number(above)}`}</>
}
