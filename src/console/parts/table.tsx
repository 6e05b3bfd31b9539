import type { ComponentChildren, JSX } from 'preact'
import { Scroll } from './controls.tsx'
import { orDash } from './format.ts'

/** A column: its header, and what stands in its cells. */
export type Column<Row> = {
  title: ComponentChildren
  /** Names the column while others come and go; default: its place. */
  key?: string
  /** Figures, which align at their ends. A column of values is one. */
  number?: boolean
  /** Its cells head their rows. */
  heads?: boolean
  /** Class of its cells. */
  class?: string
  /** More attributes of its header, and of its cells. */
  header?: JSX.IntrinsicElements['th']
  attributes?(row: Row): JSX.IntrinsicElements['td']
} & (
  | {
      /** A name or another text that somebody else wrote, and where it leads. */
      text(row: Row): string
      href?(row: Row): string
    }
  | {
      /** A figure; – where there is none. */
      value(row: Row): number | null | undefined
      /** Writes it with its unit. */
      format(value: number): string
    }
  | { cell(row: Row, place: number): ComponentChildren }
)

interface TableProps<Row> {
  /** Says what scrolls: `Models in use`. */
  label: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  /** Names a row while others come and go; default: the text of its first column, or else its place. */
  rowKey?(row: Row, place: number): string | number
  class?: string
  /** Attributes of a row. */
  attributes?(row: Row): JSX.IntrinsicElements['tr']
  /** Rows of the header, where that has more than one. */
  head?: ComponentChildren
  /** Rows of another form, below. */
  children?: ComponentChildren
}

/** A table that scrolls by itself where it is wide. */
export function Table<Row>({ label, columns, rows, attributes, head, children, ...props }: TableProps<Row>) {
  const [first] = columns
  const { rowKey = (row, place) => (first !== undefined && 'text' in first ? first.text(row) : place), ...table } =
    props
  return (
    <Scroll label={label}>
      <table {...table}>
        <thead>
          {head ?? (
            <tr>
              {columns.map((column, i) => (
                <th key={column.key ?? i} class={isNumber(column) ? 'number' : undefined} {...column.header}>
                  {column.title}
                </th>
              ))}
            </tr>
          )}
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={rowKey(row, place)} {...attributes?.(row)}>
              {columns.map((column, i) => (
                <Cell key={column.key ?? i} {...{ column, row, place }} />
              ))}
            </tr>
          ))}
          {children}
        </tbody>
      </table>
    </Scroll>
  )
}

const isNumber = (column: Column<never>) => column.number || 'value' in column

function Cell<Row>({ column, row, place }: { column: Column<Row>; row: Row; place: number }) {
  // Both take the attributes of either.
  const Tag = column.heads ? ('th' as 'td') : 'td'
  return (
    <Tag
      class={column.class ?? (isNumber(column) ? 'number' : undefined)}
      scope={column.heads ? 'row' : undefined}
      {...column.attributes?.(row)}
    >
      {contentOf(column, row, place)}
    </Tag>
  )
}

function contentOf<Row>(column: Column<Row>, row: Row, place: number): ComponentChildren {
  if ('cell' in column) return column.cell(row, place)
  if ('value' in column) return orDash(column.value(row), column.format)
  const text = <bdi>{column.text(row)}</bdi>
  return column.href === undefined ? text : <a href={column.href(row)}>{text}</a>
}
