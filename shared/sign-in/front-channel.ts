/**
 * The hybrid flow `code id_token`: checks the ID token that comes with the code, before the code is redeemed, and
 * compares it with the ID token of the token endpoint. OpenID Connect Core §3.3.2.9 to §3.3.3.6.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../async/deadline.ts'
import { BrokerError } from '../errors/errors.ts'
import { isAbsent } from '../json/json.ts'
import { verifyIdToken } from '../provider/id-token.ts'
import type { IdentityProvider, Json } from '../provider/provider.ts'
import { readClaims } from '../provider/signed-token.ts'

/** The ID token of the authorization response, verified. */
export interface FrontChannelToken {
  /**
   * §3.3.3.6: `iss` and `sub` are the same in both ID tokens, and so is each claim about the person or the sign-in
   * that both have.
   *
   * @param idToken of the token endpoint, which `checkIdToken` has verified
   * @throws {BrokerError} `id_token_refused` with the name of the claim that differs
   */
  checkSame(idToken: string): void
}

/**
 * Claims about the person and the sign-in. Other claims may be about one token alone, in which two tokens of one
 * sign-in differ: Entra ID adds `aio`, `rh`, `uti` and an opaque `login_hint`, AD FS the seconds until a password
 * expires, OpenIddict an id of the token, and others the address of a picture with a signature.
 */
const ofTheSignIn: readonly string[] = [
  // OpenID Connect Core §2 and §5.1, Front-Channel Logout §3.
  ...['auth_time', 'acr', 'amr', 'sid', 'name', 'given_name', 'family_name', 'middle_name', 'nickname'],
  ...['preferred_username', 'email', 'email_verified', 'gender', 'birthdate', 'zoneinfo', 'locale'],
  ...['phone_number', 'phone_number_verified', 'address'],
  // RFC 9068 §2.2.3.1, and the identifiers of Entra ID and AD FS.
  ...['roles', 'groups', 'entitlements', 'oid', 'tid', 'upn', 'unique_name', 'wids'],
]

/** The fields of the response; untrusted, since a browser sent them. */
export interface HybridFields {
  readonly code: string
  readonly idToken: string | undefined
  readonly hasAccessToken: boolean
  /** The parameter `iss`, where there is one. */
  readonly issuer: string | undefined
}

/** The values of the authorization request that the ID token has to repeat. */
interface HybridRequest {
  readonly clientId: string
  readonly nonce: string
  readonly state: string
}

/**
 * @throws {BrokerError} `answer_invalid` where the fields are not those of this response type; `id_token_refused`;
 *   `provider_…` where no keys can be fetched
 */
export async function checkFrontChannel(
  { code, idToken, hasAccessToken, issuer }: HybridFields,
  { clientId, nonce, state }: HybridRequest,
  { provider, clock }: { readonly provider: IdentityProvider; readonly clock: Clock },
): Promise<FrontChannelToken> {
  // Not requested: a response of another type, or one that was changed on its way. The broker never reads the token.
  if (hasAccessToken) throw new BrokerError('answer_invalid', { detail: 'access_token' })
  if (idToken === undefined) throw new BrokerError('answer_invalid', { detail: 'no id_token' })

  const by = { provider, clock, origin: 'browser', refuse } as const
  const { claims, hashOf } = await verifyIdToken(idToken, { clientId, nonce }, by)
  // RFC 9207 §2.4: the parameter and the claim are always the same.
  if (issuer !== undefined && issuer !== claims.iss) throw refuse('iss')
  // §3.3.2.11 requires c_hash with this response type: without it, another code could take the place of this one.
  if (claims.c_hash !== hashOf(code)) throw refuse('c_hash')
  if (!isAbsent(claims.s_hash) && claims.s_hash !== hashOf(state)) throw refuse('s_hash')
  return { checkSame: (other) => checkSame(claims, readClaims(other) ?? {}) }
}

function checkSame(front: Json, back: Json): void {
  if (back.iss !== front.iss) throw refuse('iss differs')
  if (back.sub !== front.sub) throw refuse('sub differs')
  const differing = ofTheSignIn.find(
    (name) =>
      Object.hasOwn(front, name) &&
      Object.hasOwn(back, name) &&
      !isDeepStrictEqual(ordered(front[name]), ordered(back[name])),
  )
  if (differing !== undefined) throw refuse(`${differing} differs`)
}

/** The order of a list such as `groups` or `amr` has no meaning. */
function ordered(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return value.map((one: unknown) => JSON.stringify(one)).sort()
}

function refuse(check: string): BrokerError {
  return new BrokerError('id_token_refused', { detail: `front channel: ${check}` })
}
