import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { writeTestBundle } from './bundle.ts'

/** The blocks about lists in docs/api.md, by what they are marked with, in their order. */
export async function listBlocks(): Promise<(readonly [name: string, value: any])[]> {
  const page = await readFile(fileURLToPath(new URL('../../../docs/api.md', import.meta.url)), 'utf8')
  const marked = page.matchAll(/<!-- lists: (.+) -->\n```json\n([\s\S]*?)\n```/g)
  return [...marked].map(([, name, text]) => [name!, JSON.parse(text!)] as const)
}

/** Writes the model `shop`, which has the page's fields. */
export async function writeShop(models: string): Promise<void> {
  const blocks = new Map((await listBlocks()).toReversed())
  const { context, candidates } = blocks.get('POST /predict')
  const rows = candidates.map((candidate: object) => ({ ...context, ...candidate }))
  await writeTestBundle(models, { name: 'shop', rows, manifest: { features: blocks.get('features') } })
}
