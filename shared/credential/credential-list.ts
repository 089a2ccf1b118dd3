/**
 * The credentials in their order: the certificate, and a token of a managed identity that the app registration trusts
 * (federated identity credential) as the second one. The second is used where the vault fails or the provider refuses
 * the certificate. It weakens the credential, since it needs no vault, so every use is reported, and the certificate is
 * tried again after a pause.
 *
 * In a pause no request waits for the certificate: its next assertion is made in the background, and one request then
 * shows whether the provider accepts it.
 */
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { ClientAssertions } from './client-assertion.ts'
import type { ClientAssertion } from './sign-assertion.ts'

interface CredentialListOptions {
  readonly certificate: ClientAssertions
  readonly second: SecondCredential
  readonly clock: Clock
  /** @param cause the code with which the certificate failed; undefined during the pause after it */
  readonly onUse: (cause: string | undefined) => void
  /** The provider has accepted the certificate again. */
  readonly onReturn: () => void
  readonly onFault: (error: unknown) => void
}

/** Tokens of a managed identity: an Azure SDK's credential. */
interface IdentityTokens {
  getToken(scope: string): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>
}

/** A token of the managed identity, and the provider's opinion of it. */
interface SecondCredential {
  /** @throws {BrokerError} `managed_identity_unavailable` */
  get(): Promise<ClientAssertion>
  /** The provider refused the token. */
  refused(): void
  /** True for a minute after a refusal: until then the certificate alone is sent. */
  isRefused(): boolean
  /**
   * For the health page: whether the second credential could be used.
   *
   * @throws {BrokerError} `client_refused` after a refusal, `managed_identity_unavailable`
   */
  check(): Promise<void>
}

/** After a failure the certificate is not used for this long, and after a refusal the second credential is not. */
const pauseMilliseconds = 60_000

/**
 * True for a fault of the certificate or the vault. With a fault of the
 * provider or the store a second credential does not help.
 */
const isAboutCertificate = (error: unknown): error is BrokerError =>
  error instanceof BrokerError &&
  /^(vault_|certificate_|managed_identity_unavailable$|signature_invalid$|client_refused$)/.test(error.code)

/**
 * @param identity issues tokens of a user-assigned managed identity, and keeps them
 * @param tokenExchangeUrl the audience of the token, from the settings
 */
export function createSecondCredential({
  identity,
  tokenExchangeUrl,
  clock,
}: {
  readonly identity: IdentityTokens
  readonly tokenExchangeUrl: string
  readonly clock: Clock
}): SecondCredential {
  let refusedAt = -Infinity
  const isRefused = () => Math.abs(clock() - refusedAt) < pauseMilliseconds
  const get = async (): Promise<ClientAssertion> => {
    const token = await identity.getToken(`${tokenExchangeUrl}/.default`)
    if (!token) throw new BrokerError('managed_identity_unavailable', { detail: 'no token for the token exchange' })
    return {
      jwt: token.token,
      thumbprint: undefined,
      issuedAt: Math.floor(clock() / 1000),
      expires: Math.floor(token.expiresOnTimestamp / 1000),
    }
  }
  return {
    get,
    refused: () => {
      refusedAt = clock()
    },
    isRefused,
    check: async () => {
      if (isRefused()) throw new BrokerError('client_refused', { detail: 'the second credential' })
      await get()
    },
  }
}

export function createCredentialList(options: CredentialListOptions): ClientAssertions {
  const { certificate, second, clock, onFault } = options
  /** While the second credential is in use: when the certificate is tried again. */
  let fallback: { until: number; isSignedAgain: boolean } | undefined

  const startPause = () => {
    fallback = { until: clock() + pauseMilliseconds, isSignedAgain: false }
  }
  const isPaused = ({ until }: { until: number }) => clock() < until && until <= clock() + pauseMilliseconds

  const getSecond = async (cause: string | undefined): Promise<ClientAssertion> => {
    const assertion = await second.get()
    options.onUse(cause)
    return assertion
  }

  const getCertificate = async (): Promise<ClientAssertion> => {
    try {
      return await certificate.get()
    } catch (error) {
      if (!isAboutCertificate(error) || second.isRefused()) throw error
      startPause()
      return getSecond(error.code).catch((fault: unknown) => {
        onFault(fault)
        // The fault of the certificate is the one to remedy.
        throw error
      })
    }
  }

  /** The request does not wait for the vault, which may hang. */
  const signAgain = (of: { isSignedAgain: boolean }) => {
    certificate.get().then(() => {
      of.isSignedAgain = true
    }, onFault)
  }

  return {
    get: async () => {
      if (!fallback || second.isRefused()) return getCertificate()
      if (fallback.isSignedAgain) {
        // This request alone: the others use the second credential until the provider has answered.
        startPause()
        return getCertificate()
      }
      if (!isPaused(fallback)) {
        startPause()
        signAgain(fallback)
      }
      return getSecond(undefined).catch((fault: unknown) => {
        onFault(fault)
        return certificate.get()
      })
    },

    next: async (refused, repeats) => {
      if (refused.thumbprint === undefined) {
        second.refused()
        return repeats === 0 ? certificate.get().catch(() => undefined) : undefined
      }
      const other = await certificate.next(refused, repeats)
      if (other || second.isRefused()) return other
      startPause()
      return getSecond('client_refused').catch((fault: unknown) => {
        onFault(fault)
        return undefined
      })
    },

    accepted: (assertion) => {
      if (assertion.thumbprint === undefined) return
      if (fallback) options.onReturn()
      fallback = undefined
      certificate.accepted(assertion)
    },

    state: () => certificate.state(),
  }
}
