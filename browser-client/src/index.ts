/**
 * Sessions of the certificate token broker for a front end on its site: who is signed in, access tokens for APIs, sign-in
 * and sign-out. Importing this module has no effect. It stores no token and no name in the browser's storage.
 */
import { BrokerError } from './broker-error.ts'
import type { Client, Reason, Session, SignInOptions, State, Status } from './client.ts'
import { abortable, addParameters, challengeOf, ignore, leave, request } from './page.ts'

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
  const name = `broker ${base} ${frontEnd ?? ''}`
  const listeners = new Set<(state: State) => void>()
  const tokens = new Map<string, { until: number; readonly token: Promise<string> }>()
  let state: State = { status: 'loading', session: undefined, error: undefined, reason: 'start' }
  const stop = new AbortController()
  let channel: BroadcastChannel | undefined
  let checking: Promise<Session | undefined> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  /** When this state came from the broker, to this tab or to another one. */
  let knownAt = 0
  let signInUrl = `${base}/login`

  const set = (status: Status, session: Session | undefined, reason: Reason, error?: BrokerError) => {
    if (!error) {
      knownAt = Date.now()
      if (reason !== 'other-tab') channel?.postMessage({ status, session })
    }
    if (session?.subject !== state.session?.subject) tokens.clear()
    if (status === 'signed-in') mark('', false)
    state = { status, session, error, reason }
    clearTimeout(timer)
    if (session && channel) {
      const left = Math.min(session.expires_at, session.idle_expires_at) * 1000 - Date.now()
      // At least five seconds, for clocks that differ; at most what a timer can hold.
      timer = setTimeout(recheck, Math.min(Math.max(left, 4000) + 1000, 1e9))
    }
    for (const listener of [...listeners]) listener(state)
  }

  /** Begins to listen to other tabs and to the page. */
  const open = () => {
    if (channel) return
    channel = new BroadcastChannel(name)
    channel.onmessage = ({ data }: MessageEvent<Pick<State, 'status' | 'session'>>) =>
      set(data.status, data.session, 'other-tab')
    const { signal } = stop
    for (const event of ['pageshow', 'online', 'visibilitychange']) addEventListener(event, recheck, { signal })
  }
  /** By the timer at the session's end, and by events of a page that may have slept. */
  const recheck = (event?: Event) => {
    const isDue =
      !event || state.status === 'degraded' || Date.now() > knownAt + 60_000 || (event as PageTransitionEvent).persisted
    if (isDue && !document.hidden) check('checked').catch(ignore)
  }

  const call = <T>(path: string, body?: object): Promise<T> =>
    request(`${base}${path}${frontEnd ? `?frontend=${frontEnd}` : ''}`, {
      credentials: 'include',
      ...(body && {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'broker-request': '1' },
        body: JSON.stringify(body),
      }),
    })

  const check = (reason: Reason): Promise<Session | undefined> => {
    const began = Date.now()
    const ask = async () => {
      // Another tab asked while this one waited for the lock.
      if (knownAt > began) return state.session
      try {
        set('signed-in', await call<Session>('/session'), reason)
      } catch (thrown) {
        const error = thrown as BrokerError
        if (error.code !== 'signed_out') {
          set('degraded', state.session, 'unreachable', error)
          if (state.session) return state.session
          throw error
        }
        signInUrl = error.signInUrl ?? signInUrl
        set('signed-out', undefined, reason)
      }
      return state.session
    }
    open()
    checking ??= navigator.locks.request(name, ask).finally(() => (checking = undefined))
    return checking
  }

  /** @param claims the challenge with which the API rejected the last token */
  const getToken = (
    api: string,
    { scope, signal }: { scope?: string; signal?: AbortSignal | null } = {},
    claims?: string,
  ) => {
    const key = `${api} ${scope ?? ''}`
    let kept = tokens.get(key)
    if (!kept || claims || Date.now() > kept.until) {
      const made = {
        // Until the answer is here, parallel calls share the request.
        until: Infinity,
        token: call<{ access_token: string; expires_in: number }>('/session/token', { api, scope, claims }).then(
          ({ access_token, expires_in }) => {
            // Not in its last minute, and for five minutes at most, so that use of the page keeps the session alive.
            made.until = Date.now() + Math.min(300, expires_in - 60) * 1000
            return access_token
          },
          (thrown: unknown) => {
            tokens.delete(key)
            const error = thrown as BrokerError
            if (error.code === 'signed_out') set('signed-out', undefined, 'checked')
            if (claims && error.signInUrl) return signIn({ error }, api)
            throw error
          },
        ),
      }
      tokens.set(key, (kept = made))
    }
    return abortable(kept.token, signal)
  }

  const signIn = async ({ error, ...options }: SignInOptions = {}, subject = ''): Promise<never> => {
    if (!navigator.userActivation.isActive && !mark(subject, true)) {
      throw new BrokerError(0, { code: 'sign_in_loop', title: 'Sign in by a click.' })
    }
    const { href } = location
    const returnUrl = options.returnUrl ?? (encodeURIComponent(href).length > 1024 ? href.replace(/[?#].*/, '') : href)
    const url = new URL(error?.signInUrl ?? signInUrl)
    addParameters(url.searchParams, { frontend: frontEnd, ...options, returnUrl })
    return leave(url)
  }

  return {
    getState: () => state,
    subscribe: (listener) => {
      listeners.add(listener)
      if (state.status === 'loading') check('start').catch(ignore)
      return () => void listeners.delete(listener)
    },
    getSession: ({ signal } = {}) => abortable(check('checked'), signal),
    getToken,
    fetch: async (api, input, init) => {
      const request = new Request(input, init)
      const send = async (claims?: string) => {
        request.headers.set('authorization', `Bearer ${await getToken(api, request, claims)}`)
        return fetch(request.clone())
      }
      let response = await send()
      const claims = challengeOf(response)
      if (claims) response = await send(claims)
      if (response.ok) mark(api, false)
      return response
    },
    signIn: (options) => signIn(options),
    signOut: async ({ returnUrl } = {}) => {
      const { url } = await call<{ url: string }>('/logout', { return_url: returnUrl })
      set('signed-out', undefined, 'signed-out-here')
      return leave(url)
    },
    close: () => {
      clearTimeout(timer)
      channel?.close()
      stop.abort()
    },
  }

  /**
   * Notes an automatic sign-in for this tab, or removes the note after a success.
   *
   * @returns false where one is noted already, or where the browser has no storage to note it
   */
  function mark(subject: string, isOn: boolean): boolean {
    const key = `${name} ${subject}`
    try {
      const noted = sessionStorage.getItem(key)
      if (isOn) sessionStorage.setItem(key, '1')
      else sessionStorage.removeItem(key)
      return !noted
    } catch {
      return false
    }
  }
}
