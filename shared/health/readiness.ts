/** Whether this instance can sign people in, part by part, from what it needs anyway; asked at most every few seconds. */
import type { ClientAssertions } from '../credential/client-assertion.ts'
import type { SigningVersions } from '../credential/signing-version.ts'
import { asBrokerError, errorCatalogue } from '../errors.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Store } from '../session/store.ts'
import type { IdentityProvider } from '../signin/identity-provider.ts'
import type { Clock } from '../timing/deadline.ts'
import { singleFlight } from '../timing/single-flight.ts'

/** The word that `/health/ready` says: `ready`, or the first part that is not. */
export type ReadinessPart = 'settings' | 'key ring' | 'store' | 'provider' | 'certificate'

export interface Check {
  readonly part: ReadinessPart
  readonly ok: boolean
  readonly code?: string
  readonly mend?: string
  readonly certificateVersion?: string
  readonly daysLeft?: number
}

export interface Readiness {
  /** Never throws: what fails is a check that is not ok. */
  checks(): Promise<readonly Check[]>
}

export interface ReadinessOptions {
  readonly ring: KeyRing
  readonly store: Store
  readonly provider: IdentityProvider
  readonly assertions: ClientAssertions
  readonly versions: SigningVersions
  readonly clock: Clock
}

/** A probe that anyone may call must not become a load. */
const keptFor = 5_000

export function createReadiness({ ring, store, provider, assertions, versions, clock }: ReadinessOptions): Readiness {
  let kept: { checks: readonly Check[]; at: number } | undefined

  const look = singleFlight(async (): Promise<readonly Check[]> => {
    const checks = await Promise.all([
      check('key ring', () => ring.current()),
      check('store', () => store.find('service', { partition: 'health', row: 'none' })),
      check('provider', () => provider.metadata()),
      check('certificate', () => assertions.get(), aboutCertificate),
    ])
    kept = { checks, at: clock() }
    return checks
  })

  const aboutCertificate = (): Partial<Check> => {
    const version = versions.known()
    if (!version) return {}
    return { certificateVersion: version.version, daysLeft: Math.floor((version.expires - clock()) / 86_400_000) }
  }

  return {
    checks: async () => (kept && clock() - kept.at < keptFor ? kept.checks : look()),
  }
}

async function check(
  part: ReadinessPart,
  work: () => Promise<unknown>,
  told: () => Partial<Check> = () => ({}),
): Promise<Check> {
  try {
    await work()
    return { ...told(), part, ok: true }
  } catch (thrown) {
    const { code } = asBrokerError(thrown)
    return { part, ok: false, code, mend: errorCatalogue[code].mend }
  }
}
