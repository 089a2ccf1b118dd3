/**
 * Which version signs, for the request path: from what the roll has written down (shared/certificate/), kept in memory
 * for a bounded time, so that a cold sign-in reads no certificate and a roll reaches every instance. Where nothing is
 * written, the newest valid version signs, and what the provider says about it is learned.
 */
import { readFacts } from '../certificate/certificate-facts.ts'
import type { CertificateFacts } from '../certificate/certificate-facts.ts'
import { paceOf } from '../certificate/roll-timing.ts'
import type { Pace } from '../certificate/roll-timing.ts'
import { chooseRecorded, emptyRecord, observe, unknownVersions } from '../certificate/certificate-state.ts'
import type { CertificateRecord, RecordedVersion } from '../certificate/certificate-state.ts'
import type { CertificateRecords } from '../certificate/certificate-state.store.ts'
import { demote } from '../certificate/roll-steps.ts'
import { BrokerError } from '../errors/errors.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { byAgeOfListed, chooseVersion } from './certificate-version.ts'
import type { SigningVersion } from './certificate-version.ts'
import type { CertificateVersion } from '../vault/vault.ts'
import type { CertificateVault } from '../vault/vault.ts'

export interface SigningVersions {
  /** The version that signs now; asks the vault only where neither memory nor the store knows. */
  get(): Promise<SigningVersion>
  /** What is known was wrong (the vault refused to sign with it): look in the vault again. */
  reread(): Promise<SigningVersion>
  /**
   * The provider refused a version.
   *
   * @param thumbprint of the refused version
   * @returns the next good one; undefined when there is none, or when it was asked too often in a minute
   */
  nextAccepted(thumbprint: string): Promise<SigningVersion | undefined>
  /** The provider took a version. */
  accepted(thumbprint: string): void
  /** The version that signs, as far as memory knows; looks into the row again, without waiting, when it is time. */
  known(): SigningVersion | undefined
  /** Everything that is known, for the health page and the published keys. */
  record(): CertificateRecord | undefined
  /** The roll, in this process, has just written this. */
  learn(record: CertificateRecord): void
  /** Whether the provider has refused every version, and none since was accepted. */
  isRefused(): boolean
}

export interface SigningVersionOptions {
  readonly vault: CertificateVault
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
  readonly records: CertificateRecords
  readonly pace?: Pace
  /** The provider refuses every version: told once, not once a request. */
  readonly onRefused?: (version: string | undefined) => void
}

/** When nobody's timer has read the vault for this long, the instances do it themselves. */
const readVaultAfter = 60 * 60 * 1000
/** A refused version is left alone this long, where another is good. */
const refusedFor = 5 * 60 * 1000
/** Looks into row and vault, in a minute, because of refusals. */
const recoveriesAMinute = 4

interface Kept {
  readonly record: CertificateRecord
  readonly at: number
}

