/**
 * Remedies for failures of the broker's own credential. The status of the identity endpoint and Entra's AADSTS number
 * decide, never the text; anything unknown gets the general remedy.
 */
import { forOperator } from '../errors/catalogue.ts'
import { BrokerError } from '../errors/errors.ts'

/** By the status with which the identity endpoint of App Service refuses. */
export const identityStatusRemedies: Readonly<Record<number, string>> = {
  400: 'attach the user-assigned identity whose client id AZURE_CLIENT_ID names to the function app, or correct AZURE_CLIENT_ID; then restart the app. A system-assigned identity needs no AZURE_CLIENT_ID.',
  401: 'restart the function app: its identity header is outdated. Do not set IDENTITY_HEADER or IDENTITY_ENDPOINT.',
  403: 'restart the function app: its identity header is outdated. Do not set IDENTITY_HEADER or IDENTITY_ENDPOINT.',
  404: 'delete IDENTITY_ENDPOINT from the settings: the platform injects it.',
  429: 'look for other processes of the function app that request tokens.',
}

/** By Entra's number, which the endpoint passes on. */
export const identityNumberRemedies: Readonly<Record<string, string>> = {
  500011: 'check that the vault and the storage account are in the cloud of the managed identity.',
  500014: 'enable the service principal of the resource in the tenant of the managed identity.',
  7000112: 'enable the service principal of the managed identity in Entra ID.',
  700016: 'create the managed identity again and attach it to the function app: Entra ID does not know it.',
  53003: 'exclude the managed identity from the Conditional Access policy for workload identities that blocks it.',
}

const unreachable =
  'attach a managed identity to the function app and restart it: no identity endpoint responds. On a laptop run npm start, which starts the emulator.'
const developer = 'run az login or azd auth login with an account of the vault’s tenant.'

/**
 * @param cause as the credential threw it
 * @param isManagedIdentity false for a developer's own sign-in
 */
export function identityRefusal(cause: unknown, isManagedIdentity: boolean): BrokerError {
  if (!isManagedIdentity) {
    return new BrokerError('managed_identity_unavailable', { cause, remedy: forOperator(developer) })
  }
  const { status, number, isUnreachable } = readFailure(cause)
  const remedy =
    (number === undefined ? undefined : identityNumberRemedies[number]) ??
    (status === undefined ? undefined : identityStatusRemedies[status]) ??
    (isUnreachable ? unreachable : undefined)
  const detail = [status && `identity endpoint answered ${status}`, number && `AADSTS${number}`].filter(Boolean)
  return new BrokerError('managed_identity_unavailable', {
    cause,
    ...(detail.length > 0 ? { detail: detail.join(' ') } : {}),
    ...(remedy === undefined ? {} : { remedy: forOperator(remedy) }),
  })
}

interface Failure {
  readonly status: number | undefined
  readonly number: string | undefined
  readonly isUnreachable: boolean
}

const connectionCodes = ['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'ENOTFOUND', 'network_error']

/** Reads the chain of causes: Azure's SDK wraps MSAL's error, which has the status. */
function readFailure(cause: unknown): Failure {
  let [status, number, isUnreachable]: [number | undefined, string | undefined, boolean] = [undefined, undefined, false]
  for (let level = cause, depth = 0; level instanceof Error && depth < 6; level = level.cause, depth++) {
    const { status: own, statusCode, code, errorCode } = level as Error & Readonly<Record<string, unknown>>
    status ??= [own, statusCode].find((one): one is number => typeof one === 'number')
    number ??= /AADSTS(\d{4,7})/.exec(level.message)?.[1]
    isUnreachable ||= connectionCodes.some((known) => known === code || known === errorCode)
    isUnreachable ||= /\b(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH)\b/.test(level.message)
  }
  return { status, number, isUnreachable }
}
