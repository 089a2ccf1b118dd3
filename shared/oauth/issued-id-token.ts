/**
 * ID tokens that the broker issues to its OAuth clients, and the claims of userinfo.
 * OpenID Connect Core §2, §5.1, §5.4.
 */
import { tokenHash } from '../provider/algorithms.ts'
import { subjectOf } from '../provider/identity.ts'
import type { Identity } from '../provider/identity.ts'
import { shownClaims } from '../provider/registered-claims.ts'
import type { RowKey } from '../store/store.ts'
import type { SigningAlgorithm, SigningKeys } from './signing-keys.ts'

/** The OpenID scopes of a grant; `openid` is among them. */
export type OpenidScopes = readonly string[]

interface IdTokenSubject {
  /** The client's id. */
  readonly audience: string
  readonly identity: Identity
  readonly scopes: OpenidScopes
  /** As registered for the client. */
  readonly claimNames: readonly string[] | undefined
  /** The session's row; without the refresh token it grants no access. */
  readonly rowKey: RowKey
  /** Of the authorization request; only in the first ID token of a grant. */
  readonly nonce?: string | undefined
  /** The access token of the same answer. */
  readonly accessToken: string
}

interface IdTokenIssuer {
  readonly issuer: string
  readonly keys: SigningKeys
  readonly algorithm: SigningAlgorithm
  /** Milliseconds since the epoch. */
  readonly now: number
}

const lifetimeSeconds = 3600

/** @returns a signed ID token, valid for an hour */
export function issueIdToken(of: IdTokenSubject, { issuer, keys, algorithm, now }: IdTokenIssuer): Promise<string> {
  const iat = Math.floor(now / 1000)
  const { identity, nonce } = of
  return keys.sign(
    {
      // First, so that no registered claim replaces one of the protocol.
      ...claimsOf(identity, of),
      iss: issuer,
      aud: of.audience,
      iat,
      exp: iat + lifetimeSeconds,
      auth_time: identity.authenticatedAt,
      acr: identity.acr,
      nonce,
      at_hash: tokenHash(of.accessToken, algorithm),
      sid: toSessionId(of.rowKey),
    },
    algorithm,
  )
}

/**
 * @returns the claims about the person that these scopes grant and that the client has registered; the same in an ID
 *   token and at userinfo. A claim that the provider did not supply is absent
 */
export function claimsOf(
  identity: Identity,
  { scopes, claimNames }: Pick<IdTokenSubject, 'scopes' | 'claimNames'>,
): Readonly<Record<string, unknown>> {
  const { name, username, email, objectId, tenantId } = identity
  const registered = shownClaims(identity.claims, claimNames)
  // Of the last renewal; `email_verified` is about this one.
  const renewedEmail = identity.claims?.values.email
  return {
    ...registered?.values,
    ...registered?.about,
    sub: subjectOf(identity),
    ...(scopes.includes('profile') ? { name, preferred_username: username } : {}),
    ...(scopes.includes('email') ? { email: typeof renewedEmail === 'string' ? renewedEmail : email } : {}),
    oid: objectId,
    tid: tenantId,
    // The provider, where it is not the primary one; Entra ID has a claim of this name and meaning.
    idp: identity.provider === undefined ? undefined : identity.issuer,
  }
}

/** The name of a session for its client: the row's key, which is useless without the refresh token's secret. */
function toSessionId({ partition, row }: RowKey): string {
  return `${partition}.${row}`
}

/** @param text `sid` of an ID token whose signature was verified */
export function fromSessionId(text: unknown): RowKey | undefined {
  const [, partition, row] = (typeof text === 'string' && /^([\w-]{16})\.([\w-]{22})$/.exec(text)) || []
  return partition !== undefined && row !== undefined ? { partition, row } : undefined
}
