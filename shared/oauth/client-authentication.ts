/**
 * Authentication of confidential OAuth clients by `private_key_jwt` (OpenID Connect Core §9, RFC 7523 §3). A client is
 * confidential where its registration has `jwks` or `jwksUri`. No client has a shared secret.
 */
import type { Clock } from '../async/deadline.ts'
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import type { Network } from '../http/network.ts'
import { urlOf } from '../http/routes.ts'
import type { RouteName } from '../http/routes.ts'
import { isNumber, isText } from '../json/json.ts'
import { keysThatFit, parseKeys } from '../provider/keys.ts'
import { createKeptKeys } from '../provider/kept-keys.ts'
import type { KeptKeys } from '../provider/kept-keys.ts'
import type { Json } from '../provider/provider.ts'
import { verifySignedToken } from '../provider/signed-token.ts'
import { hashedRowKey } from '../store/hashed-row-key.ts'
import type { Store } from '../store/store.ts'
import { optional } from './parameter.ts'

/**
 * Values of `alg` that a client assertion may have; the metadata lists them. `EdDSA` is the older name of `Ed25519`
 * (RFC 9864).
 */
export const clientAssertionAlgorithms: readonly string[] = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Authlib signs for an hour by default. A longer life does not permit a second use. */
const longestLifetimeSeconds = 60 * 60
/** MSAL for Node signs one for ten minutes, and sends it with each request in that time. */
const longestReuseSeconds = 10 * 60
/** The row of a used assertion stays for this much longer than the assertion is valid. */
const rowMarginSeconds = 10 * 60
/** Clocks of clients and instances differ. */
const toleranceSeconds = 30

export interface ClientAuthentication {
  /**
   * Checks the proof of a confidential client; a public client sends none.
   *
   * @param fields of the form; untrusted
   * @param client the one that the request names
   * @param endpoint that receives the form: an assertion may name it as its audience, as some libraries do at /revoke
   * @throws {BrokerError} `client_assertion_refused`, `client_secret_refused`, `client_keys_unavailable`,
   *   `store_unavailable`
   */
  check(fields: URLSearchParams, client: FrontEnd, endpoint: 'token' | 'revoke'): Promise<void>
}

interface ClientAuthenticationOptions {
  readonly issuer: string
  readonly frontEnds: FrontEnds
  readonly store: Store
  readonly network: Network
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export function createClientAuthentication(options: ClientAuthenticationOptions): ClientAuthentication {
  const { issuer, frontEnds, store, clock } = options
  const keysOf = new Map(
    frontEnds.all.flatMap((client) => {
      const keys = createClientKeys(client, options)
      return keys ? [[client.id, keys] as const] : []
    }),
  )

  const checkClaims = (
    claims: Json,
    { id: clientId, allowAssertionReuse }: FrontEnd,
    endpoint: RouteName,
  ): { jti: string; expires: number } => {
    const { iss, sub, aud, jti } = claims
    const [exp, nbf, iat] = [claims.exp, claims.nbf, claims.iat].map(timeOf)
    const now = clock() / 1000
    const audiences: readonly unknown[] = [issuer, urlOf(issuer, 'token'), urlOf(issuer, endpoint)]
    const listed: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
    if (iss !== clientId || sub !== clientId) throw refuse('iss or sub')
    // An assertion that another server accepts too could be replayed between the two.
    if (listed.length === 0 || !listed.every((one) => audiences.includes(one))) throw refuse('aud')
    if (!isNumber(exp) || exp <= now - toleranceSeconds) throw refuse('exp')
    if (exp > now + longestLifetimeSeconds + toleranceSeconds) throw refuse('exp is more than an hour away')
    if (allowAssertionReuse && exp > now + longestReuseSeconds + toleranceSeconds) {
      throw refuse('exp is more than ten minutes away, with allowAssertionReuse')
    }
    for (const time of [nbf, iat]) {
      if (time !== undefined && (!isNumber(time) || time > now + toleranceSeconds)) throw refuse('nbf or iat')
    }
    if (!isText(jti) || jti.length > 255) throw refuse('jti')
    return { jti, expires: exp }
  }

  /** The row outlives the assertion. Only a verified assertion makes one. */
  const useOnce = async (clientId: string, jti: string, expires: number): Promise<void> => {
    const key = hashedRowKey(JSON.stringify(['client assertion', clientId, jti]))
    const sweepAfter = new Date((expires + rowMarginSeconds) * 1000)
    const made = await store.insert('states', { ...key, sweepAfter, values: {} })
    if (made === undefined) throw refuse('jti was used before')
  }

  return {
    check: async (fields, client, endpoint) => {
      const assertion = optional(fields, 'client_assertion')
      const keys = keysOf.get(client.id)
      if (!keys) {
        // A proof that is not checked must not look like one that was.
        if (assertion !== undefined) throw new BrokerError('client_secret_refused')
        return
      }
      if (assertion === undefined) throw refuse('no assertion')
      if (optional(fields, 'client_assertion_type') !== assertionType) throw refuse('client_assertion_type')
      const { claims } = await verifySignedToken(assertion, 'anybody', keys, refuse)
      const { jti, expires } = checkClaims(claims, client, endpoint)
      // OpenID Connect Core §9: once, unless the parties agreed on conditions for reuse. The registration is that.
      if (!client.allowAssertionReuse) await useOnce(client.id, jti, expires)
    },
  }
}

/** @returns undefined for a public client; otherwise its keys, for the algorithms of the allow-list alone */
function createClientKeys(
  { jwks, jwksUri }: FrontEnd,
  { network, clock, onFault }: ClientAuthenticationOptions,
): KeptKeys | undefined {
  const keys = jwks ? fixedKeys(jwks) : jwksUri === undefined ? undefined : fetchedKeys(jwksUri)
  if (!keys) return undefined
  const checkAlgorithm = (algorithm: string) => {
    if (!clientAssertionAlgorithms.includes(algorithm)) throw refuse('alg')
  }
  return {
    keysFor: async (kid, algorithm) => {
      checkAlgorithm(algorithm)
      return keys.keysFor(kid, algorithm)
    },
    refetchKeys: async (kid, algorithm, origin) => {
      checkAlgorithm(algorithm)
      return keys.refetchKeys(kid, algorithm, origin)
    },
  }

  function fixedKeys(set: Json): KeptKeys {
    const parsed = parseKeys(set)
    const find = (kid: string | undefined, algorithm: string) => Promise.resolve(keysThatFit(parsed, kid, algorithm))
    return { keysFor: find, refetchKeys: find }
  }

  function fetchedKeys(url: string): KeptKeys {
    const fetch = async () => {
      try {
        const { status, json } = await network({ method: 'GET', url })
        if (status !== 200) throw new Error(`status ${status}`)
        return parseKeys(json)
      } catch (cause) {
        throw new BrokerError('client_keys_unavailable', { cause })
      }
    }
    return createKeptKeys({ fetch, clock, onFault })
  }
}

/** MSAL.NET writes the times of an assertion as text, which Entra ID accepts; RFC 7519 §2 requires numbers. */
function timeOf(claim: unknown): unknown {
  return isText(claim) && /^\d{1,12}$/.test(claim) ? Number(claim) : claim
}

function refuse(detail: string): BrokerError {
  return new BrokerError('client_assertion_refused', { detail })
}
