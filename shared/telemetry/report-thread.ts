/** Entry point of the telemetry thread, built beside the functions. */
import { parentPort, workerData } from 'node:worker_threads'
import { trustAuthorities } from '../outbound/certificate-authorities.ts'
import { createExporter } from './exporter.application-insights.ts'
import type { Message, ReportThreadData } from './report-worker.ts'

const { settings, proxies, certificateAuthorities } = workerData as ReportThreadData
trustAuthorities(certificateAuthorities)
const exporter = createExporter(settings, proxies)

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
