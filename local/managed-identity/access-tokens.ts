/**
 * Access tokens of the local cloud, claims named as in Entra's version 1 tokens, and in version 2 for the token
 * exchange. The key is made at start and never leaves this module.
 */
import { generateKeyPair, jwtVerify, SignJWT } from 'jose'
import type { JWTPayload } from 'jose'

/** The workload identity of a token. */
export interface Identity {
  /** Application (client) id: the claim `appid`. */
  readonly clientId: string
  /** Object id of the service principal: the claim `oid`. */
  readonly principalId: string
}

/**
 * Checks signature, times, issuer and audience of an access token.
 *
 * @param audience the resource that checks the token, for instance `https://vault.azure.net`;
 *   a final slash makes no difference
 * @throws when the token is not valid for this audience; the message has the reason and never the token
 */
export type VerifyAccessToken = (token: string, audience: string) => Promise<Identity>

interface IssueOptions extends Identity {
  readonly audience: string
  /** Negative for a token that has expired already. */
  readonly lifetimeSeconds?: number
  /** The claim `idtyp`: `app` by default, `user` for the sign-in of a person. */
  readonly kind?: 'app' | 'user'
  /** The claim `iss` in place of the usual one, for a token that must be refused. */
  readonly issuer?: string
}

interface IssuedAccessToken {
  readonly token: string
  /** Unix time, seconds. */
  readonly expiresOn: number
}

export interface AccessTokenIssuer {
  readonly issueAccessToken: (options: IssueOptions) => Promise<IssuedAccessToken>
  readonly verifyAccessToken: VerifyAccessToken
  /** Issuer of tokens for the token exchange, which are of version 2. */
  readonly exchangeIssuer: string
  /**
   * Checks signature and times of a token that is presented as a client assertion; its caller compares the claims with
   * the federated identity credentials of the application.
   */
  readonly verifyExchangeToken: (token: string) => Promise<JWTPayload>
}

/** The audience of a managed identity's token that is a client assertion. */
export const tokenExchangeAudience = 'api://AzureADTokenExchange'

const algorithm = 'ES256'

/** Makes a signing key; returns the functions that issue and check tokens. */
export async function createAccessTokenIssuer(
  tenantId = '11111111-1111-4111-8111-111111111111',
): Promise<AccessTokenIssuer> {
  const keys = await generateKeyPair(algorithm)
  // Azurite, which checks the issuer of its tokens, accepts this prefix only.
  const issuer = `https://sts.windows.net/${tenantId}/`
  const exchangeIssuer = `https://login.microsoftonline.com/${tenantId}/v2.0`

  return {
    exchangeIssuer,

    issueAccessToken: async (options) => {
      const { clientId, principalId, audience, lifetimeSeconds = 3600, kind = 'app' } = options
      const now = Math.floor(Date.now() / 1000)
      const expiresOn = now + lifetimeSeconds
      const isExchange = audience.startsWith(tokenExchangeAudience)
      const version = isExchange ? { azp: clientId, ver: '2.0' } : { appid: clientId, ver: '1.0' }
      const token = await new SignJWT({ ...version, oid: principalId, tid: tenantId, idtyp: kind })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setIssuer(options.issuer ?? (isExchange ? exchangeIssuer : issuer))
        .setSubject(principalId)
        .setAudience(audience)
        .setIssuedAt(Math.min(now, expiresOn))
        .setNotBefore(Math.min(now, expiresOn))
        .setExpirationTime(expiresOn)
        .sign(keys.privateKey)
      return { token, expiresOn }
    },

    verifyExchangeToken: async (token) => {
      const { payload } = await jwtVerify(token, keys.publicKey, {
        algorithms: [algorithm],
        requiredClaims: ['exp', 'nbf'],
      })
      return payload
    },

    verifyAccessToken: async (token, audience) => {
      const bare = audience.replace(/\/$/, '')
      const { payload } = await jwtVerify(token, keys.publicKey, {
        algorithms: [algorithm],
        issuer,
        audience: [bare, `${bare}/`],
        requiredClaims: ['exp', 'nbf'],
      })
      if (typeof payload.appid !== 'string' || typeof payload.oid !== 'string') {
        throw new Error('The token names no application.')
      }
      return { clientId: payload.appid, principalId: payload.oid }
    },
  }
}
