/** Where the worker thread begins: an entry point of the build, beside the functions. */
import { parentPort, workerData } from 'node:worker_threads'
import type { TelemetrySettings } from '../settings/settings.ts'
import { createExporter } from './exporter.application-insights.ts'
import type { Message } from './report-worker.ts'

const exporter = createExporter(workerData as TelemetrySettings)

parentPort?.on('message', (message: Message) => {
  const acknowledge = () => parentPort?.postMessage(message.id)
  if ('flush' in message) {
    void exporter.flush().finally(acknowledge)
    return
  }
  try {
    exporter.export(message.report)
  } finally {
    acknowledge()
  }
})
