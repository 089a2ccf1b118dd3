/** Composes the client certificate: settings `credential`, and of `provider` the ids that a roll registers keys with. */
import { defined } from '../../shared/json/json.ts'
import { wait } from '../../shared/async/deadline.ts'
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import type { ProvingVersion } from '../../shared/certificate/application-keys.ts'
import { emptyRecord } from '../../shared/certificate/certificate-state.ts'
import { createCertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { CertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import { createPublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { PublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { CertificateRoll } from '../../shared/certificate/roll.ts'
import { paceOf } from '../../shared/certificate/roll-timing.ts'
import type { Pace } from '../../shared/certificate/roll-timing.ts'
import { daysLeftOf } from '../../shared/certificate/warnings.ts'
import {
  createClientAssertions,
  rememberCertificates,
  signAssertion,
} from '../../shared/credential/client-assertion.ts'
import type { ClientAssertion, ClientAssertions } from '../../shared/credential/client-assertion.ts'
import { observeAssertions } from '../../shared/credential/observed-assertions.ts'
import { createSigningVersions } from '../../shared/credential/signing-version.ts'
import type { SigningVersions } from '../../shared/credential/signing-version.ts'
import { isLoopbackHost } from '../../shared/settings/addresses.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import type { Azure } from './azure.ts'
import type { IdentityProvider } from '../../shared/provider/provider.ts'
import type { LazyTokenEndpoint, Provider } from './provider.ts'
import type { Base } from './telemetry.ts'

export interface Certificate {
  readonly records: CertificateRecords
  readonly versions: SigningVersions
  readonly assertions: ClientAssertions
  readonly pace: Pace
  readonly publishedKeys: () => Promise<PublishedKeys>
}

export function composeCredential(
  { settings, log, clock, onFault }: Base,
  { vault, store }: Azure,
  ring: KeyRing,
  { provider }: Provider,
  telemetry: Telemetry,
): Certificate {
  const { vaultUrl, certificateName, readSeconds, overlapSeconds } = settings.credential
  const { audience, reuse, algorithm, certificateHeader } = provider.profile.assertion
  const signer = certificateHeader === 'x5t' ? rememberCertificates(vault) : vault

  const pace = paceOf({ readSeconds, overlapSeconds })
  const records = createCertificateRecords({
    store,
    ring,
    vaultUrl,
    certificateName,
    clock,
    acceptUnsealedUntil: settings.keyRing.acceptUnsignedUntil,
  })
  const onRefused = (certificateVersion: string | undefined) =>
    log('error', 'certificate refused', {
      code: 'client_refused',
      ...defined({ certificateVersion }),
    })
  const versions = createSigningVersions({
    vault,
    records,
    pace,
    clock,
    onFault,
    onRefused,
  })
  const assertions = createClientAssertions({
    vault: signer,
    versions,
    clientId: provider.clientId,
    audience,
    reuse,
    form: () => provider.assertionForm(),
    clock,
    onFault,
  })
  return {
    records,
    versions,
    assertions: observeAssertions(assertions, telemetry, clock),
    pace,
    publishedKeys: createPublishedKeys({
      vault,
      record: async () => {
        if (!versions.record()) await versions.get()
        return versions.record() ?? emptyRecord
      },
      algorithm,
      certificateHeader,
      pace,
      clock,
    }),
  }
}

export function composeRoll(
  { settings, log, clock }: Base,
  { vault, network }: Azure,
  provider: IdentityProvider,
  { records, versions, pace }: Certificate,
  tokenEndpoint: LazyTokenEndpoint,
  telemetry: Telemetry,
): CertificateRoll {
  const { applicationObjectId: objectId, graphUrl } = settings.provider
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
      pace,
      clock,
      wait,
      onRecord: (record) => {
        versions.learn(record)
        const left = daysLeftOf(record, clock())
        if (left !== undefined) telemetry.gauge('broker.certificate.days_left', left)
      },
      log,
    })
  })
  return lazyObject(roll, { run: true, plan: true })
}

/** Scope of the application's own token for Graph. An emulator on loopback expects tokens for the public cloud's Graph. */
function graphScope(graphUrl: string | undefined): string {
  const isPublic = graphUrl === undefined || isLoopbackHost(new URL(graphUrl).hostname)
  return `${isPublic ? 'https://graph.microsoft.com' : graphUrl}/.default`
}
