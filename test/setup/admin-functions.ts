/** Starts a function of an instance by the admin route of its host, as its trigger does. */
import type { HostProcess } from '../../local/functions-host/process.ts'

/**
 * The route answers after the function has ended.
 *
 * @param input of an event; a timer has none
 * @param key other than the master key, which the route refuses
 * @returns 202, or 500 where the function failed
 */
export async function runFunction(
  { url, masterKey }: Pick<HostProcess, 'url' | 'masterKey'>,
  name: string,
  { input, key = masterKey }: { readonly input?: unknown; readonly key?: string } = {},
): Promise<number> {
  const { status } = await fetch(`${url}/admin/functions/${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-functions-key': key },
    body: JSON.stringify({ input }),
  })
  return status
}
