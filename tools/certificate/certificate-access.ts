/**
 * Access of the certificate commands to vault and store: as the broker on a laptop, otherwise as the signed-in person.
 */
import { readFile } from 'node:fs/promises'
import tls from 'node:tls'
import type * as z from 'zod/mini'
import { isLoopbackUrl } from '../../shared/settings/addresses.ts'
import type { AddedHosts } from '../../shared/settings/addresses.ts'
import type { TokenCredential } from '@azure/identity'
import { createDeployerCredential } from './deployer-credential.azure-identity.ts'
import { rollTimingOf } from '../../shared/certificate/roll-timing.ts'
import type { RollTiming } from '../../shared/certificate/roll-timing.ts'
import { createCertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { CertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import { createTokenCredential } from '../../shared/vault/token-credential.azure-core.ts'
import type { CertificateVault } from '../../shared/vault/vault.ts'
import type { Store } from '../../shared/store/store.ts'
import { createKeyRing } from '../../shared/crypto/key-ring.ts'
import { asBrokerError, BrokerError } from '../../shared/errors/errors.ts'
import type { KeyVault } from '../../shared/vault/key-vault/vault.key-vault.ts'
import { createKeyVault } from '../../shared/vault/key-vault/vault.key-vault.ts'
import { createAzureTableStore } from '../../shared/store/azure-table/store.azure-table.ts'
import { SettingsReport } from '../../shared/settings/settings-report.ts'
import { readValue } from '../../shared/settings/values.ts'
import type { SetTexts } from '../../shared/settings/values.ts'
import { parseProviders } from '../../shared/settings/providers.schema.ts'
import type { OtherProvider } from '../../shared/settings/providers.schema.ts'
import { describeProblem } from '../../shared/settings/settings-error.ts'
import { profileOf } from '../../functions/compose/provider.ts'
import { declarations } from '../../shared/settings/declarations.ts'
import type { Declaration } from '../../shared/settings/declare.ts'
import { LocalError } from '../../local/http-server.ts'
import { caFile } from '../../local/local-parts.ts'
import { fixedPorts } from '../../local/ports.ts'

export interface NamedCertificate {
  readonly vaultUrl: string
  readonly additionalHosts?: AddedHosts
  readonly name: string
  /** The settings that are set. */
  readonly texts: SetTexts
}

export interface CertificateAccess {
  readonly vault: CertificateVault
  /** Undefined where no store is named. */
  readonly records: CertificateRecords | undefined
  readonly timing: RollTiming
  readonly canRegister: boolean
  /** The same certificate at the providers of Broker__Providers. */
  readonly others: readonly OtherAccess[]
}

export interface OtherAccess extends Pick<CertificateAccess, 'records' | 'canRegister'> {
  /** Id of the provider. */
  readonly id: string
  /** The client id, where the provider is AD FS. */
  readonly adfsClientId: string | undefined
}

/** @param error of a read of the store */
export function storeIsSilent(error: unknown): string {
  const { code, detail } = asBrokerError(error)
  const reason = detail === undefined ? code : `${code}: ${detail}`
  return `the store or the key ring cannot be read (${reason}). Your account needs Storage Table Data Reader, and keys get and unwrapKey at the vault; the broker shows the same on /health/detail`
}

export async function openAccess(certificate: NamedCertificate): Promise<CertificateAccess> {
  const { vaultUrl, additionalHosts, name, texts } = certificate
  const valueOf = <D extends Declaration>(declaration: D) => readSetting(declaration, certificate)
  const tableServiceUri = texts.has(declarations.tableServiceUri.name)
    ? valueOf(declarations.tableServiceUri)
    : undefined
  const tablePrefix = valueOf(declarations.tablePrefix)
  const credential = await credentialFor(vaultUrl)
  const proxies = proxyPolicyOf(process.env)
  const vault = createKeyVault({
    vaultUrl,
    additionalHosts,
    certificateName: name,
    wrappingKeyName: valueOf(declarations.wrappingKeyName),
    credential,
    deadlineMilliseconds: 30_000,
    proxies,
  })
  const store =
    tableServiceUri === undefined
      ? undefined
      : readOnly(
          createAzureTableStore({
            tableServiceUri,
            tablePrefix,
            credential: () => Promise.resolve(credential),
            proxies,
          }),
        )
  const recordsOf = (registration?: Registration) => store && openRecords(store, vault, certificate, registration)
  // Only Entra ID has a Graph at which the broker changes keys.
  const isSet = ({ name: settingName }: Declaration) => texts.has(settingName)
  return {
    vault,
    records: recordsOf(),
    timing: rollTimingOf({
      readSeconds: valueOf(declarations.certificateReadSeconds),
      overlapSeconds: valueOf(declarations.certificateOverlapSeconds),
    }),
    canRegister: isSet(declarations.applicationObjectId) && !isSet(declarations.authority),
    others: otherProviders(certificate).map((other) => {
      const { identity, clientId, applicationObjectId, graphUrl } = other.provider
      return {
        id: other.id,
        adfsClientId: 'kind' in identity && identity.kind === 'adfs' ? clientId : undefined,
        records: recordsOf({ issuer: profileOf(other).issuer, clientId }),
        canRegister: applicationObjectId !== undefined && graphUrl !== undefined,
      }
    }),
  }
}

/** @throws {LocalError} exit code 2, where the setting is refused */
function otherProviders({ texts, additionalHosts }: NamedCertificate): readonly OtherProvider[] {
  const { name } = declarations.providers
  const list = parseProviders(texts.get(name) ?? '[]', name, additionalHosts)
  if ('others' in list) return list.others
  throw new LocalError(list.map(describeProblem).join('\n'), 2)
}

/** By the broker's own check: a token for the store goes to a host of an Azure cloud only. */
function readSetting<D extends Declaration>(
  declaration: D,
  { texts, additionalHosts }: Pick<NamedCertificate, 'texts' | 'additionalHosts'>,
): z.output<D['schema']> {
  const report = new SettingsReport()
  const value = readValue(declaration, texts, report, additionalHosts) as z.output<D['schema']>
  if (report.problems.length === 0) return value
  throw new LocalError(report.problems.map(describeProblem).join('\n'), 2)
}

interface Registration {
  readonly issuer: string
  readonly clientId: string
}

/**
 * The row opens by the key ring, so its reader needs the permission to unwrap, as the broker and its developers have.
 */
function openRecords(
  store: Store,
  vault: KeyVault,
  { vaultUrl, name }: Pick<NamedCertificate, 'vaultUrl' | 'name'>,
  registration: Registration | undefined,
) {
  const ring = createKeyRing({
    store,
    vault,
    clock: Date.now,
    neededForSeconds: Number(declarations.sessionAbsoluteSeconds.default),
    acceptUnsignedUntil: 0,
    onFault: () => undefined,
  })
  return createCertificateRecords({
    store,
    ring,
    vaultUrl,
    certificateName: name,
    registration,
    clock: Date.now,
    acceptUnsealedUntil: 0,
  })
}

/** A command that only reads must not create a key or a row. */
function readOnly(store: Store): Store {
  const refuse = () => Promise.reject(new BrokerError('store_unavailable', { detail: 'this command only reads' }))
  return { ...store, insert: refuse, replace: refuse, remove: refuse }
}

/** The broker's own identity on a laptop, which may read; otherwise the person's sign-in. */
async function credentialFor(vaultUrl: string): Promise<TokenCredential> {
  if (!isLoopbackUrl(vaultUrl)) return createDeployerCredential()
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), await localCa(vaultUrl)])
  process.env.IDENTITY_ENDPOINT ??= declarations.identityEndpoint.local
  process.env.IDENTITY_HEADER ??= 'local'
  return createTokenCredential({
    managedIdentity: true,
    managedIdentityClientId: declarations.managedIdentityClientId.local,
    clock: Date.now,
  })
}

/** One authority, since all local ones have the same name. NODE_EXTRA_CA_CERTS names the one for other ports. */
export async function localCa(vaultUrl: string): Promise<string> {
  const named = process.env.NODE_EXTRA_CA_CERTS
  const isFixed = Number(new URL(vaultUrl).port) === fixedPorts.vault
  return readFile(isFixed || named === undefined ? caFile : named, 'utf8').catch(() => {
    throw new LocalError(
      `The settings name the vault of npm start (${vaultUrl}), which is not running. Run npm start, and repeat this command in another terminal. For a deployed broker, write --vault https://<name>.vault.azure.net`,
    )
  })
}