export function createSigningVersions(options: SigningVersionOptions): SigningVersions {
  const { vault, records, clock, onFault } = options
  const pace = options.pace ?? paceOf({ readSeconds: 300, overlapSeconds: 86_400 })
  const refusals = new BoundedMap<string, number>(32)
  let recoveries: readonly number[] = []
  let kept: Kept | undefined
  let refused = false
  let writing: Promise<void> = Promise.resolve()
  let unwritten = 0

  const keep = (record: CertificateRecord) => {
    kept = { record, at: clock() }
  }
  /** A row that is older than what the vault has just said must not hide it. */
  const keepUnlessOlder = (record: CertificateRecord) =>
    keep(kept && record.readAt < kept.record.readAt ? kept.record : record)

  const isRefusedNow = ({ thumbprint }: RecordedVersion) => (refusals.get(thumbprint) ?? 0) > clock()
  const chooseGood = () => kept && chooseRecorded(kept.record, clock(), isRefusedNow)
  const choose = () => chooseGood() ?? (kept && chooseRecorded(kept.record, clock()))
  const isStale = () => kept !== undefined && Math.abs(clock() - kept.record.readAt) > readVaultAfter
  const isTimeToLook = () => kept === undefined || Math.abs(clock() - kept.at) >= pace.read

  /** Into memory at once, and into the row in the background, one after the other: nobody waits for a row. */
  const learnAndWrite = (change: (record: CertificateRecord) => CertificateRecord): void => {
    keep(change(kept?.record ?? emptyRecord))
    unwritten += 1
    writing = writing
      .then(() => records.update(change))
      .then(
        ({ record }) => {
          unwritten -= 1
          if (unwritten === 0) keepUnlessOlder(record)
        },
        (error: unknown) => {
          unwritten -= 1
          onFault(error)
        },
      )
  }

  const readRow = singleFlight(async (): Promise<void> => {
    const { record, etag } = await records.load()
    if (etag !== undefined && unwritten === 0) keepUnlessOlder(record)
  })

  const readVersions = async (all: boolean): Promise<void> => {
    const listed = await vault.listVersions()
    const before = kept?.record ?? emptyRecord
    const facts = new Map<string, CertificateFacts>()
    for (const version of versionsToRead(before, listed, all)) {
      facts.set(version, readFacts(await vault.readCertificate(version)))
    }
    learnAndWrite((record) => observe(record, listed, facts, clock()))
    if (!choose()) {
      chooseVersion(listed, clock()) // names what is wrong
      throw new BrokerError('certificate_missing', { detail: 'the versions in the vault were taken out of use' })
    }
  }

  /** A certificate is read only where it matters: on a request's way that is the one that will sign. */
  const versionsToRead = (before: CertificateRecord, listed: readonly CertificateVersion[], all: boolean) => {
    const unknown = unknownVersions(before, listed, clock())
    if (all) return unknown
    const chosen = chooseRecorded(observe(before, listed, new Map(), clock()), clock())
    if (chosen?.status === 'accepted') return []
    const newest = listed
      .filter(({ version, notBefore }) => unknown.includes(version) && (notBefore ?? Infinity) <= clock())
      .sort(byAgeOfListed)[0]
    return newest && (!chosen || newest.created > chosen.created) ? [newest.version] : []
  }
  const readVault = singleFlight(readVersions)

  const lookAgain = (): void => {
    readRow()
      .then(async () => {
        if (isStale()) await readVault(false)
      })
      .catch((error: unknown) => {
        // Not again at the next request: what is kept is still good.
        if (kept) keep(kept.record)
        onFault(error)
      })
  }

  const readRowOrVault = singleFlight(async (): Promise<SigningVersion> => {
    await readRow().catch(onFault)
    // A row that no run of the roll has touched for so long is stale, or an old one that was put back: what it says of
    // a version that was disabled since is not true any more.
    if (!choose()) await readVault(false)
    else if (isStale()) await readVault(false).catch(onFault)
    return toSigning(choose())
  })

  const mayRecover = () => {
    recoveries = recoveries.filter((at) => at > clock() - 60_000 && at <= clock())
    if (recoveries.length >= recoveriesAMinute) return false
    recoveries = [...recoveries, clock()]
    return true
  }

  /** Once for all requests whose assertion was refused. */
  const recover = singleFlight(async (thumbprint: string): Promise<RecordedVersion | undefined> => {
    if (mayRecover()) {
      await readRow().catch(onFault)
      if (chooseGood()?.status !== 'accepted') await readVault(true).catch(onFault)
    }
    const other = chooseGood()
    if (other) {
      // Every instance learns it; the roll finds out when the provider takes that version again.
      learnAndWrite((record) => demote(record, thumbprint, 'client_refused', clock()))
      return other
    }
    if (!refused) {
      refused = true
      options.onRefused?.(kept && chooseRecorded(kept.record, clock())?.version)
    }
    return undefined
  })

  return {
    get: async () => {
      const chosen = choose()
      if (!chosen) return readRowOrVault()
      if (isTimeToLook()) lookAgain()
      return toSigning(chosen)
    },
    reread: async () => {
      await readVault(false)
      return toSigning(choose())
    },
    nextAccepted: async (thumbprint) => {
      refusals.set(thumbprint, clock() + refusedFor)
      const other = await recover(thumbprint)
      return other && toSigning(other)
    },
    accepted: (thumbprint) => {
      refused = false
      refusals.delete(thumbprint)
    },
    known: () => {
      const chosen = choose()
      if (chosen && isTimeToLook()) lookAgain()
      return chosen && toSigning(chosen)
    },
    record: () => kept?.record,
    // It is what stands in the row now; a clock that is behind would take it for older than what it was told before.
    learn: keep,
    isRefused: () => refused,
  }
}

function toSigning(chosen: RecordedVersion | undefined): SigningVersion {
  if (!chosen) throw new BrokerError('certificate_missing')
  const { version, thumbprint, publicKey, notBefore, expires } = chosen
  return { version, thumbprint, publicKey, notBefore, expires }
}

/** For the vault's answers that speak of one version: another may still do. */
export function isAboutTheVersion(error: unknown): boolean {
  return error instanceof BrokerError && (error.code === 'vault_forbidden' || error.code === 'certificate_missing')
}
