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
import { faultsPath } from './faults.ts'
import type { Fault, Faults } from './faults.ts'
import { homePage } from './pages.ts'
import { noteFailures, serveRequest } from './provider-request.ts'
import type { ProviderRequest } from './provider-request.ts'
import { readBody } from './request-body.ts'
import { answerSignInPage } from './sign-in-pages.ts'
import { showPage } from './show-page.ts'
import { answerSignOut } from './sign-out.ts'
import { issuerOf } from './token-answer.ts'
import { answerTokenRequest } from './token-endpoint.ts'
import type { ApplicationTokens, ChangeTokenResponse } from './token-endpoint.ts'

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

export function mountRoutes(provider: Provider, options: RouteOptions): void {
  const { around, failures, faults, requests } = options

  noteFailures(provider, failures)
  provider.on('authorization.success', (ctx, answer) => {
    asEntraCode(ctx, answer as Record<string, unknown>, around)
  })

  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    await serveRequest(ctx, { paths: around.paths, faults, requests }, (request) =>
      answer(provider, ctx, request, options, next),
    )
  })
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
    showPage(ctx, homePage(around.directory.people, issuerOf(around.origin, around.tenantId)))
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
