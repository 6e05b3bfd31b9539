import type { KeyObject } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { verifyFiles } from '../bundle/read.ts'
import { readDescription } from '../tables/open-table.ts'
import { descriptionFile, tablesFolder } from '../tables/table-folder.ts'
import { whileSigned } from './signature.ts'

/**
 * Verifies a version of a table beside the models in `root`: the checksums of its files, and, where there are keys,
 * that one of them has signed its description. Deltas have neither. Rejects with an Error that names the file.
 */
export async function verifyTable(
  root: string,
  table: string,
  version: string,
  keys: readonly KeyObject[],
): Promise<void> {
  const where = `${tablesFolder}/${table}/${version}`
  const verify = () => verifyContent(join(root, where), where, table, version)
  await (keys.length === 0 ? verify() : whileSigned(root, where, descriptionFile, keys, verify))
}

async function verifyContent(folder: string, where: string, table: string, version: string): Promise<void> {
  const inside = await realpath(folder)
  const description = readDescription(folder)
  // A signature is of one name and number alone.
  for (const [key, called] of [['name', table] as const, ['version', version] as const])
    if (description[key] !== called)
      throw new ModelError(
        'INVALID_BUNDLE',
        `${where}/${descriptionFile}: /${key} is ${JSON.stringify(description[key])}, but the folder is called ${called}`,
      )
  const files = Object.entries(description.files).map(([file, { sha256 }]) => [file, sha256])
  await verifyFiles({ folder, inside, version: where }, Object.fromEntries(files), 'description')
}
