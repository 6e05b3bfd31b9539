import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { temporaryFolder } from './bundle.ts'

const root = join(import.meta.dirname, '../../..')
export const chart = join(root, 'deploy/helm/multigate')

/** Longest that building Helm may take, ms: minutes, the first time on a busy machine. */
const patience = 1_200_000

/** Path of Helm 3, or why there is none. */
export async function findHelm(): Promise<{ helm: string; skip: false } | { helm: ''; skip: string }> {
  const { status, stdout, stderr } = await call(process.execPath, [join(root, 'scripts/setup-helm.mjs')])
  return status === 0 ? { helm: stdout.trim(), skip: false } : { helm: '', skip: stderr.trim() }
}

export interface Rendered {
  /** Objects of Kubernetes. */
  objects: any[]
  /** Helm's error; undefined where it renders. */
  error: string | undefined
}

/** Helm with these values: objects as the cluster would get them. */
export async function render(t: Test, helm: string, values: object, more: string[] = []): Promise<Rendered> {
  const args = [
    'template',
    'ads',
    chart,
    '--namespace=ranking',
    '--kube-version=1.29.0',
    `--values=${await fileOf(t, values)}`,
  ]
  const { status, stdout, stderr } = await call(helm, [...args, ...more])
  if (status !== 0) return { objects: [], error: stderr }
  // Kubernetes reads YAML 1.1: 0440 is octal.
  const objects = parseAllDocuments(stdout, { version: '1.1' }).map((document) => document.toJS({ maxAliasCount: 0 }))
  return { objects: objects.filter((object) => object !== null), error: undefined }
}

/** The output of `helm lint --strict` where it is not content; else undefined. */
export async function lint(t: Test, helm: string, values: object): Promise<string | undefined> {
  const args = ['lint', '--strict', '--kube-version=1.29.0', chart, `--values=${await fileOf(t, values)}`]
  const { status, stdout, stderr } = await call(helm, args)
  return status === 0 ? undefined : stdout + stderr
}

/** JSON is YAML. */
async function fileOf(t: Test, values: object): Promise<string> {
  const path = join(await temporaryFolder(t), 'values.yaml')
  await writeFile(path, JSON.stringify(values))
  return path
}

function call(command: string, args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, timeout: patience } as const
    execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : 1, stdout, stderr: stderr || String(error?.message ?? '') }),
    )
  })
}
