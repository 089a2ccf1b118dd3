/**
 * Which version signs, kept in memory and in the store, so that a cold sign-in reads no certificate and a new version
 * reaches every instance within a bounded time.
 */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { Store } from '../session/store.ts'
import type { Clock } from '../timing/deadline.ts'
import { singleFlight } from '../timing/single-flight.ts'
import { chooseVersion } from './certificate-version.ts'
import type { SigningVersion } from './certificate-version.ts'
import type { CertificateVault } from './vault.ts'

export interface SigningVersions {
  /** The version that signs now; asks the vault only where neither memory nor the store knows. */
  get(): Promise<SigningVersion>
  /** What is known was wrong (the vault refused to sign with it): look in the vault again. */
  getAnew(): Promise<SigningVersion>
  /** What is known without asking anyone. */
  known(): SigningVersion | undefined
}

export interface SigningVersionOptions {
  readonly vault: CertificateVault
  readonly store: Store
  readonly certificateName: string
  readonly vaultUrl: string
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

const partition = 'certificate'
const format = '1'
/** A disabled version stops being used, and a new one begins to be, within this time. */
const readAgainAfter = 60 * 60 * 1000

interface Read {
  readonly version: SigningVersion
  readonly readAt: number
}

export function createSigningVersions(options: SigningVersionOptions): SigningVersions {
  const { vault, store, clock, onFault } = options
  const row = createHash('sha256').update(`${options.vaultUrl} ${options.certificateName}`).digest('base64url')
  let kept: Read | undefined

  const isValid = ({ version: { notBefore, expires } }: Read) => notBefore <= clock() && clock() < expires
  const isFresh = ({ readAt }: Read) => Math.abs(clock() - readAt) < readAgainAfter

  const readStore = async (): Promise<Read | undefined> => {
    const found = await store.find('service', { partition, row })
    return found && parseRead(found.values)
  }

  /** The row is a hint that spares others the vault: two instances that write it at once write the same. */
  const writeStore = async ({ version, readAt }: Read): Promise<void> => {
    const next = {
      partition,
      row,
      sweepAfter: new Date(version.expires),
      values: { format, read: JSON.stringify({ ...version, readAt }) },
    }
    const there = await store.find('service', { partition, row }, ['format'])
    if (there) await store.replace('service', next, there.etag)
    else await store.insert('service', next)
  }

  const readVault = singleFlight(async (): Promise<SigningVersion> => {
    const { version, notBefore, expires } = chooseVersion(await vault.listVersions(), clock())
    const thumbprint =
      kept?.version.version === version ? kept.version.thumbprint : thumbprintOf(await vault.readCertificate(version))
    const read = { version: { version, thumbprint, notBefore, expires }, readAt: clock() }
    kept = read
    // Signing does not wait for a row that only spares others a read.
    writeStore(read).catch(onFault)
    return read.version
  })

  const readStoreOrVault = singleFlight(async (): Promise<SigningVersion> => {
    const stored = await readStore().catch((error: unknown) => {
      onFault(error)
      return undefined
    })
    if (stored && isValid(stored)) {
      kept = stored
      if (!isFresh(stored)) readVault().catch(onFault)
      return stored.version
    }
    return readVault()
  })

  return {
    get: async () => {
      if (!kept || !isValid(kept)) return readStoreOrVault()
      if (!isFresh(kept)) readVault().catch(onFault)
      return kept.version
    },
    getAnew: () => readVault(),
    known: () => kept?.version,
  }
}

function thumbprintOf(certificate: Uint8Array): string {
  return createHash('sha256').update(certificate).digest('base64url')
}

function parseRead(values: Readonly<Record<string, string | Uint8Array>>): Read | undefined {
  if (values.format !== format || typeof values.read !== 'string') return undefined
  try {
    const { version, thumbprint, notBefore, expires, readAt } = JSON.parse(values.read) as Record<string, unknown>
    const isSound =
      typeof version === 'string' &&
      /^[0-9a-f]{32}$/i.test(version) &&
      typeof thumbprint === 'string' &&
      /^[\w-]{43}$/.test(thumbprint) &&
      typeof notBefore === 'number' &&
      typeof expires === 'number' &&
      typeof readAt === 'number'
    return isSound ? { version: { version, thumbprint, notBefore, expires }, readAt } : undefined
  } catch {
    return undefined
  }
}

/** For the vault's answers that speak of one version: another may still do. */
export function isAboutTheVersion(error: unknown): boolean {
  return error instanceof BrokerError && (error.code === 'vault_forbidden' || error.code === 'certificate_missing')
}
