import { parentPort, workerData } from 'node:worker_threads'
import { setThreadPriority } from '../../base/process.ts'
import type { BodyFormat } from '../body/body-format.ts'
import { LogWriter, type WriterData } from '../prediction-log/log-writer.ts'
import { inferFormat } from './open-inference/infer-format.ts'
import { predictFormat } from './predict/predict-format.ts'
import { servingFormat } from './tensorflow-serving/serving-format.ts'

/*
 * The thread that writes the prediction log: reads bodies again, as the protocols do, and writes records.
 */

const formats = new Map<string, BodyFormat<unknown>>(
  [predictFormat, inferFormat, servingFormat].map((format) => [format.name, format]),
)

// Threads that clients wait for come first.
setThreadPriority(10)
new LogWriter(workerData as WriterData, parentPort!, formats).start()
