/** A double of either client for a team's own tests: same interface, no broker, every effect recorded. */
import { BrokerError } from './broker-error.ts'
import type { Client, Session, State } from './client.ts'
import type { OAuthSignInOptions } from './oauth.ts'

export interface TestClient extends Client<Session, OAuthSignInOptions> {
  /** Calls of `signIn` and `signOut`, in order. The double navigates nowhere. */
  readonly visits: readonly { readonly to: 'sign-in' | 'sign-out'; readonly options: OAuthSignInOptions }[]
  /** Signs the person in; members that are left out have values of an invented person. */
  readonly become: (session?: Partial<Session>) => void
  readonly becomeSignedOut: () => void
  /** The broker stops answering: `degraded`, with the last known person. */
  readonly becomeDegraded: () => void
  /** The next `getToken` and `fetch` reject with this code. */
  readonly refuseOnce: (code: string, status?: number) => void
}

export interface TestClientOptions {
  /** Answers `fetch(api, …)`. Default: 200 with an empty JSON object. */
  readonly respond?: (api: string, request: Request) => Response | Promise<Response>
}

const person = { subject: 'ada', name: 'Ada Lovelace', username: 'ada@contoso.example' }

export function createTestClient({ respond = () => Response.json({}) }: TestClientOptions = {}): TestClient {
  const listeners = new Set<(state: State) => void>()
  const visits: { to: 'sign-in' | 'sign-out'; options: OAuthSignInOptions }[] = []
  let state: State = { status: 'signed-out', session: undefined, error: undefined, reason: 'checked' }
  let refusal: BrokerError | undefined

  const set = (next: Partial<State>) => {
    state = { ...state, error: undefined, reason: 'checked', ...next }
    for (const listener of [...listeners]) listener(state)
  }
  const visit = (to: 'sign-in' | 'sign-out', options: OAuthSignInOptions = {}) => {
    visits.push({ to, options })
    return new Promise<never>(() => undefined)
  }
  const getToken = (api: string) => {
    const refused = refusal
    refusal = undefined
    if (refused) return Promise.reject(refused)
    if (!state.session) return Promise.reject(new BrokerError({ code: 'signed_out' }, { status: 401 }))
    return Promise.resolve(`token-for-${api}`)
  }

  return {
    visits,
    become: (session = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const times = { signed_in_at: now, expires_at: now + 43_200, idle_expires_at: now + 3600 }
      set({ status: 'signed-in', session: { ...person, ...times, ...session } })
    },
    becomeSignedOut: () => set({ status: 'signed-out', session: undefined }),
    becomeDegraded: () =>
      set({
        status: 'degraded',
        reason: 'unreachable',
        error: new BrokerError({ code: 'store_unavailable' }, { status: 503 }),
      }),
    refuseOnce: (code, status = 403) => (refusal = new BrokerError({ code }, { status })),
    getState: () => state,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    getSession: () => Promise.resolve(state.session),
    getToken,
    fetch: async (api, input, init = {}) => {
      const request = new Request(input, init)
      request.headers.set('authorization', `Bearer ${await getToken(api)}`)
      return respond(api, request)
    },
    signIn: (options) => visit('sign-in', options),
    signOut: (options) => {
      set({ status: 'signed-out', session: undefined, reason: 'signed-out-here' })
      return visit('sign-out', options)
    },
    close: () => listeners.clear(),
  }
}
