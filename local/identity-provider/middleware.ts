/** Every way into the local identity provider, around and before oidc-provider's own routes. */
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { JWK } from 'jose'
import { answerAdminConsent } from './admin-consent.ts'
import type { AdminConsent } from './admin-consent.ts'
import { asEntraAuthorizationAnswer, asEntraCode } from './authorize-endpoint.ts'
import type { RegisteredClient, Surroundings } from './configuration.ts'
import { discoveryDocument } from './discovery.ts'
import { EntraError, errorAnswer } from './entra-error.ts'
import type { ProviderFailure } from './entra-error.ts'
import { commitFault } from './faults.ts'
import type { Endpoint, Fault, Faults } from './faults.ts'
import { homePage, pagePolicy } from './pages.ts'
import { readBody } from './request-body.ts'
import { answerSignInPage } from './sign-in-pages.ts'
import { answerSignOut } from './sign-out.ts'
import { issuerOf } from './token-answer.ts'
import type { TokenForm } from './token-answer.ts'
import { answerTokenRequest } from './token-endpoint.ts'
import type { ApplicationTokens, ChangeTokenResponse } from './token-endpoint.ts'

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

export interface RouteOptions {
  readonly around: Surroundings
  readonly clients: readonly RegisteredClient[]
  readonly faults: Faults
  readonly browserUrl: string
  readonly failures: WeakMap<object, ProviderFailure>
  readonly requests: ProviderRequest[]
  readonly change: () => ChangeTokenResponse | undefined
  readonly applicationTokens: ApplicationTokens | undefined
  readonly transformKeys: () => ((keys: JWK[]) => unknown) | undefined
  /** Consents of administrators, the oldest first. */
  readonly consents: AdminConsent[]
}

type Next = () => Promise<unknown>

const faultsPath = '/local/faults'

/** A long run of sign-ins must not fill the memory with requests. */
const mostRequests = 10_000

export function mountRoutes(provider: Provider, options: RouteOptions): void {
  const { around, failures, faults, requests } = options

  const note = (ctx: KoaContextWithOIDC, error: object) => {
    const { error: name = 'server_error', error_detail, error_description = '' } = error as Record<string, string>
    failures.set(ctx, { error: name, detail: error_detail ?? error_description })
  }
  provider.on('grant.error', note)
  provider.on('authorization.error', note)
  provider.on('end_session.error', note)
  provider.on('authorization.success', (ctx, answer) => {
    asEntraCode(ctx, answer as Record<string, unknown>, around)
  })

  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    const request = await readRequest(ctx, around)
    requests.push(request)
    if (requests.length > mostRequests) requests.splice(0, mostRequests / 10)
    const work = () => answer(provider, ctx, request, options, next)
    const fault = ctx.path === faultsPath ? undefined : faults.take(request.endpoint, request.grantType)
    await (fault ? commitFault(fault, ctx, work) : work())
    if (ctx.respond !== false) request.status = ctx.status
  })
}

async function readRequest(ctx: KoaContextWithOIDC, { paths }: Surroundings): Promise<ProviderRequest> {
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

function endpointOf(path: string, paths: Surroundings['paths']): Endpoint {
  if (path === paths.authorize || path.startsWith(`${paths.authorize}/`)) return 'authorize'
  if (path === paths.logout || path.startsWith(`${paths.logout}/`)) return 'logout'
  if (path.startsWith(paths.signIn)) return 'sign-in'
  if (path === paths.token) return 'token'
  if (path === paths.adminConsent) return 'admin-consent'
  if (path === paths.keys) return 'keys'
  return path === paths.discovery ? 'discovery' : 'other'
}

async function answer(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  { endpoint, form }: ProviderRequest,
  options: RouteOptions,
  next: Next,
): Promise<void> {
  const { around, failures } = options
  switch (endpoint) {
    case 'authorize':
      await next()
      asEntraAuthorizationAnswer(ctx, failures.get(ctx), around)
      return
    case 'sign-in':
      return answerSignInPage(provider, ctx, around)
    case 'token':
      if (form) return answerTokenRequest({ ...options, failure: (of) => failures.get(of) }, ctx, form, next)
      ctx.status = 405
      return
    case 'logout':
      await next()
      return answerSignOut(ctx, failures.get(ctx), around)
    case 'keys': {
      const set = around.keys.jwkSet(issuerOf(around.origin, around.isForMany ? '{tenantid}' : around.authority))
      const transform = options.transformKeys()
      ctx.body = transform ? { keys: transform(set.keys) } : set
      return
    }
    case 'discovery':
      ctx.body = discoveryDocument(around, options.browserUrl)
      return
    case 'admin-consent':
      return answerAdminConsent(ctx, options)
    case 'other':
      return answerOther(ctx, options)
  }
}

async function answerOther(ctx: KoaContextWithOIDC, { around, faults }: RouteOptions): Promise<void> {
  if (ctx.path === faultsPath) return answerFaults(ctx, faults)
  if (ctx.path === '/') {
    ctx.set('content-security-policy', pagePolicy)
    ctx.body = homePage(around.directory.people, issuerOf(around.origin, around.tenantId))
    return
  }
  const otherTenant = /^\/[^/]+\/(?:oauth2\/|discovery\/)?v2\.0\//.test(ctx.path)
  ctx.status = otherTenant ? 400 : 404
  if (otherTenant) ctx.body = errorAnswer(new EntraError('tenant_unknown'))
}

/** POST adds a fault, DELETE ends all. JSON only: another site's form cannot send it. */
async function answerFaults(ctx: KoaContextWithOIDC, faults: Faults): Promise<void> {
  if (ctx.method === 'DELETE') {
    faults.clear()
    ctx.status = 204
  } else if (ctx.method === 'POST' && ctx.is('application/json')) {
    const fault: unknown = JSON.parse(await readBody(ctx.req))
    const named = typeof fault === 'object' && fault !== null && 'endpoint' in fault
    if (named) faults.add(fault as Fault)
    ctx.status = named ? 204 : 400
  } else {
    ctx.status = ctx.method === 'POST' ? 415 : 405
  }
}
