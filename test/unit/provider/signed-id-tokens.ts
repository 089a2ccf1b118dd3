/** A provider for the tests of a file, and ID tokens that its key signs. */
import type { KeyObject } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { clientId, jwk, startProviderServer, tenantId } from './provider-server.ts'
import type { KeyPair, ProviderServer } from './provider-server.ts'

export type Claims = Readonly<Record<string, unknown>>

/**
 * Starts a provider once for the file that calls it, and ends it. Before each test it publishes the key `current`
 * alone, and the broker has neither its metadata nor its keys.
 *
 * @param assign receives both before each test
 */
export function useProviderServer(
  current: KeyPair,
  assign: (started: { readonly server: ProviderServer; readonly provider: IdentityProvider }) => void,
): void {
  let server: ProviderServer
  beforeAll(async () => {
    server = await startProviderServer()
  })
  beforeEach(() => {
    server.publishes(jwk(current, { kid: 'current' }))
    assign({ server, provider: server.cold() })
  })
  afterAll(() => server.close())
}

/** The claims of an ID token that is good for an hour by the server's clock. Only the nonce belongs to a sign-in. */
export function claimsOf(server: ProviderServer, nonce: string): Claims {
  const now = Math.floor(server.now.value / 1000)
  return {
    iss: server.authority,
    aud: clientId,
    sub: 'subject',
    tid: tenantId,
    oid: 'object',
    nonce,
    iat: now,
    exp: now + 3600,
  }
}

/** A change that removes one claim. */
export function without(name: string): (claims: Claims) => Claims {
  return (claims) => Object.fromEntries(Object.entries(claims).filter(([other]) => other !== name))
}

/** Signs as the provider does, with this key as its key `current`. A test may use another header or key. */
export function signerOf({ privateKey }: KeyPair) {
  return (claims: Claims, header: Claims = {}, key: KeyObject | Uint8Array = privateKey) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'current', ...header }).sign(key)
}
