/**
 * A vault and a managed identity endpoint for one test file, with the real clients.
 * One per file: MSAL uses one endpoint per process.
 */
import https from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import { ManagedIdentityCredential } from '@azure/identity'
import { CertificateClient } from '@azure/keyvault-certificates'
import { KeyClient } from '@azure/keyvault-keys'
import { vi } from 'vitest'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { localIdentity, startManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../../local/vault/permissions.ts'
import { startVault } from '../../../local/vault/vault.ts'
import type { VaultOptions } from '../../../local/vault/vault.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'
import { useIdentityEndpoint } from '../../setup/identity-endpoint.ts'

export const broker = localIdentity
/** May do everything that the vault knows. */
export const officer = {
  clientId: '44444444-4444-4444-8444-444444444444',
  principalId: '44444444-4444-4444-8444-000000000001',
}
const everything = {
  certificates: ['get', 'list', 'create', 'update', 'delete', 'import', 'backup', 'restore'],
  keys: [
    ...['get', 'list', 'create', 'update', 'delete', 'import', 'backup', 'restore', 'rotate', 'release'],
    ...['sign', 'verify', 'wrapKey', 'unwrapKey', 'encrypt', 'decrypt'],
  ],
  secrets: ['get', 'list', 'set', 'backup', 'restore'],
}

interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export type VaultCloud = Awaited<ReturnType<typeof startVaultCloud>>

export async function startVaultCloud(options: Partial<VaultOptions> = {}) {
  const authority = await createCertificateAuthority()
  const ca = authority.certificatePem
  const managedIdentity = await startManagedIdentity({ port: 0, identities: [broker, officer] })
  const keyPairs = lendKeyPairs()
  const vault = await startVault({
    makeKeyPair: keyPairs.makeKeyPair,
    port: 0,
    tls: await authority.issue(['localhost']),
    verifyAccessToken: managedIdentity.issuer.verifyAccessToken,
    permissions: { [broker.clientId]: brokerAccessPolicy, [officer.clientId]: everything },
    ...options,
  })
  useIdentityEndpoint(managedIdentity)

  const clientOptions = {
    disableChallengeResourceVerification: true,
    tlsOptions: { ca },
    retryOptions: { maxRetries: 0 },
  }
  const credential = ({ clientId } = broker) =>
    new ManagedIdentityCredential({ clientId, retryOptions: { maxRetries: 0 } })

  return {
    ca,
    vault,
    managedIdentity,
    keyClient: (identity = broker, more: { retryOptions?: { maxRetries: number } } = {}) =>
      new KeyClient(vault.url, credential(identity), { ...clientOptions, ...more }),
    certificateClient: (identity = broker) => new CertificateClient(vault.url, credential(identity), clientOptions),
    /** A token as the identity endpoint would return it. */
    tokenFor: async (identity = broker, audience = 'https://vault.azure.net', lifetimeSeconds = 600) =>
      (await managedIdentity.issuer.issueAccessToken({ ...identity, audience, lifetimeSeconds })).token,
    raw: (method: string, path: string, { token, body }: { token?: string; body?: unknown } = {}) =>
      new Promise<RawAnswer>((resolve, reject) => {
        const headers = {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        }
        const request = https.request(`${vault.url}${path}`, { method, ca, headers, agent: false }, (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => (text += chunk))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
          response.on('error', reject)
        })
        request.on('error', reject)
        request.end(body === undefined ? undefined : JSON.stringify(body))
      }),
    operations: () => vault.requests.map(({ operation, status }) => `${operation ?? 'none'} ${status ?? 'unanswered'}`),
    close: async () => {
      vi.unstubAllEnvs()
      await vault.close()
      keyPairs.release()
      await managedIdentity.close()
    },
  }
}
