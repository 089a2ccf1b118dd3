/**
 * `npm run watch`: builds on every change and restarts the local host, which keeps its port and its keys. With
 * `--build-only` it runs no host: for Core Tools, which restarts by itself when `dist/` changes.
 */
import { parseArgs } from 'node:util'

import { describeBuild, watch } from '../tools/build.ts'
import { keyLines } from './banner.ts'
import { startHostProcess } from './functions-host/process.ts'
import type { HostProcess } from './functions-host/process.ts'
import { LocalError } from './http-server.ts'
import { brokerEnvironment, ensureLocalParts } from './local-parts.ts'
import { reportFailure } from './program-failure.ts'
import { onShutdown } from './shutdown.ts'
import { brokerPortOf } from './start-arguments.ts'

try {
  await watchAndServe(parseArguments())
} catch (error) {
  process.exitCode = reportFailure(error)
}

/** @throws {LocalError} that names the accepted argument */
function parseArguments() {
  try {
    const { values } = parseArgs({ options: { 'build-only': { type: 'boolean', default: false } } })
    return { buildOnly: values['build-only'] }
  } catch (error) {
    throw new LocalError(`${(error as Error).message.replace(/\.$/, '')}. Known is --build-only.`, 2)
  }
}

/** Runs until Ctrl-C. */
async function watchAndServe({ buildOnly }: { readonly buildOnly: boolean }): Promise<void> {
  const parts = buildOnly ? undefined : await ensureLocalParts()
  const env = buildOnly ? undefined : await brokerEnvironment()
  let host: HostProcess | undefined

  const watching = await watch({ sourcemap: true }, async (result) => {
    if (result instanceof LocalError) {
      console.error(result.message)
      return
    }
    console.error(describeBuild(result))
    if (!env) return
    try {
      const isFirst = host === undefined
      if (host) await host.restart()
      else host = await startHostProcess({ dist: result.outdir, port: brokerPortOf(env.Broker__BaseUrl), env })
      console.error([`The broker runs at ${host.url}`, ...(isFirst ? keyLines(host) : [])].join('\n'))
    } catch (error) {
      reportFailure(error)
    }
  })

  await new Promise<void>(onShutdown)
  await watching.close()
  await host?.close()
  await parts?.close()
}
