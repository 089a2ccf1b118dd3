/** `fetch` with an access token of an API. Both clients have it. */
import { count } from './automatic-sign-in.ts'
import type { BrokerError } from './broker-error.ts'
import type { Client } from './client.ts'
import { decode } from './page.ts'

/**
 * @param name of the counts of automatic sign-ins
 * @param getToken with the challenge with which the API rejected the last token
 * @param signIn with the subject under which an automatic sign-in is counted
 */
export function createFetch(
  name: string,
  getToken: (api: string, options: { readonly signal: AbortSignal }, claims?: string) => Promise<string>,
  signIn: (options: { readonly error: BrokerError }, subject: string, most: number) => Promise<never>,
): Client['fetch'] {
  return async (api, input, init) => {
    const request = new Request(input, init)
    const send = async (claims?: string) => {
      request.headers.set('authorization', `Bearer ${await getToken(api, request, claims)}`)
      return fetch(request.clone())
    }
    let response = await send()
    // Of a Bearer challenge, in base64 or base64url. The status is 401, or 403 by some libraries of APIs.
    const [, encoded] = /claims="([\w+/=-]+)"/i.exec(response.headers.get('www-authenticate') ?? '') ?? []
    const claims = encoded && decode(encoded)
    if (claims)
      response = await send(claims).catch((thrown: unknown) => {
        if (!(thrown as BrokerError).signInUrl) throw thrown
        return signIn({ error: thrown as BrokerError }, api, 1)
      })
    if (response.ok) count(name + api, 0)
    return response
  }
}
