/** Access tokens of the local cloud, claims named as in Entra's version 1 tokens. The key is made at start and never leaves this module. */
import { generateKeyPair, jwtVerify, SignJWT } from 'jose'

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
 * @param audience the resource that checks the token, for instance `https://vault.azure.net`; a final slash makes no difference
 * @throws when the token is not valid for this audience; the message has the reason and never the token
 */
export type VerifyAccessToken = (token: string, audience: string) => Promise<Identity>

export interface IssueOptions extends Identity {
  readonly audience: string
  /** Negative for a token that has expired already. */
  readonly lifetimeSeconds?: number
  /** The claim `idtyp`: `app` by default, `user` for the sign-in of a person. */
  readonly kind?: 'app' | 'user'
}

export interface IssuedAccessToken {
  readonly token: string
  /** Unix time, seconds. */
  readonly expiresOn: number
}

export interface AccessTokenIssuer {
  readonly issueAccessToken: (options: IssueOptions) => Promise<IssuedAccessToken>
  readonly verifyAccessToken: VerifyAccessToken
}

const algorithm = 'ES256'

/** Makes a signing key; returns the functions that issue and check tokens. */
export async function createAccessTokenIssuer(
  tenantId = '11111111-1111-4111-8111-111111111111',
): Promise<AccessTokenIssuer> {
  const keys = await generateKeyPair(algorithm)
  // Azurite, which checks the issuer of its tokens, accepts this prefix only.
  const issuer = `https://sts.windows.net/${tenantId}/`

  return {
    issueAccessToken: async ({ clientId, principalId, audience, lifetimeSeconds = 3600, kind = 'app' }) => {
      const now = Math.floor(Date.now() / 1000)
      const expiresOn = now + lifetimeSeconds
      const token = await new SignJWT({ appid: clientId, oid: principalId, tid: tenantId, idtyp: kind, ver: '1.0' })
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setIssuer(issuer)
        .setSubject(principalId)
        .setAudience(audience)
        .setIssuedAt(Math.min(now, expiresOn))
        .setNotBefore(Math.min(now, expiresOn))
        .setExpirationTime(expiresOn)
        .sign(keys.privateKey)
      return { token, expiresOn }
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
