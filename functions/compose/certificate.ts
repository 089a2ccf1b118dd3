/**
 * Composes the client certificate as one provider knows it: settings `credential`, and of the provider the ids that a
 * roll registers keys with. The certificate is the same for all providers; the record of its versions is not.
 */
import { defined } from '../../shared/json/json.ts'
import { wait } from '../../shared/async/deadline.ts'
import type { Clock } from '../../shared/async/deadline.ts'
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import type { ProvingVersion } from '../../shared/certificate/application-keys.ts'
import { emptyRecord } from '../../shared/certificate/certificate-state.ts'
import { createCertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { CertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import { createPublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { PublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { CertificateRoll } from '../../shared/certificate/roll.ts'
import { rollTimingOf } from '../../shared/certificate/roll-timing.ts'
import type { RollTiming } from '../../shared/certificate/roll-timing.ts'
import { daysLeftOf } from '../../shared/certificate/warnings.ts'
import { createClientAssertions } from '../../shared/credential/client-assertion.ts'
import { rememberCertificates, signAssertion } from '../../shared/credential/sign-assertion.ts'
import type { ClientAssertions } from '../../shared/credential/client-assertion.ts'
import type { ClientAssertion } from '../../shared/credential/sign-assertion.ts'
import { observeAssertions } from '../../shared/credential/observed-assertions.ts'
import { createSigningVersions } from '../../shared/credential/signing-version.ts'
import type { SigningVersions } from '../../shared/credential/signing-version.ts'
import { isLoopbackHost } from '../../shared/settings/addresses.ts'
import type { SecondCredential as SecondCredentialSettings } from '../../shared/settings/settings.ts'
import type { Log } from '../../shared/telemetry/log.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import type { Azure } from './azure.ts'
import type { IdentityProvider } from '../../shared/provider/provider.ts'
import type { OtherProvider } from '../../shared/settings/settings.ts'
import type { ClientCredentials, TokenEndpoint } from '../../shared/provider/token-endpoint.ts'
import type { Base } from './telemetry.ts'

export interface Certificate {
  readonly records: CertificateRecords
  readonly versions: SigningVersions
  readonly assertions: ClientAssertions
  /** All credentials in their order, for the token endpoint. */
  readonly credentials: ClientAssertions
  /** Fails where the second credential could not be used; undefined where the certificate is the only one. */
  readonly checkSecond: (() => Promise<void>) | undefined
  readonly timing: RollTiming
}

export type LazyTokenEndpoint = () => Promise<TokenEndpoint & ClientCredentials>

/** The provider at which the certificate is registered. */
interface RegisteredAt {
  readonly provider: IdentityProvider
  readonly isPrimary: boolean
  readonly keysAt: Pick<OtherProvider['provider'], 'applicationObjectId' | 'graphUrl'>
  /** The managed identity that its app registration trusts; undefined: the certificate is the only credential. */
  readonly second: SecondCredentialSettings | undefined
}

function logOf(log: Log, { provider }: RegisteredAt): Log {
  return (level, event, fields) => log(level, event, { ...fields, provider: provider.id })
}

export function composeCredential(
  { settings, log, clock, onFault }: Base,
  { vault, store }: Azure,
  ring: KeyRing,
  at: RegisteredAt,
  telemetry: Telemetry,
): Certificate {
  const { provider, isPrimary, second } = at
  const { vaultUrl, certificateName, readSeconds, overlapSeconds } = settings.credential
  const { audience, reuse, certificateHeader } = provider.profile.assertion
  const signer = certificateHeader === 'x5t' ? rememberCertificates(vault) : vault

  const timing = rollTimingOf({ readSeconds, overlapSeconds })
  const records = createCertificateRecords({
    store,
    ring,
    vaultUrl,
    certificateName,
    registration: isPrimary ? undefined : provider,
    clock,
    acceptUnsealedUntil: settings.keyRing.acceptUnsignedUntil,
  })
  const onRefused = (certificateVersion: string | undefined) =>
    logOf(log, at)('error', 'certificate refused', {
      code: 'client_refused',
      ...defined({ certificateVersion }),
    })
  const versions = createSigningVersions({
    vault,
    records,
    timing,
    clock,
    onFault,
    onRefused,
  })
  const assertions = observeAssertions(
    createClientAssertions({
      vault: signer,
      versions,
      clientId: provider.clientId,
      audience,
      reuse,
      form: () => provider.assertionForm(),
      clock,
      onFault,
    }),
    telemetry,
    clock,
  )
  return {
    records,
    versions,
    assertions,
    ...(second
      ? composeCredentialList(second, assertions, {
          log: logOf(log, at),
          clock,
          onFault,
          telemetry,
          providerId: provider.id,
        })
      : { credentials: assertions, checkSecond: undefined }),
    timing,
  }
}

interface AtProvider {
  readonly provider: IdentityProvider
  readonly certificate: Certificate
}

/** The keys that any provider may have to verify an assertion with. */
export function composePublishedKeys(
  { clock }: Base,
  { vault }: Azure,
  all: readonly [AtProvider, ...AtProvider[]],
): () => Promise<PublishedKeys> {
  const recordOf = async ({ certificate: { versions } }: AtProvider) => (await versions.dueRecord()) ?? emptyRecord
  const [{ certificate, provider }] = all
  const { algorithm } = provider.profile.assertion
  return createPublishedKeys({
    vault,
    records: () => Promise.all(all.map(recordOf)),
    algorithm: all.every((one) => one.provider.profile.assertion.algorithm === algorithm) ? algorithm : undefined,
    certificateHeaders: new Set(all.map((one) => one.provider.profile.assertion.certificateHeader ?? 'x5t#S256')),
    timing: certificate.timing,
    clock,
  })
}

interface CredentialListParts {
  readonly log: Log
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
  readonly telemetry: Telemetry
  readonly providerId: string
}

/**
 * Loaded on first use, as is the identity behind it. Every use is a warning in the log and is counted;
 * an alert reads the log.
 */
function composeCredentialList(
  { managedIdentityClientId, tokenExchangeUrl }: SecondCredentialSettings,
  certificate: ClientAssertions,
  { log, clock, onFault, telemetry, providerId }: CredentialListParts,
): Pick<Certificate, 'credentials' | 'checkSecond'> {
  const load = lazy(async () => {
    const { createCredentialList, createSecondCredential } = await import('../../shared/credential/credential-list.ts')
    const { createTokenCredential } = await import('../../shared/vault/token-credential.azure-core.ts')
    const identity = createTokenCredential({ managedIdentity: true, managedIdentityClientId, clock })
    const second = createSecondCredential({ identity, tokenExchangeUrl, clock })
    const list = createCredentialList({
      certificate,
      second,
      clock,
      onUse: (code = 'paused') => {
        telemetry.count('broker.credential.second', { code, provider: providerId })
        log('warn', 'second credential used', { code })
      },
      onReturn: () => log('info', 'certificate in use again'),
      onFault,
    })
    return { list, second }
  })
  return {
    checkSecond: async () => (await load()).second.check(),
    credentials: {
      get: async () => (await load()).list.get(),
      next: async (refused, repeats) => (await load()).list.next(refused, repeats),
      accepted: (assertion) => void load().then(({ list }) => list.accepted(assertion), onFault),
      state: () => certificate.state(),
    },
  }
}

export function composeRoll(
  { log, clock }: Base,
  { vault, network }: Azure,
  at: RegisteredAt,
  { records, versions, timing }: Certificate,
  tokenEndpoint: LazyTokenEndpoint,
  telemetry: Telemetry,
): CertificateRoll {
  const { provider, keysAt } = at
  const { applicationObjectId: objectId, graphUrl } = keysAt
  const { clientId, profile } = provider

  const sign = async (by: ProvingVersion): Promise<ClientAssertion> => {
    const form = await provider.assertionForm()
    const { audience } = profile.assertion
    return signAssertion(vault, by, { ...form, clientId, audience, now: clock() })
  }
  const graphToken = async (by: ProvingVersion): Promise<string> =>
    (await tokenEndpoint()).clientToken(graphScope(graphUrl), await sign(by))
  const probe = async (by: ProvingVersion): Promise<unknown> =>
    profile.issuesClientTokens ? graphToken(by) : (await tokenEndpoint()).probe(await sign(by))

  const roll = lazy(async () => {
    const { createCertificateRoll } = await import('../../shared/certificate/roll.ts')
    const { createGraphApplicationKeys } = await import('../../shared/certificate/application-keys.graph.ts')
    return createCertificateRoll({
      vault,
      records,
      applicationKeys:
        objectId !== undefined && graphUrl !== undefined
          ? createGraphApplicationKeys({ graphUrl, objectId, vault, network, token: graphToken, clock })
          : undefined,
      probe,
      timing,
      clock,
      wait,
      onRecord: (record) => {
        versions.learn(record)
        const left = daysLeftOf(record, clock())
        // One certificate, so one gauge.
        if (left !== undefined && at.isPrimary) telemetry.gauge('broker.certificate.days_left', left)
      },
      log: logOf(log, at),
    })
  })
  return lazyObject(roll, { run: true, plan: true })
}

/**
 * Scope of the application's own token for Graph. An emulator on loopback expects tokens for the public cloud's Graph.
 */
function graphScope(graphUrl: string | undefined): string {
  const isPublic = graphUrl === undefined || isLoopbackHost(new URL(graphUrl).hostname)
  return `${isPublic ? 'https://graph.microsoft.com' : graphUrl}/.default`
}
