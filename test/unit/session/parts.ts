/**
 * The parts that sessions need, in this process: a vault, a managed identity, tables behind a network,
 * and a clock to move.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, inject, vi } from 'vitest'
import { localIdentity, startManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../../local/vault/permissions.ts'
import { startVault } from '../../../local/vault/vault.ts'
import { createTokenCredential } from '../../../shared/vault/token-credential.azure-core.ts'
import { createKeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import { createKeyRing } from '../../../shared/crypto/key-ring.ts'
import type { KeyRing, KeyRingOptions } from '../../../shared/crypto/key-ring.ts'
import { createSessions } from '../../../shared/session/sessions.ts'
import type { Sessions, SessionsOptions } from '../../../shared/session/sessions.ts'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { Identity } from '../../../shared/provider/identity.ts'
import { trustedAuthority } from '../../setup/secure-server.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'
import { startTableProxy } from '../../setup/table-proxy.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { useIdentityEndpoint } from '../../setup/identity-endpoint.ts'

const wrappingKeyName = 'broker-key-ring'

export type SessionParts = Awaited<ReturnType<typeof startSessionParts>>

/** One at a time: the managed identity's client has one endpoint in a process. */
export async function startSessionParts() {
  const authority = await trustedAuthority()
  const managedIdentity = await startManagedIdentity({ port: 0 })
  useIdentityEndpoint(managedIdentity)
  const keyPairs = lendKeyPairs()
  const vault = await startVault({
    makeKeyPair: keyPairs.makeKeyPair,
    port: 0,
    tls: await authority.issue(['localhost']),
    verifyAccessToken: managedIdentity.issuer.verifyAccessToken,
    permissions: { [localIdentity.clientId]: brokerAccessPolicy },
  })
  const first = await vault.createKey(wrappingKeyName, { keySize: 2048, keyOps: ['sign', 'wrapKey', 'unwrapKey'] })
  const keyVersions = [first.version]

  const credential = createTokenCredential({
    managedIdentity: true,
    managedIdentityClientId: localIdentity.clientId,
    clock: Date.now,
  })
  const proxies: { close(): Promise<void> }[] = []

  return {
    vault,
    /** Tables of its own for each test, so that it begins with an empty store. */
    newTables: async () => {
      const tablePrefix = `u${randomBytes(5).toString('hex')}`
      const network = await startTableProxy(inject('tableServiceUri'), tablePrefix)
      proxies.push(network)
      const connect = (): Store =>
        createAzureTableStore({
          tableServiceUri: network.url,
          tablePrefix,
          credential: () => Promise.resolve(credential),
        })
      return { network, connect }
    },
    /** A new one each time, as each instance has its own. */
    newVault: () => createKeyVault({ vaultUrl: vault.url, certificateName: 'broker', wrappingKeyName, credential }),
    rotateWrappingKey: async (): Promise<string> => {
      const { version } = await vault.rotateKey(wrappingKeyName)
      keyVersions.push(version)
      return version
    },
    setWrappingKeyEnabled: (enabled: boolean) => {
      for (const version of keyVersions) vault.setKeyEnabled(wrappingKeyName, version, enabled)
    },
    /** The requests to the vault since the last reset, without the SDK's challenge. */
    vaultOperations: () =>
      vault.requests.filter(({ identity }) => identity !== undefined).map(({ operation }) => operation),
    close: async () => {
      vi.unstubAllEnvs()
      for (const proxy of proxies) await proxy.close()
      await vault.close()
      keyPairs.release()
      await managedIdentity.close()
    },
  }
}

/** Parts that belong to one test. */
interface OwnParts {
  readonly parts: SessionParts
  readonly network: TableProxy
  readonly store: Store
  readonly clock: TestClock
  /** A ring in this store. */
  readonly ring: KeyRing
  readonly faults: unknown[]
}

/**
 * Starts the parts once for the tests of the file or `describe` that calls it, and ends them. Each test has an empty
 * store, a clock of its own, a vault without requests and faults, and enabled keys.
 *
 * @param start time of the clock when a test starts
 * @param assign receives the parts before each test
 */
export function useSessionParts(start: string, assign: (own: OwnParts) => void | Promise<void>): void {
  let parts: SessionParts
  beforeAll(async () => {
    parts = await startSessionParts()
  })
  beforeEach(async () => {
    const { network, connect } = await parts.newTables()
    const [store, clock] = [connect(), createClock(start)]
    parts.vault.resetRequests()
    await assign({
      parts,
      network,
      store,
      clock,
      ring: openRing({ store, vault: parts.newVault(), clock }),
      faults: [],
    })
  })
  afterEach(() => {
    parts.vault.faults.clear()
    parts.setWrappingKeyEnabled(true)
  })
  afterAll(() => parts.close())
}

export type TestClock = ReturnType<typeof createClock>

/** A clock that moves only when a test moves it. */
export function createClock(start: string | number) {
  let now = new Date(start).getTime()
  return Object.assign(() => now, {
    set: (time: string | number) => void (now = new Date(time).getTime()),
    advance: (seconds: number) => void (now += seconds * 1000),
  })
}

export const month = 31 * 24 * 60 * 60

/** An instance's ring. */
export function openRing(
  options: Pick<KeyRingOptions, 'store' | 'vault' | 'clock'> & { faults?: unknown[]; acceptUnsignedUntil?: number },
): KeyRing {
  return createKeyRing({
    neededForSeconds: 12 * 3600,
    acceptUnsignedUntil: 0,
    onFault: (error) => options.faults?.push(error),
    ...options,
  })
}

/** An instance's sessions; an hour of idle time, twelve in all. */
export function openSessions(
  options: Pick<SessionsOptions, 'store' | 'ring' | 'clock'> & { cacheSeconds?: number },
): Sessions {
  return createSessions({
    idleSeconds: 3600,
    absoluteSeconds: 12 * 3600,
    cacheSeconds: 0,
    isAllowed: () => Promise.resolve(true),
    accepts: () => true,
    ...options,
  })
}

/** The result of checking an ID token; all personal data are made up. */
export const adaIdentity = {
  issuer: 'https://localhost:7171/11111111-1111-4111-8111-111111111111/v2.0',
  subject: 'subject-of-ada',
  tenantId: '11111111-1111-4111-8111-111111111111',
  objectId: 'aaaaaaaa-0001-4000-8000-000000000001',
  sessionId: 'session-at-the-provider',
  name: 'Ada Lovelace',
  username: 'ada@contoso.example',
  loginHint: 'O.hint-of-ada',
} as unknown as Identity
