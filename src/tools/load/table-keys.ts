import { join } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { openChanged } from '../../model/serving/tables/open-changed.ts'
import { highestIn, tablesFolder } from '../../model/serving/tables/table-folder.ts'
import type { Entities, Entity } from '../../schemas/entities.ts'

/** An entity, and keys that its table has. */
export interface TableKeys extends Pick<Entity, 'key' | 'side' | 'features'> {
  keys: readonly string[]
}

/** Keys that are drawn from a table. */
const most = 100_000

/**
 * Draws keys of each entity from the tables beside the models, without those that deltas removed. Rejects with
 * INVALID_REQUEST where there are no entities, and with an Error where a table can't be read.
 */
export async function drawTableKeys(
  models: string,
  entities: Entities | undefined,
  random: () => number,
): Promise<TableKeys[]> {
  if (entities === undefined) throw new ModelError('INVALID_REQUEST', '--by-id: the manifest names no entities')
  const all: TableKeys[] = []
  for (const { key, side, features, table } of Object.values(entities)) {
    const folder = join(models, tablesFolder, table)
    const highest = await highestIn(folder)
    if (highest === undefined) throw new ModelError('INVALID_REQUEST', `--by-id: ${folder} has no version`)
    all.push({ key, side, features, keys: await drawKeys(highest, random) })
  }
  return all
}

async function drawKeys(folder: string, random: () => number): Promise<string[]> {
  const { base, table, close } = await openChanged(folder)
  try {
    const rows = Array.from({ length: Math.min(most, base.rows) }, (_, i) =>
      base.rows <= most ? i : Math.floor(random() * base.rows),
    )
    const keys = rows.map((row) => base.keyOf(row)).filter((key) => table.find(key) >= 0)
    if (keys.length === 0) throw new ModelError('INVALID_REQUEST', `--by-id: deltas removed all rows of ${folder}`)
    return keys
  } finally {
    close()
  }
}
