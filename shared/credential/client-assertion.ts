/**
 * The broker's proof at the token endpoint: a client assertion (RFC 7523 §2.2) that the vault signs. Owns when an
 * assertion is made, reused, renewed and dropped. signing-version.ts chooses the version,
 * sign-assertion.ts makes the JWT.
 *
 * States of the assertion at hand: none; fresh (sent as it is); in its last third, or by a version that was replaced
 * (sent, and renewed in the background); less life left than a call may take (renewed first); refused (dropped).
 */
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { isAboutTheVersion } from './signing-version.ts'
import type { SigningVersions } from './signing-version.ts'
import type { SigningVersion } from './certificate-version.ts'
import { signAssertion } from './sign-assertion.ts'
import type { AssertionForm, AssertionVault, ClientAssertion } from './sign-assertion.ts'

export interface ClientAssertions {
  /**
   * @returns an assertion with more life left than a call to the provider may take
   * @throws {BrokerError} the fault of vault or certificate by its code; `signature_invalid`; `client_refused` during
   *   the pause after the provider refused several in a row
   */
  get(): Promise<ClientAssertion>
  /**
   * The provider refused an assertion and blames the certificate. The assertion is not returned again.
   *
   * @param repeats how often this request was repeated before, so that it ends
   * @returns one by the next good version, for the same request; undefined when there is none
   */
  next(refused: ClientAssertion, repeats: number): Promise<ClientAssertion | undefined>
  /** The provider accepted an assertion. */
  accepted(assertion: ClientAssertion): void
  /** Start and end of the assertion at hand, for the health page. */
  state(): Pick<ClientAssertion, 'issuedAt' | 'expires'> | undefined
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

/** The pause after a 429 without Retry-After. */
const pauseSeconds = 5
const longestPauseSeconds = 120
/** No call to the provider may take longer than this, so an assertion is never sent with less life. */
const marginSeconds = 60
/** After so many bad signatures, or refused assertions, in a row each further one is followed by a pause. */
const freeFailures = 5
const pauseAfterRefusal = 1_000

export function createClientAssertions(options: ClientAssertionOptions): ClientAssertions {
  const { versions, reuse, clock, onFault } = options
  let kept: ClientAssertion | undefined
  let pause: { readonly error: BrokerError; readonly until: number } | undefined
  let aheadNotBefore = -Infinity
  const failures = { signature: 0, refusal: 0 }

  /** A time that is further ahead than any pause was set by a clock that has jumped back since. */
  const isStillAhead = (time: number) => clock() < time && time <= clock() + longestPauseSeconds * 1000
  const pauseFor = (error: BrokerError, milliseconds: number) => {
    pause = { error, until: clock() + milliseconds }
  }

  /** During a pause no request calls the vault, not even one without an assertion. */
  const makeUnlessPaused = async (): Promise<ClientAssertion> => {
    if (pause && isStillAhead(pause.until)) throw pause.error
    try {
      const made = await makeAssertion(options)
      failures.signature = 0
      return made
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'vault_throttled') {
        pauseFor(error, (error.retryAfterSeconds ?? pauseSeconds) * 1000)
      }
      if (error instanceof BrokerError && error.code === 'signature_invalid') {
        failures.signature += 1
        if (failures.signature > freeFailures) pauseFor(error, pauseSeconds * 1000)
      }
      throw error
    }
  }

  const renew = singleFlight(async () => (kept = await makeUnlessPaused()))

  /** No request waits while the assertion at hand is good, so a failing vault is called only every few seconds. */
  const renewAhead = (): void => {
    if (isStillAhead(aheadNotBefore) || (pause && isStillAhead(pause.until))) return
    aheadNotBefore = clock() + pauseSeconds * 1000
    renew().catch(onFault)
  }

  /** By one version, for all requests whose assertion was refused: never twice at once. */
  const renewWith = singleFlight(
    async (version: SigningVersion): Promise<ClientAssertion> => (kept = await signWith(version, options)),
    ({ version }) => version,
  )

  /** After a roll the old version is good for a while, so no request waits for the first signature of the new one. */
  const isReplaced = () => {
    const thumbprint = versions.known()?.thumbprint
    return thumbprint !== undefined && thumbprint !== kept?.thumbprint
  }

  /** The same bytes would be refused again; a new signature has other times, and perhaps another version. */
  const drop = (refused: ClientAssertion): void => {
    if (kept?.jwt !== refused.jwt) return
    kept = undefined
    failures.refusal += 1
    if (failures.refusal > freeFailures) pauseFor(new BrokerError('client_refused'), pauseAfterRefusal)
  }

  const secondsLeft = () => (kept ? kept.expires - clock() / 1000 : 0)
  /** A clock that jumped back would keep an assertion that is not valid yet. */
  const isUsable = () => kept !== undefined && secondsLeft() > marginSeconds && kept.issuedAt * 1000 <= clock() + 1000

  return {
    get: async () => {
      if (!reuse) return makeUnlessPaused()
      if (!kept || !isUsable()) return renew()
      if (secondsLeft() < (kept.expires - kept.issuedAt) / 3 || isReplaced()) renewAhead()
      return kept
    },
    next: async (refused, repeats) => {
      // Once: a provider that refuses two versions has another reason.
      if (refused.thumbprint === undefined || repeats > 0) return undefined
      if (reuse && kept && isUsable() && kept.thumbprint !== refused.thumbprint) return kept
      try {
        const version = await versions.nextAccepted(refused.thumbprint)
        if (version) return await (reuse ? renewWith(version) : signWith(version, options))
      } catch (error) {
        // The request still answers with the refusal; the fault on the way to another version goes to the log.
        onFault(error)
      }
      drop(refused)
      return undefined
    },
    accepted: ({ thumbprint }) => {
      if (thumbprint === undefined) return
      failures.refusal = 0
      versions.accepted(thumbprint)
    },
    state: () => kept && { issuedAt: kept.issuedAt, expires: kept.expires },
  }
}

async function makeAssertion(options: ClientAssertionOptions): Promise<ClientAssertion> {
  const { versions } = options
  const version = await versions.get()
  try {
    return await signWith(version, options)
  } catch (error) {
    if (!isAboutTheVersion(error)) throw error
    // Disabled or deleted since it was read: the newest that is still good signs, in the same request.
    const other = await versions.reread()
    if (other.version === version.version) throw error
    return signWith(other, options)
  }
}

async function signWith(
  version: SigningVersion,
  { vault, form, clientId, audience, clock }: ClientAssertionOptions,
): Promise<ClientAssertion> {
  return signAssertion(vault, version, { ...(await form()), clientId, audience, now: clock() })
}
