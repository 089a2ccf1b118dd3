/**
 * The functions host as a process of its own: `node local/functions-host/main.ts --dist dist --port 7071`.
 * One line of JSON on standard output when it is ready; everything else goes to standard error.
 */
import { parseArgs } from 'node:util'

import { LocalError } from '../http-server.ts'
import { startFunctionsHost } from './host.ts'

// The line on standard output is a program's; the bundle's own console must not get between.
console.log = console.info = console.debug = console.error

process.on('uncaughtException', (error: unknown) => {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`The worker ends: an error that nothing awaited, with all that was in memory.\n${text}\n`)
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
    throw new LocalError(`--port takes a number from 0 to 65535, not "${values.port}".`)
  }
  // Keys come by the environment, because everybody on the machine can read a command line.
  const { FUNCTIONS_HOST_MASTER_KEY: masterKey, FUNCTIONS_HOST_FUNCTION_KEY: functionKey } = process.env
  const host = await startFunctionsHost({
    bundle: values.dist,
    port,
    ...(masterKey ? { masterKey } : {}),
    ...(functionKey ? { functionKeys: { default: functionKey } } : {}),
  })

  let ending = false
  const end = () => {
    if (ending) return
    ending = true
    void host.close().finally(() => process.exit(0))
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  // With an IPC channel: the parent is gone, however it ended.
  process.on('disconnect', end)

  const { url, functions } = host
  process.stdout.write(
    `${JSON.stringify({ url, port: host.port, masterKey: host.masterKey, functionKey: host.functionKey, functions })}\n`,
  )
} catch (error) {
  process.stderr.write(`${error instanceof LocalError ? error.message : String((error as Error).stack)}\n`)
  process.exit(1)
}
