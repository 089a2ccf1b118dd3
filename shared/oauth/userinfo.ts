/**
 * The userinfo endpoint (OpenID Connect Core §5.3). The access token of an API is the provider's own, so the broker
 * finds the grant again by a row under the token's hash, sealed by the token: one write for each new access token of a
 * grant with `openid`, none for a grant without. A client without an API receives a sealed token that carries the grant
 * itself, and no row. Both end with the session.
 */
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { randomText } from '../crypto/pkce.ts'
import { mostTokenCharacters, openToken, sealToken } from '../crypto/sealed-token.ts'
import { openSealedRow, sealedValues } from '../crypto/sealed-row.ts'
import type { RowSeal } from '../crypto/sealed-row.ts'
import { deriveKey } from '../crypto/sealing.ts'
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import type { Identity } from '../provider/identity.ts'
import type { Providers } from '../provider/provider.ts'
import type { AccessToken } from '../session/session-row.ts'
import { hashedRowKey } from '../store/hashed-row-key.ts'
import type { RowKey, Store } from '../store/store.ts'
import type { TenantMember } from '../tenants/tenants.ts'
import { defined } from '../json/json.ts'
import { claimsOf } from './issued-id-token.ts'
import type { OpenidScopes } from './issued-id-token.ts'

/** The grant that an access token belongs to. */
interface UserinfoGrant {
  readonly clientId: string
  readonly identity: Identity
  readonly scopes: OpenidScopes
  /** As registered for the client. */
  readonly claimNames: readonly string[] | undefined
  /** The session's row. */
  readonly rowKey: RowKey
}

export interface Userinfo {
  /** Makes userinfo answer for this access token, as long as the token and its session live. */
  register(token: AccessToken, grant: UserinfoGrant): Promise<void>
  /** An access token for userinfo alone, for a client that has no API. */
  issue(grant: UserinfoGrant): Promise<AccessToken>
  /**
   * @param accessToken untrusted
   * @param origin the header Origin, where a browser's script sends the request
   * @returns the claims about the person, with the `sub` of the ID token
   * @throws {BrokerError} `access_token_missing`, `access_token_invalid`, `request_not_from_front_end`
   */
  read(accessToken: string | undefined, origin: string | undefined): Promise<Readonly<Record<string, unknown>>>
  /**
   * @param accessToken untrusted
   * @returns the session's row of an access token of this client; undefined for anything else
   */
  findSession(accessToken: string, clientId: string): Promise<RowKey | undefined>
}

interface UserinfoOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly frontEnds: FrontEnds
  readonly providers: Pick<Providers, 'accepts'>
  readonly clock: Clock
  /** False where the person's tenant was suspended or removed since the sign-in. */
  readonly isTenantAllowed: (person: TenantMember, frontEndId: string) => Promise<boolean>
}

/** A grant as it is kept: the claims instead of the whole identity, which a token would be too short for. */
interface Kept {
  readonly clientId: string
  readonly claims: Readonly<Record<string, unknown>>
  /** Of the provider; absent in a token of an earlier release. */
  readonly issuer?: string
  /** Of a person of a provider for many tenants. */
  readonly tenant?: TenantMember
  readonly rowKey: RowKey
  /** Milliseconds since the epoch. */
  readonly expires: number
}

const context = 'userinfo'
const ownTokenMilliseconds = 60 * 60 * 1000

export function createUserinfo(options: UserinfoOptions): Userinfo {
  const { store, ring, frontEnds, providers, clock } = options
  const find = async (accessToken: string): Promise<Kept | undefined> => {
    const own = (await openToken(accessToken, context, ring)) as Kept | undefined
    if (own) return own
    const row = await store.find('codes', rowKeyOf(accessToken))
    const opened = await openSealedRow(row, ring, sealOf(accessToken))
    return opened === undefined ? undefined : (JSON.parse(opened) as Kept)
  }

  const register: Userinfo['register'] = async (token, grant) => {
    const rowKey = rowKeyOf(token.token)
    const content = JSON.stringify(toKept(grant, token.expires))
    // The row may be there: the same access token was handed out before, for the same grant.
    await store.insert('codes', {
      ...rowKey,
      sweepAfter: new Date(token.expires),
      values: sealedValues(content, rowKey, await ring.current(), sealOf(token.token)),
    })
  }

  return {
    register,

    issue: async (grant) => {
      const expires = clock() + ownTokenMilliseconds
      const sealed = sealToken(toKept(grant, expires), context, await ring.current())
      const token = { token: sealed, scope: '', obtainedAt: clock(), expires }
      if (sealed.length <= mostTokenCharacters) return token
      // Large registered claims: they do not fit a token, so the grant gets a row, as that of a provider's token.
      const short = { ...token, token: randomText() }
      await register(short, grant)
      return short
    },

    read: async (accessToken, origin) => {
      if (accessToken === undefined) throw new BrokerError('access_token_missing')
      const kept = await find(accessToken)
      if (!kept || clock() >= kept.expires) throw invalid('unknown or expired')
      const client = frontEnds.find(kept.clientId)
      if (client?.kind !== 'oauth') throw invalid('the client is no longer registered')
      if (kept.issuer !== undefined && !providers.accepts(client, kept.issuer)) {
        throw invalid('the client no longer takes the provider')
      }
      if (origin !== undefined && !client.origins.includes(origin)) throw new BrokerError('request_not_from_front_end')
      // The row stays until the sweep. Its `sweepAfter` is the end of the session (session-row.ts, toRow).
      const session = await store.find('sessions', kept.rowKey, ['format'])
      if (!session || clock() >= session.sweepAfter.getTime()) throw invalid('its session is over')
      const { tenant } = kept
      if (tenant && !(await options.isTenantAllowed(tenant, kept.clientId))) {
        throw invalid('the tenant has no access')
      }
      return kept.claims
    },

    findSession: async (accessToken, clientId) => {
      const kept = await find(accessToken)
      return kept?.clientId === clientId ? kept.rowKey : undefined
    },
  }
}

function toKept({ clientId, identity, scopes, claimNames, rowKey }: UserinfoGrant, expires: number): Kept {
  const { issuer, tokenIssuer, tenantId, provider } = identity
  const tenant = tokenIssuer === undefined ? undefined : { tokenIssuer, tenantId, ...defined({ provider }) }
  return {
    clientId,
    claims: claimsOf(identity, { scopes, claimNames }),
    issuer,
    ...defined({ tenant }),
    rowKey,
    expires,
  }
}

function rowKeyOf(accessToken: string): RowKey {
  return hashedRowKey(`userinfo\0${accessToken}`)
}

/** The row opens with the access token alone. */
function sealOf(accessToken: string): RowSeal {
  const keyOf: RowSeal['keyOf'] = (ringKey) => deriveKey(ringKey.keyFor(context), accessToken, context)
  return { format: '1', purpose: context, column: 'grant', keyOf }
}

function invalid(detail: string): BrokerError {
  return new BrokerError('access_token_invalid', { detail })
}
