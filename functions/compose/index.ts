/**
 * The composition root: settings once, adapters on first use. What varies between Azure, a laptop and a test is here
 * and nowhere else, and so is the only look at the environment.
 */
import { paceOf } from '../../shared/certificate/roll-timing.ts'
import { createPublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { PublishedKeys } from '../../shared/certificate/published-keys.ts'
import { emptyRecord } from '../../shared/certificate/certificate-state.ts'
import { daysLeftOf } from '../../shared/certificate/warnings.ts'
import { createCertificateRecords } from '../../shared/certificate/certificate-state.store.ts'
import type { NotedRegistration } from '../../shared/certificate/registered.ts'
import type { CertificateRoll } from '../../shared/certificate/roll.ts'
import { readVaultEvent } from '../../shared/certificate/vault-event.ts'
import type { CertificateNews } from '../../shared/certificate/vault-event.ts'
import type { ProvingVersion } from '../../shared/certificate/application-keys.ts'
import {
  createClientAssertions,
  entraForm,
  lifetimeOf,
  signAssertion,
} from '../../shared/credential/client-assertion.ts'
import type { AssertionForm, ClientAssertions } from '../../shared/credential/client-assertion.ts'
import { createSigningVersions } from '../../shared/credential/signing-version.ts'
import type { KeyVault } from '../../shared/vault/key-vault/vault.key-vault.ts'
import { asBrokerError } from '../../shared/errors/errors.ts'
import { createAuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import type { AuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import { createCodes } from '../../shared/oauth/authorization-codes.ts'
import { createFrontEnds } from '../../shared/front-ends/front-ends.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { createRefreshHandles } from '../../shared/oauth/refresh-tokens.ts'
import { createEndForReuse } from '../../shared/oauth/reuse.ts'
import { createReadiness } from '../../shared/health/readiness.ts'
import type { Readiness } from '../../shared/health/readiness.ts'
import { createNetwork } from '../../shared/http/network.ts'
import { createAccessTokens } from '../../shared/session/access-tokens.ts'
import type { AccessTokens } from '../../shared/session/access-tokens.ts'
import { createKeyRing } from '../../shared/crypto/key-ring.ts'
import { createSessions } from '../../shared/session/sessions.ts'
import type { Sessions } from '../../shared/session/sessions.ts'
import { createSignOut } from '../../shared/sign-out/sign-out.ts'
import type { SignOut } from '../../shared/sign-out/sign-out.ts'
import { createSignOutElsewhere } from '../../shared/sign-out/provider-logout.ts'
import type { SignOutElsewhere } from '../../shared/sign-out/provider-logout.ts'
import type { Store } from '../../shared/store/store.ts'
import { createSweep } from '../../shared/store/sweep.ts'
import type { Sweep } from '../../shared/store/sweep.ts'
import { isLoopbackHost } from '../../shared/settings/addresses.ts'
import { parseSettings, SettingsError } from '../../shared/settings/settings.ts'
import type { Settings } from '../../shared/settings/settings.ts'
import { createIdentityProvider } from '../../shared/provider/identity-provider.ts'
import { assertionAudienceOf, isEntra, issuerOf } from '../../shared/provider/metadata.ts'
import type { ClientCredentials } from '../../shared/provider/token-endpoint.msal.ts'
import type { TokenEndpoint } from '../../shared/provider/token-endpoint.ts'
import { createSignIn } from '../../shared/sign-in/sign-in.ts'
import type { SignIn } from '../../shared/sign-in/sign-in.ts'
import { createCourier } from '../../shared/telemetry/export-queue.ts'
import { createFunnel, noFunnel } from '../../shared/telemetry/flow-events.ts'
import { observeAccessTokens } from '../../shared/session/observed-access-tokens.ts'
import { observeAssertions } from '../../shared/credential/observed-assertions.ts'
import { observeNetwork } from '../../shared/http/observed-network.ts'
import { observeStore } from '../../shared/store/observed-store.ts'
import { observeVault } from '../../shared/vault/observed-vault.ts'
import { createTelemetry, noTelemetry } from '../../shared/telemetry/telemetry.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import { createLog, describeError } from '../../shared/telemetry/log.ts'
import type { Log, LogSink } from '../../shared/telemetry/log.ts'
import { wait } from '../../shared/async/deadline.ts'
import { once } from '../../shared/async/lazy.ts'

/** The parts that the functions call. */
export interface Broker {
  readonly baseUrl: string
  readonly frontEnds: FrontEnds
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly accessTokens: AccessTokens
  readonly signOut: SignOut
  readonly signOutElsewhere: SignOutElsewhere
  readonly authorizationServer: AuthorizationServer
  readonly readiness: Readiness
  readonly sweep: Sweep
  readonly roll: CertificateRoll
  readonly telemetry: Telemetry
  /** What an event says about our certificate; undefined where it is about another. */
  readVaultEvent(event: unknown): CertificateNews | undefined
  noteRegistered(version: string): Promise<NotedRegistration>
  publishedKeys(): Promise<PublishedKeys>
  /** Fetches what the first person would wait for; never throws. */
  warmUp(): Promise<void>
}

/** Settings that can't be used are a broker too: one that says what is wrong with them at every route. */
export type Composed = { readonly broker: Broker } | { readonly settingsError: SettingsError }

export function compose(sink: LogSink): Composed {
  try {
    return { broker: composeBroker(parseSettings(process.env), createLog(sink)) }
  } catch (error) {
    if (error instanceof SettingsError) return { settingsError: error }
    throw error
  }
}

function composeBroker(settings: Settings, log: Log): Broker {
  const clock = Date.now
  const { provider: providerSettings, credential, session, signIn: signInSettings } = settings
  const onFault = (error: unknown) => log('warn', 'fault', describeError(asBrokerError(error)))

  const azureIdentity = once(async () => {
    const { createTokenCredential } = await import('../../shared/vault/token-credential.azure-identity.ts')
    return createTokenCredential({ ...credential, clock })
  })
  const keyVault = once(async () => {
    const { createKeyVault } = await import('../../shared/vault/key-vault/vault.key-vault.ts')
    return createKeyVault({
      vaultUrl: credential.vaultUrl,
      certificateName: credential.certificateName,
      wrappingKeyName: settings.keyRing.wrappingKeyName,
      credential: await azureIdentity(),
    })
  })
  const tableStore = once(async () => {
    const { createAzureTableStore } = await import('../../shared/store/azure-table/store.azure-table.ts')
    return createAzureTableStore({ ...settings.store, credential: azureIdentity })
  })

  const telemetry = composeTelemetry(settings, clock, log)
  const vault = observeVault(lateKeyVault(keyVault), telemetry, new URL(credential.vaultUrl).host)
  const store = observeStore(lateStore(tableStore), telemetry, new URL(settings.store.tableServiceUri).host)
  const network = observeNetwork(createNetwork(), telemetry)
  const frontEnds = createFrontEnds(settings.frontEnds)
  const funnel =
    telemetry === noTelemetry
      ? noFunnel
      : createFunnel({ telemetry, clock, isFrontEnd: (id) => frontEnds.find(id) !== undefined })
  const { identity, clientId } = providerSettings
  const tenantId = isEntra(identity) ? identity.tenantId : undefined
  const { assertionAlgorithm } = credential
  const provider = createIdentityProvider({
    ...identity,
    ...providerSettings,
    assertionAlgorithm,
    network,
    clock,
    onFault,
  })
  const audience = assertionAudienceOf(identity, credential.assertionAudience)
  const assertionForm = async (): Promise<AssertionForm> =>
    isEntra(identity)
      ? entraForm
      : {
          algorithm: (await provider.metadata()).assertionAlgorithm,
          keyId: credential.assertionKeyId,
          lifetimeSeconds: lifetimeOf(credential.assertionReuse),
        }
  const ring = createKeyRing({ store, wrapper: vault, clock, neededForSeconds: session.absoluteSeconds, onFault })
  const pace = paceOf(credential)
  const records = createCertificateRecords({ store, ...credential })
  const onRefused = (version: string | undefined) =>
    log('error', 'certificate refused', { code: 'client_refused', ...(version ? { certificateVersion: version } : {}) })
  const versions = createSigningVersions({
    vault,
    store,
    ...credential,
    clock,
    onFault,
    records,
    pace,
    onRefused,
  })
  const signedAssertions = createClientAssertions({
    vault,
    versions,
    clientId,
    audience,
    reuse: credential.assertionReuse,
    form: assertionForm,
    clock,
    onFault,
  })
  const assertions: ClientAssertions = observeAssertions(signedAssertions, telemetry, clock)
  const tokenEndpoint = once(async (): Promise<TokenEndpoint & ClientCredentials> => {
    const { createMsalTokenEndpoint } = await import('../../shared/provider/token-endpoint.msal.ts')
    return createMsalTokenEndpoint({
      authority: issuerOf(identity),
      isEntra: isEntra(identity),
      clientId,
      redirectUri: `${settings.baseUrl}/callback`,
      provider,
      assertions,
      network,
      clock,
    })
  })
  const certificateRoll = once(async () => {
    const { createCertificateRoll } = await import('../../shared/certificate/roll.ts')
    const { applicationObjectId: objectId, graphUrl } = providerSettings
    // An emulator of Graph is asked with tokens for Graph's own name.
    const graph = graphUrl === undefined || isLoopbackHost(new URL(graphUrl).hostname) ? publicGraph : graphUrl
    const clientToken = async (assertion: string) => (await tokenEndpoint()).clientToken(`${graph}/.default`, assertion)
    const sign = async (by: ProvingVersion) =>
      (await signAssertion(vault, by, { ...(await assertionForm()), clientId, audience, now: clock() })).jwt
    const token = async (by: ProvingVersion) => clientToken(await sign(by))
    const probe = async (by: ProvingVersion): Promise<unknown> => {
      if (isEntra(identity)) return token(by)
      return (await tokenEndpoint()).probe(await sign(by))
    }
    const { createGraphApplicationKeys } = await import('../../shared/certificate/application-keys.graph.ts')
    const applicationKeys =
      objectId !== undefined && graphUrl !== undefined
        ? createGraphApplicationKeys({ graphUrl, objectId, vault, network, token, clock })
        : undefined
    return createCertificateRoll({
      vault,
      records,
      applicationKeys,
      probe,
      pace,
      clock,
      wait,
      onRecord: (record) => {
        versions.learn(record)
        const left = daysLeftOf(record, clock())
        if (left !== undefined) telemetry.latest('broker.certificate.days_left', left)
      },
      log,
    })
  })
  const roll: CertificateRoll = {
    run: async (budgetMilliseconds) => (await certificateRoll()).run(budgetMilliseconds),
    plan: async () => (await certificateRoll()).plan(),
  }
  const sessions = createSessions({ store, ring, clock, ...session })
  const endForReuse = createEndForReuse(sessions, funnel)
  const codes = createCodes({ store, ring, clock, endForReuse })
  const accessTokens = createAccessTokens({
    sessions,
    tokenEndpoint,
    clock,
    idleSeconds: session.idleSeconds,
    funnel,
    onFault,
  })
  const signOut = createSignOut({
    sessions,
    ring,
    provider,
    frontEnds,
    clientId,
    postLogoutRedirectUri: `${settings.baseUrl}/logout/done`,
    clock,
    funnel,
    onFault,
  })

  return {
    baseUrl: settings.baseUrl,
    frontEnds,
    sessions,
    signIn: createSignIn({
      frontEnds,
      provider,
      tokenEndpoint,
      sessions,
      store,
      ring,
      codes,
      clock,
      funnel,
      absoluteSeconds: session.absoluteSeconds,
      baseUrl: settings.baseUrl,
      clientId,
      tenantId,
      responseMode: providerSettings.responseMode,
      ...signInSettings,
      onFault,
    }),
    accessTokens: observeAccessTokens(accessTokens, funnel),
    signOut,
    signOutElsewhere: createSignOutElsewhere({
      store,
      ring,
      provider,
      clientId,
      funnel,
      clock,
    }),
    authorizationServer: createAuthorizationServer({
      issuer: settings.baseUrl,
      frontEnds,
      codes,
      handles: createRefreshHandles({ store, ring, sessions, accessTokens, endForReuse, clock }),
      sessions,
      signOut,
      funnel,
      clock,
    }),
    readiness: createReadiness({ ring, store, provider, assertions, versions, pace, clock }),
    sweep: createSweep({ store, clock }),
    roll,
    readVaultEvent: (event) => readVaultEvent(event, credential),
    noteRegistered: async (version) => {
      const { createNoteRegistered } = await import('../../shared/certificate/registered.ts')
      return createNoteRegistered({ roll, records, clock })(version)
    },
    publishedKeys: createPublishedKeys({
      vault,
      record: async () => {
        if (!versions.record()) await versions.get()
        return versions.record() ?? emptyRecord
      },
      algorithm: isEntra(identity) ? entraForm.algorithm : assertionAlgorithm,
      pace,
      clock,
    }),
    telemetry,
    warmUp: () =>
      telemetry.own('start of an instance', async () => {
        const faults = await Promise.allSettled([
          ring.current(),
          provider.metadata(),
          provider.keysFor(undefined, 'RS256'),
          credential.assertionReuse ? assertions.get() : versions.get(),
          tokenEndpoint(),
        ])
        for (const fault of faults) if (fault.status === 'rejected') onFault(fault.reason)
      }),
  }
}

/** What the telemetry's thread may see of the environment: its identity, its name on the map, its own pace. */
const telemetryNames = [
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
  'WEBSITE_SITE_NAME',
  'WEBSITE_INSTANCE_ID',
  'OTEL_METRIC_EXPORT_INTERVAL',
  'OTEL_BSP_SCHEDULE_DELAY',
  'OTEL_BLRP_SCHEDULE_DELAY',
]

function composeTelemetry(settings: Settings, clock: () => number, log: Log): Telemetry {
  const { telemetry } = settings
  if (!telemetry) return noTelemetry
  const environment = Object.fromEntries(
    telemetryNames.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value] as const]
    }),
  )
  // Beside this file in the build.
  const file = new URL('./telemetry-worker.mjs', import.meta.url)
  const courier = createCourier({
    start: async (onGone) => {
      const { startReportWorker } = await import('../../shared/telemetry/report-worker.ts')
      return startReportWorker({ ...telemetry, environment, file }, onGone)
    },
    onFault: (error) => log('warn', 'telemetry fault', describeError(asBrokerError(error))),
  })
  return createTelemetry({ courier, clock })
}

/** What Graph's tokens are for in the public cloud. */
const publicGraph = 'https://graph.microsoft.com'

function lateKeyVault(load: () => Promise<KeyVault>): KeyVault {
  return {
    listVersions: async () => (await load()).listVersions(),
    readCertificate: async (version) => (await load()).readCertificate(version),
    sign: async (version, digest) => (await load()).sign(version, digest),
    signRs256: async (version, digest) => (await load()).signRs256(version, digest),
    wrap: async (key) => (await load()).wrap(key),
    unwrap: async (wrapped, version) => (await load()).unwrap(wrapped, version),
  }
}

function lateStore(load: () => Promise<Store>): Store {
  return {
    insert: async (table, row) => (await load()).insert(table, row),
    find: async (table, key, columns) => (await load()).find(table, key, columns),
    replace: async (table, row, etag) => (await load()).replace(table, row, etag),
    remove: async (table, key, etag) => (await load()).remove(table, key, etag),
    list: async (table, partition) => (await load()).list(table, partition),
    listWhere: async (table, name, value) => (await load()).listWhere(table, name, value),
    listSweepable: async (table, before, limit) => (await load()).listSweepable(table, before, limit),
  }
}
