/**
 * Chooses the version that signs, for the request path. It follows the record that the roll writes
 * (shared/certificate/), kept in memory for a bounded time: a cold sign-in reads no certificate, and a roll reaches
 * every instance. Without a record the newest valid version signs, and the provider's answer to it is recorded.
 */
import { readFacts } from '../certificate/certificate-facts.ts'
import type { CertificateFacts } from '../certificate/certificate-facts.ts'
import type { RollTiming } from '../certificate/roll-timing.ts'
import { chooseRecorded, demote, emptyRecord, observe, unknownVersions } from '../certificate/certificate-state.ts'
import type { CertificateRecord, RecordedVersion } from '../certificate/certificate-state.ts'
import type { CertificateRecords } from '../certificate/certificate-state.store.ts'
import { BrokerError } from '../errors/errors.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { byAgeOfListed, chooseVersion } from './certificate-version.ts'
import type { SigningVersion } from './certificate-version.ts'
import { createRecordInMemory } from './record-in-memory.ts'
import type { CertificateVault, CertificateVersion } from '../vault/vault.ts'

export interface SigningVersions {
  /** The version that signs now. Reads the vault only where neither memory nor the store has a record. */
  get(): Promise<SigningVersion>
  /** Reads the vault again: it refused to sign by the known version. */
  reread(): Promise<SigningVersion>
  /**
   * The provider refused a version.
   *
   * @param thumbprint of the refused version
   * @returns the next good one; undefined when there is none
   */
  nextAccepted(thumbprint: string): Promise<SigningVersion | undefined>
  /** The provider accepted a version. */
  accepted(thumbprint: string): void
  /** The version that signs, from memory. Starts a new reading of the row when it is time, and does not wait for it. */
  known(): SigningVersion | undefined
  /** The whole record, for the health page. */
  record(): CertificateRecord | undefined
  /**
   * The whole record, for the published keys. Waits for a new reading of the row when it is time: an instance that
   * serves nothing else would publish an old record.
   *
   * @throws {BrokerError} as `get`, where there is no record yet
   */
  dueRecord(): Promise<CertificateRecord | undefined>
  /** Stores in memory the record that the roll, in this process, has just written. */
  learn(record: CertificateRecord): void
  /** True where the provider has refused every version, and has accepted none since. */
  isRefused(): boolean
}

interface SigningVersionOptions {
  readonly vault: CertificateVault
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
  readonly records: CertificateRecords
  readonly timing: RollTiming
  /** The provider refuses every version: called once, not with each request. */
  readonly onRefused?: (version: string | undefined) => void
}

/** After this long without a reading of the vault by a timer, the instances read it themselves. */
const readVaultAfter = 60 * 60 * 1000
/** A refused version does not sign for this long, where another is good. */
const refusedFor = 5 * 60 * 1000
/** The most readings of row and vault in a minute because of refusals. */
const recoveriesAMinute = 4

export function createSigningVersions(options: SigningVersionOptions): SigningVersions {
  const { vault, records, clock, onFault } = options
  const memory = createRecordInMemory({ records, readMilliseconds: options.timing.read, clock, onFault })
  /** Until when each refused version does not sign, by thumbprint. */
  const refusals = new BoundedMap<string, number>(32)
  let recoveries: readonly number[] = []
  let refused = false

  const chooseBy = (isRefused?: (version: RecordedVersion) => boolean) => {
    const record = memory.known()
    return record && chooseRecorded(record, clock(), isRefused)
  }
  const chooseGood = () => chooseBy(({ thumbprint }) => (refusals.get(thumbprint) ?? 0) > clock())
  const choose = () => chooseGood() ?? chooseBy()
  const isStale = () => Math.abs(clock() - (memory.known()?.readAt ?? clock())) > readVaultAfter

  /** @param all false on the request path, where only the certificate that will sign is read */
  const readVault = singleFlight(async (all: boolean): Promise<void> => {
    const at = clock()
    const listed = await vault.listVersions()
    const before = memory.known() ?? emptyRecord
    const unread = all ? unknownVersions(before, listed, clock()) : versionToRead(before, listed, clock())
    const facts = new Map<string, CertificateFacts>()
    for (const version of unread) facts.set(version, readFacts(await vault.readCertificate(version)))
    memory.change((record) => observe(record, listed, facts, at))
    if (choose()) return
    chooseVersion(listed, clock()) // throws the error that names the cause
    throw new BrokerError('certificate_missing', { detail: 'the versions in the vault were taken out of use' })
  })

  /** Never throws: a fault is logged. */
  const readAgain = async (): Promise<void> => {
    try {
      await memory.read()
      if (isStale()) await readVault(false)
    } catch (error) {
      // Not again at the next request: the record in memory is still good.
      const record = memory.known()
      if (record) memory.keep(record)
      onFault(error)
    }
  }

  const readRowOrVault = singleFlight(async (): Promise<SigningVersion> => {
    await memory.read().catch(onFault)
    // A row that no run of the roll has written for so long is stale, or an old one that was put back: a version may
    // have been disabled since.
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
      await memory.read().catch(onFault)
      if (chooseGood()?.status !== 'accepted') await readVault(true).catch(onFault)
    }
    const other = chooseGood()
    if (other) {
      // By the row every instance learns it. The roll finds out when the provider accepts that version again.
      memory.change((record) => demote(record, thumbprint, clock()))
      return other
    }
    if (!refused) {
      refused = true
      options.onRefused?.(chooseBy()?.version)
    }
    return undefined
  })

  return {
    get: async () => {
      const chosen = choose()
      if (!chosen) return readRowOrVault()
      if (memory.isDue()) void readAgain()
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
      if (chosen && memory.isDue()) void readAgain()
      return chosen && toSigning(chosen)
    },
    record: () => memory.known(),
    dueRecord: async () => {
      if (!memory.known()) await readRowOrVault()
      else if (memory.isDue()) await readAgain()
      return memory.known()
    },
    // It is the row's content now. Compared by time it could look older, where this instance's clock is behind.
    learn: (record) => memory.keep(record),
    isRefused: () => refused,
  }
}

/**
 * @returns the newest unknown version where it will sign; none where the provider is known to accept one of the record
 */
function versionToRead(
  known: CertificateRecord,
  listed: readonly CertificateVersion[],
  now: number,
): readonly string[] {
  const chosen = chooseRecorded(observe(known, listed, new Map(), now), now)
  if (chosen?.status === 'accepted') return []
  const unknown = unknownVersions(known, listed, now)
  const newest = listed
    .filter(({ version, notBefore }) => unknown.includes(version) && (notBefore ?? Infinity) <= now)
    .sort(byAgeOfListed)[0]
  return newest && (!chosen || newest.created > chosen.created) ? [newest.version] : []
}

function toSigning(chosen: RecordedVersion | undefined): SigningVersion {
  if (!chosen) throw new BrokerError('certificate_missing')
  const { version, thumbprint, publicKey, expires } = chosen
  return { version, thumbprint, publicKey, expires }
}

/** True for a refusal of the vault that concerns one version: another may still sign. */
export function isAboutTheVersion(error: unknown): boolean {
  return error instanceof BrokerError && (error.code === 'vault_forbidden' || error.code === 'certificate_missing')
}
