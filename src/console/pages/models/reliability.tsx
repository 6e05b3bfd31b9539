import { number, percent } from '../../parts/format.ts'
import { Scroll } from '../../parts/scroll.tsx'
import { describeBins } from './describe-bins.ts'
import type { TaskEvaluation } from './words.ts'

/** Size of the plot, px, and room for its axes. */
const size = 200
const [left, below] = [66, 38]

type Bin = TaskEvaluation['reliability']['served'][number]

/** Observed rates against predictions, with their intervals, on logarithmic axes; a note and the numbers as a table follow. */
export function Reliability({ name, bins, note }: { name: string; bins: readonly Bin[]; note: string }) {
  const drawn = bins.filter(({ predicted, observed, high }) => predicted > 0 && Math.max(observed, high) > 0)
  if (drawn.length === 0) return <p class="muted">There are no rows to draw.</p>
  const [lowest, highest] = rangeOf(drawn)
  const place = (probability: number) => {
    const share = (Math.log10(Math.max(probability, 10 ** lowest)) - lowest) / (highest - lowest)
    return size * Math.min(1, share)
  }
  const x = (probability: number) => left + place(probability)
  const y = (probability: number) => size - place(probability)
  const powers = Array.from({ length: highest - lowest + 1 }, (_, i) => 10 ** (lowest + i))
  return (
    <>
      <svg
        class="reliability"
        role="img"
        aria-label={`Reliability of ${name}: ${describeBins(bins)}; the numbers follow`}
        width={size + left + 24}
        height={size + below + 8}
        viewBox={`0 -8 ${size + left + 24} ${size + below + 8}`}
      >
        {powers.map((power) => (
          <g key={power}>
            <path class="grid" d={`M${x(power)} 0V${size}M${left} ${y(power)}H${left + size}`} />
            <text x={x(power)} y={size + 15} text-anchor="middle">
              {percent(power)}
            </text>
            <text x={left - 5} y={y(power) + 4} text-anchor="end">
              {percent(power)}
            </text>
          </g>
        ))}
        <text x={left + size / 2} y={size + 33} text-anchor="middle">
          predicted
        </text>
        <text x={-size / 2} y={12} text-anchor="middle" transform="rotate(-90)">
          observed
        </text>
        <path class="same" d={`M${left} ${size}L${left + size} 0`} />
        {drawn.map(({ predicted, observed, low, high }) => (
          <g key={predicted}>
            <path class="interval" d={`M${x(predicted)} ${y(low)}V${y(high)}`} />
            <circle cx={x(predicted)} cy={y(observed)} r={3} />
          </g>
        ))}
      </svg>
      <p class="small">{note}</p>
      <details>
        <summary>Numbers</summary>
        <Numbers name={name} bins={bins} />
      </details>
    </>
  )
}

/** Powers of ten that hold every point. */
function rangeOf(bins: readonly Bin[]): [number, number] {
  const values = bins.flatMap(({ predicted, observed }) => [predicted, observed]).filter((value) => value > 0)
  const lowest = Math.max(-6, Math.floor(Math.log10(Math.min(...values)) + 1e-9))
  return [lowest, Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9))]
}

function Numbers({ name, bins }: { name: string; bins: readonly Bin[] }) {
  return (
    <Scroll label={`Reliability of ${name}`}>
      <table>
        <thead>
          <tr>
            <th class="number">Predicted</th>
            <th class="number">Observed</th>
            <th class="number">95 % interval</th>
            <th class="number">Rows</th>
          </tr>
        </thead>
        <tbody>
          {bins.map(({ rows, predicted, observed, low, high }) => (
            <tr key={predicted}>
              <td class="number">{percent(predicted)}</td>
              <td class="number">{percent(observed)}</td>
              <td class="number">{`${percent(low)} to ${percent(high)}`}</td>
              <td class="number">{number(rows, 9)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
