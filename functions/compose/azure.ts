/**
 * Composes the Azure parts: settings `credential` (identity, vault), `keyRing` and `store`. Each SDK is imported on
 * first use, so that a cold start loads only the modules that its request needs.
 */
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import { createNetwork } from '../../shared/http/network.ts'
import type { Network } from '../../shared/http/network.ts'
import { observeNetwork } from '../../shared/http/observed-network.ts'
import type { ProxyPolicy } from '../../shared/outbound/proxy.ts'
import { vaultResourceOf } from '../../shared/settings/addresses.ts'
import { observeStore } from '../../shared/store/observed-store.ts'
import type { Store } from '../../shared/store/store.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import type { KeyVault } from '../../shared/vault/key-vault/vault.key-vault.ts'
import { observeVault } from '../../shared/vault/observed-vault.ts'
import type { Base } from './telemetry.ts'

/** The parts outside the process: each call is a span in telemetry. */
export interface Azure {
  readonly vault: KeyVault
  readonly store: Store
  /** Calls to the identity provider and to Graph. */
  readonly network: Network
  /**
   * Requests the managed identity's token for the vault. A cold instance reads the key ring's row before it calls the
   * vault, so the token arrives while the row is read.
   */
  vaultToken(): Promise<void>
}

/** @param proxies the network policy of the process */
export function composeAzure({ settings, clock }: Base, proxies: ProxyPolicy, telemetry: Telemetry): Azure {
  const { credential, keyRing, store } = settings

  const azureIdentity = lazy(async () => {
    const { createTokenCredential } = await import('../../shared/vault/token-credential.azure-core.ts')
    return createTokenCredential({
      managedIdentity: credential.managedIdentity,
      managedIdentityClientId: credential.managedIdentityClientId,
      clock,
    })
  })
  const keyVault = lazy(async () => {
    const { createKeyVault } = await import('../../shared/vault/key-vault/vault.key-vault.ts')
    return createKeyVault({
      vaultUrl: credential.vaultUrl,
      additionalHosts: settings.additionalHosts,
      certificateName: credential.certificateName,
      wrappingKeyName: keyRing.wrappingKeyName,
      credential: await azureIdentity(),
      clock,
      proxies,
    })
  })
  const tableStore = lazy(async () => {
    const { createAzureTableStore } = await import('../../shared/store/azure-table/store.azure-table.ts')
    return createAzureTableStore({
      tableServiceUri: store.tableServiceUri,
      tablePrefix: store.tablePrefix,
      credential: azureIdentity,
      proxies,
    })
  })

  return {
    vault: observeVault(
      lazyObject(keyVault, {
        listVersions: true,
        readCertificate: true,
        sign: true,
        readWrappingKey: true,
        wrap: true,
        unwrap: true,
        signRow: true,
      }),
      telemetry,
      new URL(credential.vaultUrl).host,
    ),
    store: observeStore(
      lazyObject(tableStore, {
        insert: true,
        find: true,
        replace: true,
        remove: true,
        list: true,
        listWhere: true,
        scan: true,
        listSweepable: true,
      }),
      telemetry,
      new URL(store.tableServiceUri).host,
    ),
    network: observeNetwork(createNetwork({ clock, proxies }), telemetry),
    vaultToken: async () => {
      const resource = vaultResourceOf(credential.vaultUrl, settings.additionalHosts)
      await (await azureIdentity()).getToken(`${resource}/.default`)
    },
  }
}
