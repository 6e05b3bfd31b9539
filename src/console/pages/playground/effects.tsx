import { change, listed, number, probability, signed } from '../../parts/format.ts'
import { usePages } from '../../parts/pager.tsx'
import { Table } from '../../parts/table.tsx'
import { itemsOf, type Value } from './state/model.ts'
import { ecpm } from './state/ranking.ts'
import { changesOf, type Effect, isUnchanged, mostFields, type Replacement } from './state/replace.ts'

const rowsPerPage = 15

interface EffectsProps {
  /** In the order in which they are shown. */
  effects: readonly Effect[]
  plan: Replacement
  by: string
  /** The name of the candidate. */
  name: string
  /** The candidate whose values replace those of this one. */
  other: { name: string; score: number | undefined } | undefined
}

/** A table of what replacing each field changes. */
export function Effects({ effects, plan, by, name, other }: EffectsProps) {
  const { shown, pager } = usePages('fields', effects, rowsPerPage)
  const largest = effects.reduce((most, effect) => Math.max(most, Math.abs(effect.with - effect.without)), 0)
  return (
    <div class="effects">
      {effects.length > 0 && (
        <>
          <p>
            {other === undefined ? (
              <>
                <bdi>{by}</bdi> is {formatsOf(by).score(effects[0]!.with)} with all fields. To the right: the field
                raises it. To the left: the field lowers it.
              </>
            ) : (
              <>
                <bdi>{by}</bdi> is {formatsOf(by).score(effects[0]!.with)} for <bdi>{name}</bdi>
                {other.score !== undefined && (
                  <>
                    {' '}
                    and {formatsOf(by).score(other.score)} for <bdi>{other.name}</bdi>
                  </>
                )}
                . <Verdict effects={effects} by={by} name={name} /> Fields act together, so the effects need not add up
                to the difference.
              </>
            )}
          </p>
          <Table
            label="Effects of fields"
            rows={shown}
            rowKey={({ field }) => field}
            columns={[
              {
                title: 'Field',
                heads: true,
                cell: (effect) => (
                  <>
                    <bdi>{titleOf(effect)}</bdi>
                    <span class="small muted value">
                      <bdi>{valuesOf(effect, ({ now }) => now)}</bdi>
                    </span>
                  </>
                ),
              },
              { title: 'Effect', cell: (effect) => <Size effect={effect} largest={largest} by={by} /> },
              {
                title: other === undefined ? 'Without it' : 'Replaced',
                value: ({ without }) => without,
                format: formatsOf(by).score,
              },
              {
                title:
                  other === undefined ? (
                    'Counts as'
                  ) : (
                    <>
                      Value of <bdi>{other.name}</bdi>
                    </>
                  ),
                cell: (effect) => (
                  <>
                    <bdi>{effect.title ?? valuesOf(effect, ({ value }) => value)}</bdi>{' '}
                    {effect.kind !== 'other' && <span class="small muted">{words[effect.kind]}</span>}
                  </>
                ),
              },
            ]}
          />
          {pager}
        </>
      )}
      <Remarks plan={plan} isEmpty={effects.length === 0} isOther={other !== undefined} by={by} />
    </div>
  )
}

/** Fields that a sentence names of each side. */
const mostNamed = 3

/** Which values put the candidate ahead of the other or behind it, the largest effects first. */
function Verdict({ effects, by, name }: { effects: readonly Effect[]; by: string; name: string }) {
  const sizes = effects.map((effect) => ({ field: titleOf(effect), size: effect.with - effect.without }))
  const list = (sides: typeof sizes) =>
    sides
      .slice(0, mostNamed)
      .map(({ field, size }) => `${field} (${formatsOf(by).difference(size)})`)
      .join(', ') || 'nothing'
  return (
    <>
      <bdi>{name}</bdi> is ahead by <bdi>{list(sizes.filter(({ size }) => size > 0))}</bdi>, and behind by{' '}
      <bdi>{list(sizes.filter(({ size }) => size < 0))}</bdi>.
    </>
  )
}

/** How a score and a difference of two are written: all but ecpm are probabilities. */
const formatsOf = (by: string) =>
  by === ecpm ? { score: number, difference: signed } : { score: probability, difference: change }

/** Words for the kinds of substitutes. */
const words = {
  default: 'its default',
  commonest: 'the commonest',
  middle: 'in the middle',
  empty: '',
  other: 'the same',
}

/** The lists of a sequence are replaced together. */
const titleOf = (effect: Effect) =>
  changesOf(effect)
    .map(({ field }) => field)
    .join(', ')

const valuesOf = (effect: Effect, read: (change: ReturnType<typeof changesOf>[number]) => Value | undefined) =>
  changesOf(effect)
    .map((change) => textOf(read(change)))
    .join(', ')

function Size({ effect, largest, by }: { effect: Effect; largest: number; by: string }) {
  if (isUnchanged(effect)) return <span class="small muted">none: already {words[effect.kind] || effect.title}</span>
  const size = effect.with - effect.without
  const share = largest === 0 ? 0 : Math.abs(size) / largest
  return (
    <>
      <span class="probability">{formatsOf(by).difference(size)}</span>
      <span class="two-sided" aria-hidden="true">
        <span class={size < 0 ? 'left' : 'right'} style={{ width: `${50 * share}%` }} />
      </span>
    </>
  )
}

function Remarks({
  plan,
  isEmpty,
  isOther,
  by,
}: {
  plan: Replacement
  isEmpty: boolean
  isOther: boolean
  by: string
}) {
  const { unknown, absent, beyond } = plan
  return (
    <ul class="small muted remarks">
      {isEmpty && (
        <li>{isOther ? 'The two candidates differ in no value.' : 'There is no field that could be taken away.'}</li>
      )}
      {by === ecpm && !isOther && <li>The bid is no field of the model: ecpm is proportional to it.</li>}
      {absent.length > 0 && <li>Not sent already: {listed(absent, mostListed)}.</li>}
      {unknown.length > 0 && (
        <li>
          Required, and no usual value is known, since the model has no reference data for it:{' '}
          {listed(unknown, mostListed)}.
        </li>
      )}
      {beyond > 0 && (
        <li>
          The first {number(mostFields, 9)} fields were asked; {number(beyond, 9)} were not.
        </li>
      )}
    </ul>
  )
}

const mostListed = 10

/** Values of a list that are shown. */
const mostItems = 5

function textOf(value: Value | undefined): string {
  if (value === undefined) return 'not sent'
  if (value === '') return '(empty)'
  if (typeof value !== 'object') return typeof value === 'number' ? number(value, 6) : value
  const items = itemsOf(value)
  const more = items.length > mostItems ? [`+ ${items.length - mostItems}`] : []
  return `[${[...items.slice(0, mostItems).map(textOf), ...more].join(', ')}]`
}
