/**
 * Requests of the local identity provider, as Entra ID and as AD FS:
 * kept for tests, and answered with the scripted faults.
 */
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { ProviderFailure } from './entra-error.ts'
import { commitFault, faultsPath } from './faults.ts'
import type { Endpoint, Faults } from './faults.ts'
import { readBody } from './request-body.ts'

/** The parsed form of a token request. */
export type TokenForm = Readonly<Record<string, string>>

/** A request as it came in. Holds what signs people in: for tests in this process, never for a log. */
export interface ProviderRequest {
  readonly endpoint: Endpoint
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  /** The parsed fields of a token request. */
  readonly form?: TokenForm
  readonly grantType?: string
  /** 0 while there is no answer, and for ever where it was withheld. */
  status: number
}

export interface EndpointPaths {
  readonly authorize: string
  readonly token: string
  readonly logout: string
  readonly keys: string
  readonly discovery: string
  /** Followed by the id of the interaction. */
  readonly signIn: string
  /** AD FS has none. */
  readonly adminConsent?: string
}

interface RequestOptions {
  readonly paths: EndpointPaths
  readonly faults: Faults
  /** Oldest first. */
  readonly requests: ProviderRequest[]
}

/** A long run of sign-ins must not fill the memory with requests. */
const mostRequests = 10_000

/** Reads and keeps the request, and answers it unless a fault is scripted for it. */
export async function serveRequest(
  ctx: KoaContextWithOIDC,
  { paths, faults, requests }: RequestOptions,
  answer: (request: ProviderRequest) => Promise<void>,
): Promise<void> {
  const request = await readRequest(ctx, paths)
  requests.push(request)
  if (requests.length > mostRequests) requests.splice(0, mostRequests / 10)
  const work = () => answer(request)
  const fault = ctx.path === faultsPath ? undefined : faults.take(request.endpoint, request.grantType)
  await (fault ? commitFault(fault, ctx, work) : work())
  if (ctx.respond !== false) request.status = ctx.status
}

/** Keeps each failure of oidc-provider by the context of its request. */
export function noteFailures(provider: Provider, failures: WeakMap<object, ProviderFailure>): void {
  const note = (ctx: KoaContextWithOIDC, thrown: object) => {
    const { error = 'server_error', error_detail, error_description = '' } = thrown as Record<string, string>
    failures.set(ctx, { error, detail: error_detail ?? error_description })
  }
  provider.on('grant.error', note)
  provider.on('authorization.error', note)
  provider.on('end_session.error', note)
}

async function readRequest(ctx: KoaContextWithOIDC, paths: EndpointPaths): Promise<ProviderRequest> {
  const endpoint = endpointOf(ctx.path, paths)
  const form = endpoint === 'token' && ctx.method === 'POST' ? parseForm(await readBody(ctx.req)) : undefined
  const grantType = form?.['grant_type']
  return {
    endpoint,
    method: ctx.method,
    path: ctx.path,
    query: Object.fromEntries(ctx.URL.searchParams),
    ...(form && { form }),
    ...(grantType !== undefined && { grantType }),
    status: 0,
  }
}

function parseForm(body: string): TokenForm {
  return Object.fromEntries(new URLSearchParams(body))
}

function endpointOf(path: string, paths: EndpointPaths): Endpoint {
  if (path === paths.authorize || path.startsWith(`${paths.authorize}/`)) return 'authorize'
  if (path === paths.logout || path.startsWith(`${paths.logout}/`)) return 'logout'
  if (path.startsWith(paths.signIn)) return 'sign-in'
  if (path === paths.token) return 'token'
  if (path === paths.adminConsent) return 'admin-consent'
  if (path === paths.keys) return 'keys'
  return path === paths.discovery ? 'discovery' : 'other'
}
