import type { Table } from '../network/training-step.ts'
import { AdagradUpdates } from './adagrad-updates.ts'
import { AdamUpdates } from './adam-updates.ts'
import type { RowDecay } from './row-decay.ts'
import { RowSums } from './row-sums.ts'
import type { TableMemory, TableUpdates } from './table-updates.ts'

export function createTableUpdates(
  table: Table,
  memory: TableMemory,
  thread: number,
  threads: number,
  decay?: RowDecay,
): TableUpdates {
  const { adagrad } = table
  const sums = new RowSums(table, thread, threads)
  return adagrad ? new AdagradUpdates({ ...table, adagrad }, memory, sums, decay) : new AdamUpdates(table, memory, sums)
}
