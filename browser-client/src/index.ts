/**
 * Sessions of the certificate token broker for a front end on its site: who is signed in, access tokens for APIs,
 * sign-in and sign-out. Importing this module has no effect. It stores no token and no name in the browser's storage.
 */
import { createFetch } from './api-call.ts'
import { checkAutomatic } from './automatic-sign-in.ts'
import type { Client, SignInOptions } from './client.ts'
import { abortable, addParameters, ignore, leave, request } from './page.ts'
import { createSessionCheck } from './session-check.ts'
import type { Call } from './session-check.ts'
import { createSessionTokens } from './session-tokens.ts'

export { BrokerError } from './broker-error.ts'
export type { ErrorCode } from './broker-error.ts'
export type { Client, Person, Reason, Session, SignInOptions, State, Status } from './client.ts'

export interface ClientOptions {
  /** The broker's address: `https://login.example.com`. */
  readonly broker: string
  /** The front end's id; only needed where several front ends share an origin. */
  readonly frontEnd?: string
}

export function createClient({ broker, frontEnd }: ClientOptions): Client {
  const base = broker.replace(/\/+$/, '')
  const query = frontEnd ? `?frontend=${frontEnd}` : ''
  const name = base + query
  const call: Call = (path, body) =>
    request(base + path + query, {
      credentials: 'include',
      ...(body && {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'broker-request': '1' },
        body: JSON.stringify(body),
      }),
    })
  const [tab, check, getSignInUrl] = createSessionCheck(name, call, `${base}/login${query}`)
  const getToken = createSessionTokens(call, tab)

  const signIn = async ({ error, ...options }: SignInOptions = {}, subject = ''): Promise<never> => {
    checkAutomatic(name + subject, 1)
    const { href } = location
    // The broker accepts 1,024 characters, as the browser encodes them.
    const returnUrl = href.length > 1024 ? href.replace(/[?#].*/, '') : href
    const url = new URL(error?.signInUrl ?? getSignInUrl())
    addParameters(url.searchParams, { returnUrl, ...options })
    return leave(url)
  }

  return {
    getState: tab.getState,
    subscribe: (listener) => {
      if (tab.getState().status === 'loading') check().catch(ignore)
      return tab.subscribe(listener)
    },
    getSession: ({ signal } = {}) => abortable(check(), signal),
    getToken,
    fetch: createFetch(name, getToken, signIn),
    signIn: (options) => signIn(options),
    signOut: async ({ returnUrl } = {}) => {
      const { url } = await call<{ url: string }>('/logout', { return_url: returnUrl })
      tab.set('signed-out', undefined, 'signed-out-here')
      return leave(url)
    },
    close: tab.close,
  }
}
