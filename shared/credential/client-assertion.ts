/**
 * Proves at the token endpoint who the broker is: a client assertion (RFC 7523 §2.2) that the vault signs. The private
 * key stays in the vault; here only the text to sign is put together (RFC 7515 §5.1).
 */
import { createHash, randomUUID } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { isAboutTheVersion } from './signing-version.ts'
import type { SigningVersions } from './signing-version.ts'
import type { RollVault } from '../vault/vault.ts'
import type { SigningVersion } from './certificate-version.ts'

export interface ClientAssertions {
  /**
   * @returns an assertion with more life left than a call to the provider may take
   * @throws {BrokerError} what the vault or the certificate lacks, by name
   */
  get(): Promise<string>
  /**
   * The provider refused an assertion for its certificate.
   *
   * @returns one by the next good version, for the same request; undefined when there is none
   */
  another(refused: string): Promise<string | undefined>
  /** The provider took an assertion. */
  accepted(taken: string): void
  /** When the assertion at hand was made and ends, for the health page. */
  state(): { readonly issuedAt: number; readonly expires: number } | undefined
}

export type AssertionAlgorithm = 'PS256' | 'RS256'

/** The form of an assertion that the provider accepts. */
export interface AssertionForm {
  readonly algorithm: AssertionAlgorithm
  /** True where the header names the key by `kid`, as /.well-known/jwks.json does. */
  readonly keyId: boolean
  readonly lifetimeSeconds: number
}

export interface ClientAssertionOptions {
  readonly vault: AssertionVault
  readonly versions: SigningVersions
  readonly clientId: string
  /** From the settings, never from metadata. */
  readonly audience: string
  /** True where the provider accepts a `jti` more than once; otherwise each request gets a new assertion. */
  readonly reuse: boolean
  readonly form: () => Promise<AssertionForm>
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export type AssertionVault = Pick<RollVault, 'sign' | 'signRs256'>

/** A vault that gave no time of its own is asked again after this. */
const pauseSeconds = 5
const longestPauseSeconds = 120
/** No call to the provider may take longer than this, so an assertion is never sent with less life. */
const marginSeconds = 60

interface Assertion {
  readonly jwt: string
  /** Of the version that signed. */
  readonly thumbprint: string
  readonly issuedAt: number
  readonly expires: number
}

export function createClientAssertions(options: ClientAssertionOptions): ClientAssertions {
  const { vault, versions, reuse, clock, onFault } = options
  let kept: Assertion | undefined
  let told: { readonly error: BrokerError; readonly until: number } | undefined
  let aheadNotBefore = -Infinity

  /** A time that lies further ahead than any pause was set by a clock that has jumped back since. */
  const isStillAhead = (time: number) => clock() < time && time <= clock() + longestPauseSeconds * 1000

  /** A vault that has too much to do is left alone for as long as it said, by those in need too. */
  const makeUnlessTold = async (): Promise<Assertion> => {
    if (told && isStillAhead(told.until)) throw told.error
    try {
      return await make()
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'vault_throttled') {
        told = { error, until: clock() + (error.retryAfterSeconds ?? pauseSeconds) * 1000 }
      }
      throw error
    }
  }

  const make = async (): Promise<Assertion> => {
    const version = await versions.get()
    try {
      return await signWith(version)
    } catch (error) {
      if (!isAboutTheVersion(error)) throw error
      // Disabled or deleted since it was read: the newest that is still good signs, in the same request.
      const another = await versions.getAnew()
      if (another.version === version.version) throw error
      return signWith(another)
    }
  }

  const signWith = async (version: SigningVersion): Promise<Assertion> => {
    const form = await options.form()
    return signAssertion(vault, version, {
      ...form,
      clientId: options.clientId,
      audience: options.audience,
      now: clock(),
    })
  }

  const renew = singleFlight(async () => (kept = await makeUnlessTold()))

  /** While the assertion at hand is still good nobody waits, so a vault in trouble is asked now and then only. */
  const renewAhead = (): void => {
    if (isStillAhead(aheadNotBefore) || (told && isStillAhead(told.until))) return
    aheadNotBefore = clock() + pauseSeconds * 1000
    renew().catch(onFault)
  }

  /** By one version, for all whose assertion was refused: never twice at once. */
  const renewWith = singleFlight(
    async (version: SigningVersion): Promise<Assertion> => (kept = await signWith(version)),
    ({ version }) => version,
  )

  /** After a roll the old version is good for a while, so nobody waits for the first signature of the new one. */
  const isReplaced = () => {
    const thumbprint = versions.known()?.thumbprint
    return thumbprint !== undefined && thumbprint !== kept?.thumbprint
  }

  const secondsLeft = () => (kept ? kept.expires - clock() / 1000 : 0)
  /** A clock that jumped back would keep an assertion that is not valid yet. */
  const isUsable = () => kept !== undefined && secondsLeft() > marginSeconds && kept.issuedAt * 1000 <= clock() + 1000

  return {
    get: async () => {
      if (!reuse) return (await makeUnlessTold()).jwt
      if (!kept || !isUsable()) return (await renew()).jwt
      if (secondsLeft() < (kept.expires - kept.issuedAt) / 3 || isReplaced()) renewAhead()
      return kept.jwt
    },
    another: async (refused) => {
      const thumbprint = thumbprintOf(refused)
      if (reuse && kept && isUsable() && kept.thumbprint !== thumbprint) return kept.jwt
      try {
        const version = await versions.getOther(thumbprint)
        if (!version) return undefined
        return (await (reuse ? renewWith(version) : signWith(version))).jwt
      } catch (error) {
        // The refusal stays the answer: what went wrong on the way to another version is for the log.
        onFault(error)
        return undefined
      }
    },
    accepted: (taken) => versions.accepted(thumbprintOf(taken)),
    state: () => kept && { issuedAt: kept.issuedAt, expires: kept.expires },
  }
}

export interface AssertionClaims extends AssertionForm {
  readonly clientId: string
  readonly audience: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** One assertion by one version, whichever signs otherwise. RFC 7523 §3. */
export async function signAssertion(
  vault: AssertionVault,
  version: Pick<SigningVersion, 'version' | 'thumbprint' | 'expires'>,
  { clientId, audience, now, algorithm, keyId, lifetimeSeconds }: AssertionClaims,
): Promise<Assertion> {
  const issuedAt = Math.floor(now / 1000)
  // Not beyond the certificate: the provider would refuse it then, and nobody would learn why.
  const expires = Math.min(issuedAt + lifetimeSeconds, Math.floor(version.expires / 1000))
  const key = { ...(keyId ? { kid: version.thumbprint } : {}), 'x5t#S256': version.thumbprint }
  const header = { alg: algorithm, typ: 'JWT', ...key }
  const claims = {
    iss: clientId,
    sub: clientId,
    aud: audience,
    jti: randomUUID(),
    iat: issuedAt,
    nbf: issuedAt,
    exp: expires,
  }
  const signingInput = `${encode(header)}.${encode(claims)}`
  const digest = createHash('sha256').update(signingInput).digest()
  const signature = await (algorithm === 'PS256'
    ? vault.sign(version.version, digest)
    : vault.signRs256(version.version, digest))
  const jwt = `${signingInput}.${Buffer.from(signature).toString('base64url')}`
  return { jwt, thumbprint: version.thumbprint, issuedAt, expires }
}

/** Of an assertion that was made here. */
function thumbprintOf(jwt: string): string {
  const header = JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as Record<string, unknown>
  return String(header['x5t#S256'])
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
