/**
 * Tokens of the managed identity by MSAL, from the identity endpoint of App Service (`IDENTITY_ENDPOINT`). MSAL redeems
 * the codes of sign-ins as well, so an instance loads it in any case. `ManagedIdentityCredential` of `@azure/identity`
 * is a wrapper around the same class: with its HTTP pipeline it would be a quarter of the code that a first sign-in
 * loads.
 */
import { LogLevel, ManagedIdentityApplication } from '@azure/msal-node'
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import type { AccessToken } from '@azure/core-auth'
import { createExchange, retryOnce } from '../http/exchange.ts'
import type { HttpResponse } from '../http/exchange.ts'
import { isObject } from '../json/json.ts'

/**
 * The identity endpoint refused. The message has Entra's number where the response names one, and no other text of it.
 */
class IdentityEndpointError extends Error {
  readonly status: number

  constructor({ status, body }: HttpResponse) {
    const number = /AADSTS\d{4,7}/.exec(body.toString('utf8'))?.[0]
    super(['The identity endpoint refused the request.', number].filter(Boolean).join(' '))
    this.name = 'IdentityEndpointError'
    this.status = status
  }
}

/** Of one request and its repetition. A caller bounds the whole call. */
const deadlineMilliseconds = 5_000
/** Of the endpoint's answers: a token and an end. */
const maxBytes = 64 * 1024
const exchange = createExchange({ maxBytes })
/** By resource. MSAL reports each failure of its network client as one and the same error. */
const failures = new Map<string, unknown>()

/**
 * Always direct: each request carries the header that opens the identity endpoint, which is on this machine or on a
 * link-local address. For the same reason no redirect is followed.
 */
async function get(url: string, options?: NetworkRequestOptions): Promise<NetworkResponse<object>> {
  const address = new URL(url)
  try {
    const until = performance.now() + deadlineMilliseconds
    const path = `${address.pathname}${address.search}`
    const request = { method: 'GET', path, headers: options?.headers ?? {} }
    const response = await retryOnce(() => exchange(address, request, until), until)
    if (response.status !== 200) throw new IdentityEndpointError(response)
    const body: unknown = JSON.parse(response.body.toString('utf8'))
    if (!isObject(body)) throw new TypeError('The identity endpoint returned no JSON object.')
    return { status: response.status, headers: {}, body }
  } catch (error) {
    failures.set(address.searchParams.get('resource') ?? '', error)
    throw error
  }
}

/**
 * @param clientId of a user-assigned identity; the system-assigned one where it is undefined
 * @param scope ends in `/.default`; one call at a time for each scope
 * @throws {IdentityEndpointError}, the exchange's errors, and MSAL's for an unusable token
 */
export async function managedIdentityToken(clientId: string | undefined, scope: string): Promise<AccessToken> {
  const resource = scope.replace(/\/\.default$/, '')
  failures.delete(resource)
  // The first application of a process decides on the network client of all.
  const application = new ManagedIdentityApplication({
    managedIdentityIdParams: clientId === undefined ? {} : { userAssignedClientId: clientId },
    system: {
      disableInternalRetries: true,
      networkClient: { sendGetRequestAsync: get, sendPostRequestAsync: get } as unknown as INetworkModule,
      loggerOptions: { logLevel: LogLevel.Error, piiLoggingEnabled: false, loggerCallback: () => undefined },
    },
  })
  try {
    const { accessToken, expiresOn } = await application.acquireToken({ resource })
    if (!expiresOn) throw new TypeError('The identity endpoint returned a token without an end.')
    return { token: accessToken, expiresOnTimestamp: expiresOn.getTime() }
  } catch (error) {
    throw failures.get(resource) ?? error
  }
}
