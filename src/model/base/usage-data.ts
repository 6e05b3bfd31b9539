/**
 * ONNX Runtime's official builds send usage data to Microsoft unless this variable is set before they start. To be
 * called in the main thread, before it or a worker loads ONNX Runtime: a worker's environment is a copy, which native
 * code does not see. A value that the user has set stays.
 */
export function sendNoUsageData(env: NodeJS.ProcessEnv = process.env): void {
  env.ORT_DISABLE_TELEMETRY ??= '1'
}
