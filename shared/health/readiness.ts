/**
 * Readiness of this instance, part by part: each check uses the part in the way that a sign-in does. Owns no state but
 * the result of the last seconds; the routes are in functions/health.ts.
 */
import { defined } from '../json/json.ts'
import type { RollTiming } from '../certificate/roll-timing.ts'
import { chooseRecorded } from '../certificate/certificate-state.ts'
import { daysLeft, warningsOf } from '../certificate/warnings.ts'
import type { CertificateEvent } from '../certificate/warnings.ts'
import type { ClientAssertions } from '../credential/client-assertion.ts'
import type { SigningVersions } from '../credential/signing-version.ts'
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Store } from '../store/store.ts'
import type { IdentityProvider } from '../provider/provider.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'

/** Parts by the names in `/health/ready`, which returns `ready` or the first part that is not ready. */
type ReadinessPart = 'settings' | 'key ring' | 'store' | 'provider' | 'certificate'

export interface Check {
  readonly part: ReadinessPart
  readonly ok: boolean
  /** Id of a provider beside the primary one; then the part is `provider` or `certificate`. */
  readonly provider?: string
  /** Of a failure; where the second credential replaces the certificate, also of a check that is ok. */
  readonly code?: string
  readonly remedy?: string
  /** Set while the second credential replaces the certificate. */
  readonly credential?: 'managed identity'
  readonly certificateVersion?: string
  readonly daysLeft?: number
  /** Every known version, newest first, with the state of its roll. */
  readonly certificateVersions?: readonly CertificateVersionState[]
  /** Warnings that were logged for the operator. */
  readonly warnings?: readonly CertificateEvent[]
}

export interface CertificateVersionState {
  readonly version: string
  readonly signs: boolean
  readonly enabled: boolean
  readonly status: string
  readonly since: string
  readonly daysLeft: number
  /** Code of the last failure of its roll. */
  readonly cause?: string
  /** Time of the roll's next step for this version. */
  readonly next?: string
}

export interface Readiness {
  /** Result of the last seconds, for unauthenticated callers. Never throws: a failure is a check that is not ok. */
  checks(): Promise<readonly Check[]>
  /** Current result, for operators with a key, who may have just removed a cause. */
  checksNow(): Promise<readonly Check[]>
}

export interface ReadinessOptions extends ProviderReadiness {
  readonly ring: Pick<KeyRing, 'check'>
  readonly store: Store
  /** Providers beside the primary one, by id. */
  readonly others?: readonly (ProviderReadiness & { readonly id: string })[]
}

/** One provider, and the certificate as it is registered there. */
interface ProviderReadiness {
  readonly provider: Pick<IdentityProvider, 'metadata'>
  /** Those of the certificate alone. */
  readonly assertions: ClientAssertions
  /** Fails where the second credential could not be used; undefined where the settings name none. */
  readonly checkSecond: (() => Promise<void>) | undefined
  readonly versions: SigningVersions
  readonly timing: RollTiming
  readonly clock: Clock
}

/** Bounds the load of an unauthenticated route. */
const keptFor = 5_000

/**
 * The first part that keeps the broker from signing people in. Of several providers one is enough: one that is down
 * must not take the instances of the others out of service.
 */
export function findUnready(checks: readonly Check[]): ReadinessPart | undefined {
  const failed = checks.filter(({ ok }) => !ok)
  const isOfProvider = ({ part }: Check) => part === 'provider' || part === 'certificate'
  const shared = failed.find((check) => !isOfProvider(check))
  if (shared) return shared.part
  const ids = new Set(checks.filter(isOfProvider).map(({ provider }) => provider))
  const isUsable = (id: string | undefined) => !failed.some((check) => isOfProvider(check) && check.provider === id)
  return [...ids].some(isUsable) ? undefined : failed[0]?.part
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { ring, store, clock, others = [] } = options
  const lookAtPrimary = createProviderChecks(options)
  const lookAtOthers = others.map((other) => {
    const lookAtIt = createProviderChecks(other)
    return async () => (await lookAtIt()).map((one) => ({ ...one, provider: other.id }))
  })
  let kept: { checks: readonly Check[]; at: number } | undefined

  const keep = (checks: readonly Check[]) => {
    kept = { checks, at: clock() }
    return checks
  }
  const look = async (): Promise<Check[]> => {
    const [keyRing, table, primary] = await Promise.all([
      check('key ring', () => ring.check()),
      check('store', () => store.find('service', { partition: 'health', row: 'none' })),
      lookAtPrimary(),
    ])
    return [keyRing, table, ...primary]
  }
  const lookAtAll = singleFlight(async () => {
    const all = await Promise.all([look(), ...lookAtOthers.map((lookAt) => lookAt())])
    return keep(all.flat())
  })
  /** The route is public, so another provider is called only while those before it fail. */
  const lookForOne = singleFlight(async () => {
    const checks = await look()
    for (const lookAt of lookAtOthers) {
      const unready = findUnready(checks)
      if (unready !== 'provider' && unready !== 'certificate') break
      checks.push(...(await lookAt()))
    }
    return keep(checks)
  })

  return {
    checks: async () => (kept && Math.abs(clock() - kept.at) < keptFor ? kept.checks : lookForOne()),
    checksNow: lookAtAll,
  }
}

function createProviderChecks({
  provider,
  assertions,
  checkSecond,
  versions,
  timing,
  clock,
}: ProviderReadiness): () => Promise<Check[]> {
  /** @returns the fault of the certificate, while the second credential replaces it */
  const checkCertificate = async (): Promise<BrokerError | undefined> => {
    try {
      await assertions.get()
      if (versions.isRefused()) throw new BrokerError('client_refused')
      return undefined
    } catch (error) {
      if (!checkSecond) throw error
      await checkSecond().catch(() => {
        throw error
      })
      return asBrokerError(error)
    }
  }

  const aboutCertificate = (replaced: BrokerError | undefined): Partial<Check> => {
    versions.known() // looks into the row again when it is time
    const record = versions.record()
    const replacement = replaced && {
      credential: 'managed identity' as const,
      code: replaced.code,
      remedy: replaced.remedy,
    }
    if (!record) return replacement ?? {}
    const now = clock()
    const signing = chooseRecorded(record, now)
    return {
      ...replacement,
      ...(signing ? { certificateVersion: signing.version, daysLeft: daysLeft(signing.expires, now) } : {}),
      certificateVersions: record.versions.map(({ version, enabled, status, since, expires, cause, nextAt }) => ({
        version,
        signs: version === signing?.version,
        enabled,
        status,
        since: new Date(since).toISOString(),
        daysLeft: daysLeft(expires, now),
        ...defined({ cause }),
        ...(nextAt > now ? { next: new Date(nextAt).toISOString() } : {}),
      })),
      warnings: warningsOf(record, now, timing).map(({ event }) => event),
    }
  }

  return () =>
    Promise.all([
      check('provider', () => provider.metadata()),
      check('certificate', checkCertificate, aboutCertificate),
    ])
}

async function check<Found>(
  part: ReadinessPart,
  work: () => Promise<Found | undefined>,
  details: (found: Found | undefined) => Partial<Check> = () => ({}),
): Promise<Check> {
  try {
    return { ...details(await work()), part, ok: true }
  } catch (thrown) {
    const { code, remedy } = asBrokerError(thrown)
    return { ...details(undefined), part, ok: false, code, remedy }
  }
}
