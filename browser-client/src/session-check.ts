/** Keeps the state of a session client true: requests the session from the broker, and shares the answer among tabs. */
import { count } from './automatic-sign-in.ts'
import { BrokerError } from './broker-error.ts'
import type { Session } from './client.ts'
import { ignore } from './page.ts'
import { createTab } from './tab.ts'
import type { Tab } from './tab.ts'

/**
 * Calls a route of the broker with the session's cookie.
 * With a body by POST, as the broker's guard for scripts requires.
 */
export type Call = <T>(path: string, body?: object) => Promise<T>

export type SessionTab = Tab<Session>

/**
 * @param name of the channel and the lock that tabs share
 * @param signInUrl until the broker names one
 */
export function createSessionCheck(name: string, call: Call, signInUrl: string) {
  let checking: Promise<Session | undefined> | undefined
  /** When this state came from the broker, to this tab or to another one; 0 while the broker does not answer. */
  let knownAt = 0

  /** By a timer, and by events of a page that may have slept. */
  const recheck = (event?: Event) => {
    const isDue = !event || Date.now() > knownAt + 60_000 || (event as PageTransitionEvent).persisted
    if (isDue && !document.hidden) check().catch(ignore)
  }
  const tab: SessionTab = createTab(
    name,
    ({ status, session }) => tab.set(status, session, 'other-tab'),
    recheck,
    (session) => (session ? Math.min(session.expires_at, session.idle_expires_at) * 1000 : Infinity),
  )
  tab.subscribe(({ session, error }) => {
    knownAt = error ? 0 : Date.now()
    if (session) count(name, 0)
  })

  const requestSession = () =>
    call<Session>('/session').then(
      (session) => tab.set('signed-in', session),
      (thrown: unknown) => {
        const { session } = tab.getState()
        if ((thrown as BrokerError).code === 'signed_out') {
          signInUrl = (thrown as BrokerError).signInUrl ?? signInUrl
          tab.set('signed-out')
        } else {
          tab.set('degraded', session, 'unreachable', thrown as BrokerError)
          if (!session) throw thrown
        }
      },
    )
  /** @throws {BrokerError} where the broker does not answer, and no session is known */
  const check = (): Promise<Session | undefined> => {
    const before = knownAt
    const checkOnce = async () => {
      // Another tab may have requested it while this one waited for the lock. The time does not decide: a clock may be
      // set back.
      if (knownAt === before) await requestSession()
      return tab.getState().session
    }
    return (checking ??= new Promise<Session | undefined>((resolve) => {
      tab.open()
      resolve(navigator.locks.request(name, checkOnce))
    })
      .catch((thrown: unknown) => {
        if (thrown instanceof BrokerError) throw thrown
        // A browser that blocks the cookies of the page refuses it channels and locks: this tab checks by itself.
        return checkOnce()
      })
      .finally(() => (checking = undefined)))
  }

  return [tab, check, () => signInUrl] as const
}
