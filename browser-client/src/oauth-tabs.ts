/**
 * The tabs of one client. One tab owns the grant; tabs without one request access tokens from it. A tab that is about
 * to go hands its grant to one of them, by name, so that no two tabs ever hold the same refresh token.
 */
import { failure } from './broker-error.ts'
import type { BrokerError } from './broker-error.ts'
import type { State } from './client.ts'
import { random } from './oauth-code.ts'
import { createOwnGrant, revoke } from './oauth-grant.ts'
import type { Call, Grant } from './oauth-grant.ts'
import type { OAuthSession } from './oauth-id-token.ts'
import { createTab } from './tab.ts'

/** An access token, or the failure to get one. */
type Lent = string | Pick<BrokerError, 'status' | 'code'>

/** Beside states. `to`, `from` and `borrower` are names of tabs. */
type Message =
  /** A tab without a grant requests the state, or an access token of an API. */
  | {
      readonly from: string
      readonly id: string
      readonly api?: string | undefined
      readonly claims?: string | undefined
    }
  | { readonly to: string; readonly id: string; readonly lent: Lent }
  /** A tab without a grant depends on the tab that sent its state. */
  | { readonly borrower: string; readonly isGone?: boolean }
  /** The refresh token changes its owner. */
  | { readonly to: string; readonly grant: Grant }
  /** The person signed out by this ID token, which ends the grants of every tab. */
  | { readonly signedOutBy: string | undefined }

/** Of the tab with the grant, which may have to renew. */
const answerWithin = 10_000

/** @param onEvent called when the page is shown, online, visible or hidden; the others are those of the grant */
export function createTabs(
  name: string,
  base: string,
  call: Call,
  scopeOf: (api: string) => string,
  onEvent: (event?: Event) => void,
) {
  const me = random()
  /** Tabs that live on this tab's grant. */
  const borrowers = new Set<string>()
  /** Requests of this tab by their id. */
  const waiting = new Map<string, (lent: Lent) => void>()

  const onMessage = (message: Message | State<OAuthSession>) => {
    if ('to' in message && message.to !== me) return
    if ('borrower' in message) borrowers[message.isGone ? 'delete' : 'add'](message.borrower)
    else if ('lent' in message) waiting.get(message.id)?.(message.lent)
    else if ('signedOutBy' in message) end(message.signedOutBy)
    else if ('grant' in message) {
      if (own.get()) revoke(call, message.grant)
      else void own.keep(message.grant, 'other-tab')
    } else if ('from' in message) {
      if (!own.get()) return
      if (message.api) void lend(message.from, message.id, message.api, message.claims)
      else post(getState())
    } else if (!own.get()) {
      set(message.status, message.session, 'other-tab')
      if (message.session) {
        post({ borrower: me })
        waiting.get('')?.('')
      }
    }
  }
  const { getState, set, subscribe, post, open, close } = createTab(name, onMessage, onEvent)
  const own = createOwnGrant(name, base, call, scopeOf, { getState, set })

  const lend = async (to: string, id: string, api: string, claims?: string) => {
    // A message carries no error; the copy has the members that are enumerable.
    const lent = await own.token(api, claims).catch((thrown: unknown) => ({ ...(thrown as object) }) as Lent)
    post({ to, id, lent })
  }
  const ask = (id: string, api?: string, claims?: string) =>
    new Promise<Lent>((resolve) => {
      waiting.set(id, resolve)
      setTimeout(resolve, answerWithin, { status: 0, code: 'unreachable' })
      post({ from: me, id, api, claims })
    }).finally(() => waiting.delete(id))
  /** @returns whether another tab has a grant */
  const isLent = async () => (await navigator.locks.query()).held?.some((lock) => lock.name === name)

  /** @param idToken of the grant that `/end-session` ends, which finds the provider's hint in it */
  const end = (idToken: string | undefined) => {
    const dropped = own.drop()
    if (dropped?.id_token !== idToken) revoke(call, dropped)
  }
  const handOver = () => {
    const to = [...borrowers].pop()
    post({ borrower: me, isGone: true })
    // A refresh token that is under way may be used up already.
    const grant = to && !own.isRenewing() && own.drop()
    if (grant) post({ to, grant })
  }

  return {
    getState,
    set,
    subscribe,
    own,
    open: () => {
      open()
      addEventListener('pagehide', handOver)
    },
    /** Finds out from another tab who is signed in. */
    find: async () => {
      if (!(await isLent()) || (await ask(''))) set('signed-out')
    },
    /**
     * @throws {BrokerError} as the tab with the grant;
     *   `signed_out` where there is none, `unreachable` where it is silent
     */
    getToken: async (api: string, claims?: string): Promise<string> => {
      if (own.get()) return own.token(api, claims)
      if (!(await isLent())) {
        set('signed-out')
        throw failure('signed_out')
      }
      const lent = await ask(random(), api, claims)
      if (typeof lent === 'string') return lent
      throw Object.assign(failure(lent.code), lent)
    },
    /** @returns the ID token for `/end-session` */
    signOut: () => {
      const idToken = getState().session?.idToken
      post({ signedOutBy: idToken })
      end(idToken)
      set('signed-out', undefined, 'signed-out-here')
      return idToken
    },
    close: () => {
      handOver()
      revoke(call, own.drop())
      close()
    },
  }
}
