import { provenanceRows } from './provenance-rows.ts'
import type { Details } from './words.ts'

type Given = NonNullable<Details['provenance']>

/** How the version came to be. */
export function Provenance({ provenance }: { provenance: Given }) {
  const rows = provenanceRows(provenance)
  if (rows.length === 0) return <p class="muted">Its manifest does not say how it was made.</p>
  return (
    <dl class="pairs">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  )
}
