/**
 * Remedies for refusals of Microsoft Graph at a registration of keys. Its error code decides; unknown codes are safe.
 */
import { BrokerError } from '../errors/errors.ts'

const objectId =
  'Write the Object ID of the app registration (not of its service principal) into Broker__ApplicationObjectId.'
const owner =
  'Check that Broker__ApplicationObjectId names the app registration of AzureAd__ClientId: an application changes only its own keys. Where a policy forbids that, register the new version by hand as docs/certificate.md describes.'
const proof =
  'Check that a registered, unexpired version of the certificate is enabled in the vault, and the clock: Graph did not accept the proof. Otherwise register the new version by hand as docs/certificate.md describes.'
const policy =
  'Change the app management policy of the tenant, or shorten the certificate’s validity to the maximum of that policy. Until then register a version by hand as docs/certificate.md describes.'
const limit = 'Delete key credentials of the app registration that are no longer used, then wait for the next run.'
const wait = 'Wait: the next run of rollCertificate tries again.'

/** By Graph's code. Sources: Microsoft Graph documentation, "Error responses" and "app management policies". */
export const graphRemedies: Readonly<Record<string, string>> = {
  Authorization_RequestDenied: owner,
  Authorization_IdentityNotFound: objectId,
  Request_ResourceNotFound: objectId,
  ResourceNotFound: objectId,
  Request_BadRequest: proof,
  BadRequest: proof,
  Authentication_Unauthorized: proof,
  Authentication_ExpiredToken: proof,
  Authentication_MissingOrMalformed: proof,
  InvalidAuthenticationToken:
    'Check that Broker__GraphUrl and AzureAd__Instance are in the same cloud, and the clock: Graph did not accept the application’s token.',
  CredentialInvalidLifetimeAsPerAppPolicy: policy,
  CredentialTypeNotAllowedAsPerAppPolicy: policy,
  KeyCredentialsInvalidLifetime: policy,
  KeyCredentialsInvalidEndDate: policy,
  KeyCredentialsInvalidStartDate: policy,
  Directory_QuotaExceeded: limit,
  Request_EntityTooLarge: limit,
  Directory_ConcurrencyViolation: wait,
  TooManyRequests: wait,
  Request_ThrottledTemporarily: wait,
  ServiceNotAvailable: wait,
  Service_InternalServerError: wait,
}

/**
 * @param action `addKey` or `removeKey`
 * @param error the member `error` of Graph's JSON; untrusted. Only letters of its code are used: its message may quote
 *   the request, and a token has digits and dots
 */
export function graphRefusal(action: string, status: number, error: unknown): BrokerError {
  const { code, innerError } = (error ?? {}) as { code?: unknown; innerError?: { code?: unknown } | null }
  const codes = [innerError?.code, code].filter(isCode)
  const known = codes.find((one) => Object.hasOwn(graphRemedies, one))
  return new BrokerError('registration_refused', {
    detail: `${action} answered ${status} ${known ?? codes.at(-1) ?? '?'}`,
    ...(known === undefined ? {} : { remedy: graphRemedies[known] }),
  })
}

function isCode(code: unknown): code is string {
  return typeof code === 'string' && /^[A-Za-z_]{1,60}$/.test(code)
}
