/** An identity provider's metadata and keys from a real https server, which tests can change. */
import { generateKeyPairSync } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { expect } from 'vitest'
import { createNetwork } from '../../../shared/http/network.ts'
import { createIdentityProvider } from '../../../shared/provider/identity-provider.ts'
import type { IdentityProviderOptions } from '../../../shared/provider/identity-provider.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import type { EntraSettings } from '../../../shared/provider/entra.ts'
import type { IdentityProvider, Providers } from '../../../shared/provider/provider.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'

export const tenantId = '11111111-1111-4111-8111-111111111111'
export const clientId = '22222222-2222-4222-8222-222222222222'

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const rsaKeys = new Map<number, KeyPair[]>()
let lent = { by: '', count: 0 }

/** Another key pair at each call in a test file. The next file gets the same ones: a pair costs 0.14 s of CPU time. */
export function rsaKey(modulusLength = 2048): KeyPair {
  const by = expect.getState().testPath ?? ''
  if (lent.by !== by) lent = { by, count: 0 }
  const keys = rsaKeys.get(modulusLength) ?? []
  rsaKeys.set(modulusLength, keys)
  return (keys[lent.count++] ??= generateKeyPairSync('rsa', { modulusLength }))
}

export function ecKey(namedCurve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve })
}

export function edwardsKey(type: 'ed25519' | 'ed448'): KeyPair {
  // The overloads accept one name each.
  return type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ed448')
}

export function jwk({ publicKey }: KeyPair, more: Readonly<Record<string, unknown>> = {}): JsonWebKey {
  return { ...publicKey.export({ format: 'jwk' }), use: 'sig', ...more }
}

export function openProvider(
  options: Pick<IdentityProviderOptions, 'profile' | 'network'> & Partial<IdentityProviderOptions>,
): IdentityProvider {
  return createIdentityProvider({
    names: { id: 'primary', displayName: 'Contoso', domains: [] },
    clientId,
    redirectUri: 'http://localhost:7071/callback',
    postLogoutRedirectUri: 'http://localhost:7071/logout/done',
    responseMode: 'form_post',
    responseType: 'code',
    tokenEndpoint: () => Promise.reject(new Error('This test has no token endpoint.')),
    clock: Date.now,
    onFault: () => undefined,
    ...options,
  })
}

/** A registry with one provider for every issuer, for tests of flows that need only a part of it. */
export function providersOf(entry: Partial<IdentityProvider>): Providers {
  const provider = entry as IdentityProvider
  return {
    primary: provider,
    all: [provider],
    find: () => provider,
    findByTokenIssuer: () => provider,
    get: () => provider,
    ofFrontEnd: () => [provider],
    accepts: () => true,
  }
}

export type ProviderServer = Awaited<ReturnType<typeof startProviderServer>>

/**
 * @param authorityName the tenant's id, or `organizations` or `common`, whose metadata has the template of an issuer
 */
export async function startProviderServer(authorityName = tenantId) {
  const server = await startSecureServer()
  const instance = `${server.url}/`
  const authority = `${instance}${authorityName}/v2.0`
  const paths = { metadata: `GET /${authorityName}/v2.0/.well-known/openid-configuration`, keys: 'GET /keys' }
  const now = { value: Date.parse('2026-01-15T12:00:00Z') }
  const faults: unknown[] = []
  let metadata: Readonly<Record<string, unknown>> = {}
  let keys: unknown = []
  let down: readonly string[] = []

  const honest = {
    issuer: authorityName === tenantId ? authority : `${instance}{tenantid}/v2.0`,
    token_endpoint: `${instance}${authorityName}/oauth2/v2.0/token`,
    authorization_endpoint: `${instance}${authorityName}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${instance}${authorityName}/oauth2/v2.0/logout`,
    jwks_uri: `${instance}keys`,
  }
  server.answer((request, response) => {
    const requested = `${request.method ?? ''} ${request.url ?? ''}`
    if (down.includes(requested)) response.writeHead(503).end()
    else if (requested === paths.metadata) sendJson(response, metadata)
    else if (requested === paths.keys) sendJson(response, { keys })
    else response.writeHead(404).end()
  })

  return {
    ...server,
    instance,
    authority,
    honest,
    paths,
    faults,
    now,
    /** The provider as a fresh instance of the broker sees it: without metadata and keys. */
    cold: (settings: Partial<EntraSettings> = {}): IdentityProvider => {
      metadata = honest
      down = []
      faults.length = 0
      return openProvider({
        profile: entraProfile({ instance, tenantId: authorityName, ...settings }),
        network: createNetwork(),
        clock: () => now.value,
        onFault: (error) => void faults.push(error),
      })
    },
    saysOfItself: (changes: Readonly<Record<string, unknown>>) => void (metadata = { ...honest, ...changes }),
    publishes: (...published: readonly unknown[]) => void (keys = published),
    isDown: (...requested: readonly string[]) => void (down = requested),
    asked: (path: string) => server.requests.filter((one) => one === path).length,
    later: (milliseconds: number) => void (now.value += milliseconds),
  }
}
