/** A command of operators in this process, as an operator runs it with the function key in the environment. */
import { directPolicy } from '../../shared/outbound/proxy.ts'
import type { CommandParts } from '../../tools/operator/operator-access.ts'

/**
 * @param command the command's function
 * @param broker the instance that receives its requests
 * @returns the exit code, and the lines that it printed
 */
export async function runAsOperator(
  command: (args: readonly string[], parts: CommandParts) => Promise<number>,
  broker: { readonly url: string; readonly functionKey: string },
  ...args: readonly string[]
) {
  const printed: string[] = []
  const code = await command(args, {
    environment: { BROKER_FUNCTION_KEY: broker.functionKey, Broker__BaseUrl: broker.url },
    settingsFile: () => Promise.resolve(undefined),
    azdValues: () => Promise.resolve({}),
    readKey: () => Promise.reject(new Error('no az')),
    proxies: directPolicy,
    print: (line) => void printed.push(line),
  })
  return { code, printed }
}
