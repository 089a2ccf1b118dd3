/**
 * The functions host as a process: `node local/functions-host/main.ts --dist dist --port 7071`.
 * It writes one line of JSON to standard output when it is ready, and everything else to standard error. SIGINT ends it
 * after its requests and hooks, SIGTERM at once.
 */
import { parseArgs } from 'node:util'

import { LocalError } from '../http-server.ts'
import { filterStandardError } from './console-filter.ts'
import { readHostJson } from './host-json.ts'
import { startFunctionsHost } from './host.ts'

// Standard output has one line, for programs; the console of the bundle must not write to it.
console.log = console.info = console.debug = console.error

/** Writes without the filter for the worker's lines. */
let write = (text: string): void => void process.stderr.write(text)

process.on('uncaughtException', (error: unknown) => {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  write(`The worker ends, and its memory is lost, because of an error without a handler.\n${text}\n`)
  process.exit(1)
})

try {
  const { values } = parseArgs({
    options: {
      dist: { type: 'string', default: 'dist' },
      port: { type: 'string', default: '7071' },
    },
  })
  const port = Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new LocalError(`--port must be a number from 0 to 65535, not "${values.port}".`)
  }
  // Keys come from the environment: every user of the machine can read a command line.
  const { FUNCTIONS_HOST_MASTER_KEY: masterKey, FUNCTIONS_HOST_FUNCTION_KEY: functionKey } = process.env
  write = filterStandardError((await readHostJson(values.dist)).logLevels)
  const host = await startFunctionsHost({
    bundle: values.dist,
    port,
    write,
    ...(masterKey ? { masterKey } : {}),
    ...(functionKey ? { functionKeys: { default: functionKey } } : {}),
  })

  let isShuttingDown = false
  const end = () => {
    if (isShuttingDown) return
    isShuttingDown = true
    void host.close().finally(() => process.exit(0))
  }
  process.on('SIGINT', end)
  // The parent that opened the IPC channel has ended.
  process.on('disconnect', end)
  // The real host ignores it until the platform kills the process:
  // no request finishes, no hook runs, and no telemetry is sent.
  process.on('SIGTERM', () => process.exit(0))

  const { url, functions } = host
  process.stdout.write(
    `${JSON.stringify({ url, port: host.port, masterKey: host.masterKey, functionKey: host.functionKey, functions })}\n`,
  )
} catch (error) {
  write(`${error instanceof LocalError ? error.message : String((error as Error).stack)}\n`)
  process.exit(1)
}
