/**
 * Sign-outs that begin at the provider: it reports that its session, or a person, is signed out. Every session of the
 * broker that came of it ends, of session front ends and of OAuth clients.
 */
import { textOf } from '../provider/id-token.ts'
import { checkLogoutToken } from '../provider/logout-token.ts'
import type { SignedOut } from '../provider/logout-token.ts'
import type { Providers } from '../provider/provider.ts'
import { BrokerError } from '../errors/errors.ts'
import type { TenantsOf } from '../tenants/tenants.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import type { CallingBrowser } from '../http/cookies.ts'
import type { Sessions } from '../session/sessions.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import { personOf } from '../session/session-labels.ts'
import { partitionOf } from '../session/session-row.ts'
import { endPartition, endPerson } from '../session/end-sessions.ts'
import type { Store } from '../store/store.ts'

export interface ProviderLogout {
  /**
   * By the browser, in a frame of the provider's sign-out page. A wrong guess of a session ends no session, and the
   * answer is the same.
   *
   * @param issuer untrusted; a provider may leave it out (Front-Channel Logout 1.0 §3), and then each one is meant
   * @param sessionId untrusted
   * @param browser untrusted. Where others know the id, only a session of this browser ends: a browser sends its cookie
   *   where the provider and the broker share a site
   * @returns the origins that may frame the answer
   */
  byFrame(
    issuer: string | undefined,
    sessionId: string | undefined,
    browser: CallingBrowser,
  ): Promise<readonly string[]>
  /**
   * By the provider itself.
   *
   * @param token untrusted
   * @throws {BrokerError} `logout_token_refused`; then no session has ended
   */
  byToken(token: string): Promise<void>
}

interface ProviderLogoutOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly providers: Pick<Providers, 'all' | 'find' | 'findByTokenIssuer' | 'primary'>
  readonly tenantsOf: TenantsOf
  readonly frontEnds: Pick<FrontEnds, 'all'>
  readonly sessions: Pick<Sessions, 'keyOf' | 'findOwner' | 'end'>
  readonly flowEvents: FlowEvents
  readonly clock: Clock
}

export function createProviderLogout(options: ProviderLogoutOptions): ProviderLogout {
  const { store, ring, providers, flowEvents } = options

  const endProviderSession = (issuer: string, sessionId: string): Promise<number> =>
    endPartitions({ issuer, sessionId, subject: '' })

  /**
   * Rows are found by keyed hashes, a key a month: each month that may have sealed a live session is looked at. Where a
   * key cannot be read, the sessions of the others end, and the provider is answered that some may be left.
   */
  const endByKeys = async (end: (keys: readonly RingKey[]) => Promise<number>): Promise<number> => {
    const { keys, fault } = await ring.keys()
    const ended = await end(keys)
    if (fault) throw fault
    return ended
  }

  const endPartitions = (of: Parameters<typeof partitionOf>[0]): Promise<number> =>
    endByKeys(async (keys) => sum(await Promise.all(keys.map((key) => endPartition(store, partitionOf(of, key))))))

  /** Ends the sessions whose cookies the request carries, where they came of this session of the provider. */
  const endOwn = async (issuer: string, sessionId: string, browser: CallingBrowser): Promise<number> => {
    // A frame of another site carries no cookie. A link of another site does, and must not end the session.
    if (browser.isSentByOtherSite) return 0
    const { sessions, frontEnds } = options
    const keys = frontEnds.all.flatMap(({ id }) => sessions.keyOf(id, browser.cookies) ?? [])
    const ended = await Promise.all(
      keys.map(async (key) => {
        const identity = (await sessions.findOwner(key))?.identity
        if (identity?.issuer !== issuer || identity.sessionId !== sessionId) return 0
        return (await sessions.end(key)) ? 1 : 0
      }),
    )
    return sum(ended)
  }

  /** Without a session of this id, the sessions of the person whose ID token named no session end. */
  const endNamed = async ({ issuer, tokenIssuer, subject }: SignedOut, sessionId: string): Promise<number> => {
    const ended = await endProviderSession(issuer, sessionId)
    if (ended > 0 || subject === undefined) return ended
    return endPartitions({ issuer, tokenIssuer, sessionId: undefined, subject })
  }

  const endSessionsOf = ({ issuer, tokenIssuer }: SignedOut, subject: string): Promise<number> =>
    endByKeys((keys) => {
      const people = keys.map((key) => personOf({ issuer, tokenIssuer, subject }, key))
      return endPerson(store, people)
    })

  /** A tenant that never had access has no session to end. A suspended one may still end those that it has. */
  const checkTenantOf = async ({ issuer, tokenIssuer, tenantId }: SignedOut): Promise<void> => {
    if (tokenIssuer === undefined) return
    const provider = issuer === providers.primary.issuer ? undefined : providers.find(issuer)?.id
    const state =
      tenantId === undefined ? 'unknown' : ((await options.tenantsOf(provider)?.stateOf(tenantId)) ?? 'unknown')
    if (state === 'unknown') throw new BrokerError('logout_token_refused', { detail: 'the tenant is not allowed' })
  }

  return {
    byFrame: (issuer, sessionId, browser) =>
      flowEvents.track('sign_out', { by: 'frame' }, async (step) => {
        const named = providers.all.filter(
          ({ profile }) => issuer === undefined || issuer === profile.issuer || profile.isTokenIssuer(issuer),
        )
        const ids = sessionIdsOf(sessionId)
        const counts = await Promise.all(
          named.flatMap(({ profile, issuer: own }) =>
            ids.map((id) => (profile.isPublicSessionId(id) ? endOwn(own, id, browser) : endProviderSession(own, id))),
          ),
        )
        step.add({ sessions: sum(counts) })
        // The same answer whether or not the issuer is known, so the origins of all providers.
        const documents = await Promise.allSettled(providers.all.map((provider) => provider.metadata()))
        const known = documents.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
        // A provider that is down shows no page now. If all are down, the fault is the answer.
        const [first] = documents
        if (known.length === 0 && first?.status === 'rejected') throw first.reason
        const pages = known.flatMap(({ issuer: own, authorizationEndpoint, endSessionEndpoint }) => [
          own,
          authorizationEndpoint,
          endSessionEndpoint ?? own,
        ])
        return [...new Set(pages.map((page) => new URL(page).origin))]
      }),

    byToken: (token) =>
      flowEvents.track('sign_out', { by: 'logout_token' }, async (step) => {
        const signedOut = await checkLogoutToken(token, options)
        const { sessionId, subject } = signedOut
        step.add({ provider: providers.find(signedOut.issuer)?.id })
        await checkTenantOf(signedOut)
        if (sessionId !== undefined) step.add({ sessions: await endNamed(signedOut, sessionId) })
        else if (subject !== undefined) step.add({ sessions: await endSessionsOf(signedOut, subject) })
        await signedOut.remember()
      }),
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

/**
 * The rule of the ID token and of logout tokens: any text of at most 1,024 characters (`sid` has no other form). A
 * provider that does not encode its `+` sends it as a space, so then both are looked for.
 */
function sessionIdsOf(sid: string | undefined): readonly string[] {
  if (sid === undefined || textOf(sid) === undefined) return []
  return sid.includes(' ') ? [sid, sid.replaceAll(' ', '+')] : [sid]
}
