/**
 * Composition root: reads the environment once, parses the settings, and connects the parts. Differences between
 * Azure, a laptop and a test come from the settings and are resolved in this folder only.
 */
import type { Clock } from '../../shared/async/deadline.ts'
import type { PublishedKeys } from '../../shared/certificate/published-keys.ts'
import type { NotedRegistration } from '../../shared/certificate/note-registered.ts'
import { readVaultEvent } from '../../shared/certificate/vault-event.ts'
import type { CertificateNews } from '../../shared/certificate/vault-event.ts'
import { asBrokerError, parameterInvalid } from '../../shared/errors/errors.ts'
import { createFrontEnds } from '../../shared/front-ends/front-ends.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { createReadiness } from '../../shared/health/readiness.ts'
import type { Readiness } from '../../shared/health/readiness.ts'
import type { AuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import { trustAuthorities } from '../../shared/outbound/certificate-authorities.ts'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import type { AccessTokens } from '../../shared/session/access-tokens.ts'
import type { SessionAdministration } from '../../shared/session/session-administration.ts'
import type { Sessions } from '../../shared/session/sessions.ts'
import { isLoopbackHost } from '../../shared/settings/addresses.ts'
import { describeProblem, parseSettings, SettingsError } from '../../shared/settings/settings.ts'
import type { Settings } from '../../shared/settings/settings.ts'
import { createProviders } from '../../shared/provider/registry.ts'
import type { SignIn } from '../../shared/sign-in/sign-in.ts'
import type { SignUp } from '../../shared/sign-in/organization-sign-up.ts'
import type { FindPageLinks } from '../../shared/sign-in/page-links.ts'
import type { ProviderLogout } from '../../shared/sign-out/provider-logout.ts'
import type { SignOut } from '../../shared/sign-out/sign-out.ts'
import { createSweep } from '../../shared/store/sweep.ts'
import type { Sweep } from '../../shared/store/sweep.ts'
import { createLog, describeError } from '../../shared/telemetry/log.ts'
import type { Log, LogSink } from '../../shared/telemetry/log.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import { composeAzure } from './azure.ts'
import { composePublishedKeys } from './certificate.ts'
import { composeFlows } from './flows.ts'
import { composeProviders } from './provider.ts'
import type { ProviderParts } from './provider.ts'
import { composeKeyRing, composeSessionAdministration, composeSessions } from './sessions.ts'
import { composeFlowEvents, composeTelemetry } from './telemetry.ts'
import type { TenantAdministration } from '../../shared/tenants/tenant-administration.ts'
import type { Environment } from './telemetry.ts'
import { composeTenants } from './tenants.ts'

/** The parts that the function files call. */
export interface Broker {
  readonly baseUrl: string
  /** Whether the base URL is on loopback: only developers see it. */
  readonly isLocal: boolean
  readonly clock: Clock
  readonly frontEnds: FrontEnds
  readonly signIn: SignIn
  readonly signUp: SignUp
  readonly tenantAdministration: TenantAdministration
  readonly findPageLinks: FindPageLinks
  readonly sessions: Sessions
  readonly accessTokens: AccessTokens
  readonly signOut: SignOut
  readonly providerLogout: ProviderLogout
  readonly authorizationServer: AuthorizationServer
  readonly readiness: Readiness
  readonly sweep: Sweep
  /** Continues the roll at each provider. @throws what the roll at the primary provider throws; others are logged */
  roll(budgetMilliseconds: number): Promise<void>
  readonly telemetry: Telemetry
  readonly sessionAdministration: SessionAdministration
  /** Classifies an event of the vault; undefined where it concerns another certificate. */
  readVaultEvent(event: unknown): CertificateNews | undefined
  /** @param provider id; undefined: the primary one @throws {BrokerError} `parameter_invalid` */
  noteRegistered(version: string, provider?: string): Promise<NotedRegistration>
  publishedKeys(): Promise<PublishedKeys>
  /** Fetches in advance everything that the first sign-in would wait for; never throws. */
  warmUp(): Promise<void>
}

/** Either a broker, or the refused settings, which every route then reports. */
export type Composed = { readonly broker: Broker } | { readonly settingsError: SettingsError }

/** @param sink writes the lines that belong to no invocation */
export function compose(sink: LogSink): Composed {
  try {
    const settings = parseSettings(process.env)
    trustAuthorities(settings.certificateAuthorities)
    for (const warning of settings.warnings) sink('warn', `settings warning: ${describeProblem(warning)}`)
    return { broker: composeBroker(settings, process.env, createLog(sink)) }
  } catch (error) {
    if (error instanceof SettingsError) return { settingsError: error }
    throw error
  }
}

function composeBroker(settings: Settings, environment: Environment, log: Log): Broker {
  const base = {
    settings,
    log,
    clock: Date.now,
    onFault: (error: unknown) => log('warn', 'fault', describeError(asBrokerError(error))),
  }
  const telemetry = composeTelemetry(base, environment)
  const azure = composeAzure(base, proxyPolicyOf(environment), telemetry)
  const ring = composeKeyRing(base, azure)
  const all = composeProviders(base, azure, ring, telemetry)
  const [primary, ...others] = all
  const { provider, certificate } = primary
  const providers = createProviders(provider, ...others.map((other) => other.provider))
  const frontEnds = createFrontEnds(settings.frontEnds)
  const flowEvents = composeFlowEvents(base, telemetry, frontEnds)
  const tenants = composeTenants(base, azure, frontEnds)
  const readinessOf = ({
    provider: one,
    certificate: { assertions, checkSecond, versions, timing },
  }: ProviderParts) => ({
    provider: one,
    assertions,
    checkSecond,
    versions,
    timing,
    clock: base.clock,
  })
  const kept = composeSessions(base, azure, ring, { providers, frontEnds }, flowEvents, tenants)

  return {
    baseUrl: settings.baseUrl,
    isLocal: isLoopbackHost(new URL(settings.baseUrl).hostname),
    clock: base.clock,
    frontEnds,
    sessions: kept.sessions,
    accessTokens: kept.observedAccessTokens,
    ...composeFlows(base, { ...azure, ...kept, ...tenants, providers, ring, frontEnds, flowEvents }),
    readiness: createReadiness({
      ring,
      store: azure.store,
      ...readinessOf(primary),
      others: others.map((one) => ({ ...readinessOf(one), id: one.provider.id })),
    }),
    tenantAdministration: tenants.tenantAdministration,
    sessionAdministration: composeSessionAdministration(base, azure, ring, providers, frontEnds, flowEvents),
    sweep: createSweep({ store: azure.store, clock: base.clock }),
    roll: (budgetMilliseconds) => rollAll(all, budgetMilliseconds, log),
    readVaultEvent: (event) =>
      readVaultEvent(event, {
        vaultUrl: settings.credential.vaultUrl,
        certificateName: settings.credential.certificateName,
      }),
    noteRegistered: async (version, providerId = provider.id) => {
      const at = all.find((one) => one.provider.id === providerId)
      if (!at) throw parameterInvalid('provider', 'no provider')
      const { createNoteRegistered } = await import('../../shared/certificate/note-registered.ts')
      return createNoteRegistered({ roll: at.roll, records: at.certificate.records, clock: base.clock })(version)
    },
    publishedKeys: composePublishedKeys(base, azure, all),
    telemetry,
    warmUp: () =>
      telemetry.backgroundOperation('start of an instance', async () => {
        const { assertions, versions } = certificate
        const results = await Promise.allSettled([
          azure.vaultToken(),
          ring.current(),
          provider.metadata(),
          provider.keysFor(undefined, 'RS256'),
          provider.profile.assertion.reuse ? assertions.get() : versions.get(),
          primary.tokenEndpoint(),
        ])
        for (const result of results) if (result.status === 'rejected') base.onFault(result.reason)
      }),
  }
}

/** Each provider follows the certificate by itself: one that is down delays no other. */
async function rollAll(all: readonly ProviderParts[], budgetMilliseconds: number, log: Log): Promise<void> {
  const runs = await Promise.allSettled(all.map(({ roll }) => roll.run(budgetMilliseconds)))
  for (const [index, run] of runs.entries()) {
    if (run.status === 'fulfilled' || index === 0) continue
    const about = describeError(asBrokerError(run.reason))
    log('error', 'certificate roll failed', { ...about, provider: all[index]?.provider.id })
  }
  const [first] = runs
  if (first?.status === 'rejected') throw asBrokerError(first.reason).with({ provider: all[0]?.provider.id })
}
