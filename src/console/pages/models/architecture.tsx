import { useMemo } from 'preact/hooks'
import type { Box, Column } from '../../../model/graph/architectures/diagram.ts'
import { findArchitecture } from '../../../model/graph/architectures/table.ts'
import { Scroll } from '../../parts/controls.tsx'
import { diagramOf } from './diagram-of.ts'
import { architectureName, type Details } from './words.ts'

/** Sizes of the drawing, px. */
const box = { width: 138, height: 60, gap: 12 }
const columnGap = 32
const head = 28

/** The model as a drawing, and as text. */
export function Architecture({ details }: { details: Details }) {
  const columns = useMemo(() => diagramOf(details), [details])
  const name = architectureName(details)
  const about = findArchitecture(String(details.architecture?.name))?.about
  return (
    <>
      <p>
        <strong>{name}.</strong>{' '}
        {about ??
          'The graph has no description of its parts: it is shown whole, between what goes in and what comes out.'}
      </p>
      <Drawing columns={columns} title={`Architecture: ${name}. The same as text follows.`} />
      <details>
        <summary>The same as text</summary>
        <AsText columns={columns} />
      </details>
    </>
  )
}

interface Placed extends Box {
  x: number
  y: number
}

function Drawing({ columns, title }: { columns: Column[]; title: string }) {
  const tallest = Math.max(1, ...columns.map(({ boxes }) => boxes.length))
  // Lines that pass a column have room below it.
  const height = head + tallest * (box.height + box.gap) + 2 * box.gap
  const width = columns.length * (box.width + columnGap) - columnGap + 4
  const placed = columns.flatMap(({ boxes }, column) => {
    const top = head + (height - head - box.gap - boxes.length * (box.height + box.gap) + box.gap) / 2
    return boxes.map(
      (one, i): Placed => ({
        ...one,
        x: 2 + column * (box.width + columnGap),
        y: top + i * (box.height + box.gap),
      }),
    )
  })
  const byId = new Map(placed.map((one) => [one.id, one]))
  const lines = placed.flatMap((to) =>
    to.reads.flatMap((id) => {
      const from = byId.get(id)
      return from === undefined ? [] : [{ from, to }]
    }),
  )
  return (
    <>
      <Scroll label="The architecture, as a drawing">
        <svg
          class="architecture"
          role="img"
          aria-label={title}
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
        >
          {lines.map(({ from, to }) => (
            <path
              key={`${from.id}\n${to.id}`}
              d={isSkip(from, to) ? detour(from, to, placed) : curve(from, to)}
              class={isSkip(from, to) ? 'skip-line' : undefined}
            />
          ))}
          {columns.map(({ title: text }, i) => (
            <text key={text} x={2 + i * (box.width + columnGap) + box.width / 2} y={16} text-anchor="middle">
              {text}
            </text>
          ))}
          {placed.map((one) => (
            <foreignObject key={one.id} x={one.x} y={one.y} width={box.width} height={box.height}>
              <div class={one.isGate ? 'part gate' : 'part'} title={`${one.title}${one.note ? `\n${one.note}` : ''}`}>
                <strong>
                  <bdi>{one.title}</bdi>
                </strong>
                {one.note !== undefined && (
                  <span>
                    <bdi>{one.note}</bdi>
                  </span>
                )}
              </div>
            </foreignObject>
          ))}
        </svg>
      </Scroll>
      <Legend lines={lines} />
    </>
  )
}

interface Line {
  from: Placed
  to: Placed
}

/** The meaning of the lines of the drawing. */
function Legend({ lines }: { lines: readonly Line[] }) {
  const passing = lines.filter(({ from, to }) => isSkip(from, to)).length
  return (
    <ul class="legend row small" aria-label="Lines">
      {lines.length > passing && (
        <li>
          <LineSample /> read by the next column
        </li>
      )}
      {passing > 0 && (
        <li>
          <LineSample kind="skip-line" /> read by a later column, past those in between
        </li>
      )}
    </ul>
  )
}

function LineSample({ kind }: { kind?: string }) {
  return (
    <svg class="line-sample" width={32} height={8} aria-hidden="true">
      <path d="M0 4H32" class={kind} />
    </svg>
  )
}

/** A line that passes a column. */
const isSkip = (from: Placed, to: Placed) => to.x - from.x > box.width + columnGap + 1

/** Below the columns in between. */
function detour(from: Placed, to: Placed, placed: readonly Placed[]): string {
  const between = placed.filter(({ x }) => x > from.x && x < to.x)
  const y = Math.max(...between.map((one) => one.y)) + box.height + box.gap
  const [x1, y1] = [from.x + box.width, from.y + box.height / 2]
  const [x2, y2] = [to.x, to.y + box.height / 2]
  const turn = columnGap / 2
  const down = `M${x1} ${y1}C${x1 + turn} ${y1} ${x1 + turn} ${y} ${x1 + columnGap} ${y}`
  return `${down}H${x2 - columnGap}C${x2 - turn} ${y} ${x2 - turn} ${y2} ${x2} ${y2}`
}

function curve(from: Placed, to: Placed): string {
  if (from.x === to.x) {
    const x = from.x + box.width / 2
    return `M${x} ${from.y + box.height}L${x} ${to.y}`
  }
  const [x1, y1] = [from.x + box.width, from.y + box.height / 2]
  const [x2, y2] = [to.x, to.y + box.height / 2]
  const bend = Math.min(40, (x2 - x1) / 2)
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`
}

function AsText({ columns }: { columns: Column[] }) {
  const titles = new Map(columns.flatMap(({ boxes }) => boxes.map(({ id, title }) => [id, title] as const)))
  return (
    <dl class="parts-text">
      {columns.map(({ title, boxes }) => (
        <div key={title}>
          <dt>{title}</dt>
          {boxes.map((one) => (
            <dd key={one.id}>
              <bdi>{one.title}</bdi>
              {one.note && (
                <>
                  {' ('}
                  <bdi>{one.note}</bdi>)
                </>
              )}
              {one.reads.length > 0 && (
                <span class="muted">
                  {' reads '}
                  <bdi>{one.reads.map((id) => titles.get(id) ?? 'more').join(', ')}</bdi>
                </span>
              )}
            </dd>
          ))}
        </div>
      ))}
    </dl>
  )
}
