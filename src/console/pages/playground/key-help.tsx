import { sequenceOf } from './state/lists.ts'
import { type Entity, type Field, type Values, valueAt, withValue } from './state/model.ts'

/** The use of a key, and where to find one. */
export function KeyHelp({ fields, side }: { fields: readonly Field[]; side: Entity['side'] }) {
  const entities = fields.flatMap(({ keyOf }) => (keyOf?.side === side ? [keyOf] : []))
  return entities.map(({ name, key, table, first_keys: keys = [] }) => (
    <p key={name} class="small muted">
      <code>{key}</code> names a row of the table <bdi>{table?.name ?? name}</bdi>
      {keys.length > 0 && (
        <>
          , such as <bdi>{keys.join(', ')}</bdi>
        </>
      )}
      . Its values are grey; a value that you enter wins, until you clear it.{' '}
      <code>multigate features get {table?.name ?? name} KEY</code> prints a row.
    </p>
  ))
}

interface ReturnProps {
  field: Field
  fields: readonly Field[]
  values: Values
  /** Names the field. */
  label: string
  onValues(values: Values): void
}

/** Takes back a value that the reader entered, and with it those of its sequence. Nothing where no key is given. */
export function ReturnToStored({ field, fields, values, label, onValues }: ReturnProps) {
  const { name, entity } = field
  if (entity === undefined || valueAt(values, name) === undefined || valueAt(values, entity.key) === undefined)
    return null
  const clear = () =>
    onValues(sequenceOf(field, fields).reduce((all, one) => withValue(all, one.name, undefined), values))
  return (
    <button type="button" class="link small" onClick={clear}>
      Use the stored value<span class="hidden"> of {label}</span>
    </button>
  )
}
