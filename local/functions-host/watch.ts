/** `npm run watch`: builds on every change and restarts the local host, which keeps its port and its keys. */
import { describeBuild, watch } from '../../tools/build.ts'
import { onShutdown } from '../shutdown.ts'
import { LocalError } from '../http-server.ts'
import { reportFailure } from '../program-failure.ts'
import { brokerEnvironment, ensureLocalParts } from '../local-parts.ts'
import { brokerPortOf } from '../start-arguments.ts'
import { startHostProcess } from './process.ts'
import type { HostProcess } from './process.ts'

/**
 * Runs until Ctrl-C.
 *
 * @param options.buildOnly without a host: for Core Tools, which restarts by itself when `dist/` changes
 */
export async function watchAndServe({ buildOnly }: { readonly buildOnly: boolean }): Promise<void> {
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
      if (host) await host.restart()
      else host = await startHostProcess({ dist: result.outdir, port: brokerPortOf(env.Broker__BaseUrl), env })
      console.error(`The broker runs at ${host.url}`)
    } catch (error) {
      reportFailure(error)
    }
  })

  await new Promise<void>(onShutdown)
  await watching.close()
  await host?.close()
  await parts?.close()
}
