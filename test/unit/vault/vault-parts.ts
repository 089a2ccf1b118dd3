/**
 * A credential's surroundings in this process: a real vault, a real store, one clock for all of it, faults on request.
 */
import { randomBytes } from 'node:crypto'
import type { AccessToken, TokenCredential } from '@azure/identity'
import { inject } from 'vitest'
import { createAccessTokenIssuer } from '../../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../../local/vault/permissions.ts'
import { startVault } from '../../../local/vault/vault.ts'
import { createClientAssertions } from '../../../shared/credential/client-assertion.ts'
import type { ClientAssertionOptions, ClientAssertions } from '../../../shared/credential/client-assertion.ts'
import { createCertificateRecords } from '../../../shared/certificate/certificate-state.store.ts'
import { rollTimingOf } from '../../../shared/certificate/roll-timing.ts'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import { createSigningVersions } from '../../../shared/credential/signing-version.ts'
import { createKeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import type { KeyVaultOptions } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import { trustedAuthority } from '../../setup/secure-server.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'
import { startTableProxy } from '../../setup/table-proxy.ts'

export const clientId = '22222222-2222-4222-8222-222222222222'
export const audience = 'https://localhost:7171/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token'
export const certificateName = 'broker'
export const wrappingKeyName = 'broker-key-ring'

export type VaultParts = Awaited<ReturnType<typeof startVaultParts>>

export async function startVaultParts() {
  const clock = { now: Date.now() }
  const issuer = await createAccessTokenIssuer()
  const keyPairs = lendKeyPairs()
  const vault = await startVault({
    makeKeyPair: keyPairs.makeKeyPair,
    port: 0,
    tls: await (await trustedAuthority()).issue(['localhost']),
    verifyAccessToken: issuer.verifyAccessToken,
    permissions: { [localIdentity.clientId]: brokerAccessPolicy },
    now: () => new Date(clock.now),
  })
  const tablePrefix = `c${randomBytes(5).toString('hex')}`
  const network = await startTableProxy(inject('tableServiceUri'), tablePrefix)
  const faults: unknown[] = []
  const onFault = (error: unknown) => void faults.push(error)

  /** Replaces the token of the identity endpoint; the endpoint's faults have a test of their own. */
  const credential: TokenCredential = {
    getToken: async (): Promise<AccessToken> => {
      const { token, expiresOn } = await issuer.issueAccessToken({
        ...localIdentity,
        audience: 'https://vault.azure.net',
        lifetimeSeconds: 600,
      })
      return { token, expiresOnTimestamp: expiresOn * 1000 }
    },
  }

  /** One key that never changes: the ring has tests of its own. */
  const ringKey = toRingKey('2031-05', randomBytes(32))
  const ring = {
    current: () => Promise.resolve(ringKey),
    find: (id: string) => Promise.resolve(id === ringKey.id ? ringKey : undefined),
  }

  const connect = (options: Partial<KeyVaultOptions> = {}) =>
    createKeyVault({
      vaultUrl: vault.url,
      certificateName,
      wrappingKeyName,
      credential,
      // It only bounds a hang: a test of the deadline lets the time pass.
      deadlineMilliseconds: 60_000,
      ...options,
    })

  return {
    vault,
    network,
    faults,
    connect,
    identity: localIdentity.clientId,
    now: () => clock.now,
    later: (seconds: number) => void (clock.now += seconds * 1000),
    /** An instance of the broker; it has tables of its own unless the caller passes a name for them. */
    instance: ({
      certificate = certificateName,
      tables = `c${randomBytes(5).toString('hex')}`,
      ...options
    }: Partial<ClientAssertionOptions> & { certificate?: string; tables?: string } = {}) => {
      const store = createAzureTableStore({
        tableServiceUri: network.url,
        tablePrefix: tables,
        credential: () => Promise.resolve(credential),
      })
      const keyVault = connect({ certificateName: certificate })
      const versions = createSigningVersions({
        vault: keyVault,
        records: createCertificateRecords({
          store,
          ring,
          vaultUrl: vault.url,
          certificateName: certificate,
          clock: () => clock.now,
          acceptUnsealedUntil: 0,
        }),
        timing: rollTimingOf({ readSeconds: 300, overlapSeconds: 86_400 }),
        clock: () => clock.now,
        onFault,
      })
      const assertions: ClientAssertions = createClientAssertions({
        vault: keyVault,
        versions,
        clientId,
        audience,
        reuse: true,
        form: () => Promise.resolve({ algorithm: 'PS256', keyId: false, lifetimeSeconds: 600 }),
        clock: () => clock.now,
        onFault,
        ...options,
      })
      return { assertions, versions, store, vault: keyVault }
    },
    /** The requests that the vault answered, without the SDK's challenge. */
    operations: () =>
      vault.requests
        .filter(({ identity }) => identity !== undefined)
        .map(({ operation, status }) => `${operation ?? ''} ${status ?? 'unanswered'}`),
    /** As after a fresh start: no faults, and the certificate with one good version. */
    reset: () => {
      vault.faults.clear()
      network.clearFaults()
      vault.resetRequests()
      network.resetRequests()
      vault.setPermissions(localIdentity.clientId, brokerAccessPolicy)
      faults.length = 0
    },
    close: async () => {
      await network.close()
      await vault.close()
      keyPairs.release()
    },
  }
}
