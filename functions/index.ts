/**
 * Route table: registers every HTTP route, timer and event trigger with the host. The host waits for all of them before
 * it passes on a request, so this file loads nothing else: handlers.ts follows behind the first invocation, and reads
 * the settings then. Refused settings remove no function, or the host would answer 404 without a reason: every route
 * reports them.
 */
import { app } from '@azure/functions'
import type { HttpMethod, HttpRequest, InvocationContext } from '@azure/functions'
import { lazy } from '../shared/async/lazy.ts'
import { routes } from '../shared/http/routes.ts'
import type { RouteName } from '../shared/http/routes.ts'
import { convertHttpDirectly } from './http-invocation.ts'
import { warmUpAfterStart } from './warm-up.ts'

const load = lazy(() => import('./handlers.ts'))

/** The host answers 404 for a method that is not registered; RFC 9110 §15.5.6 requires 405. */
const allMethods: HttpMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

const route = (name: RouteName) => ({
  route: routes[name],
  handler: async (request: HttpRequest, context: InvocationContext) =>
    (await load()).httpHandlers[name](request, context),
})
/** A browser holds no function key; each handler checks what the protocol requires. */
function open(name: RouteName, methods = allMethods): void {
  app.http(name, { ...route(name), methods, authLevel: 'anonymous' })
}
/** A handler cannot see whether a key was right, so every operator's route is one of its own. */
function keyed(name: RouteName, method: HttpMethod): void {
  app.http(name, { ...route(name), methods: [method], authLevel: 'function' })
}

open('login')
open('callback')
open('signup')
open('signupConsented')
open('session')
open('sessionToken')
open('logout')
open('logoutDone')

// OAuth clients are public clients: PKCE, exact redirect URIs, codes and refresh tokens that are valid once.
open('token')
open('revoke')
open('authorizationServerMetadata')
open('openidConfiguration')
open('idTokenKeys')
open('endSession')
open('userinfo')

// Called by the identity provider.
open('logoutFrontchannel')
open('logoutBackchannel')
open('jwks')

// The browser library for both kinds of front end: public and static.
open('browserClient')
open('browserOAuthClient')

open('health', ['GET', 'HEAD'])
open('ready')
keyed('readyDetail', 'GET')
keyed('certificateRegistered', 'POST')
keyed('operatorListSessions', 'POST')
keyed('operatorEndSessions', 'POST')
keyed('operatorTenants', 'POST')

// On a laptop the registered front ends, in Azure refused settings alone.
open('home')

app.timer('rollCertificate', {
  schedule: '0 */5 * * * *',
  handler: async (timer, context) => (await load()).triggerHandlers.rollCertificate(timer, context),
})
// The host admits only Event Grid, by a key of its own; the handler checks which vault an event concerns.
app.eventGrid('certificateEvent', {
  handler: async (event, context) => (await load()).triggerHandlers.certificateEvent(event, context),
})
app.timer('sweep', {
  schedule: '0 17 * * * *',
  handler: async (timer, context) => (await load()).triggerHandlers.sweep(timer, context),
})
const warmUp = async () => (await load()).triggerHandlers.warmup()
app.warmup('warmup', { handler: warmUp })

convertHttpDirectly()
// A module that cannot be loaded fails each invocation, which reports it; an unhandled rejection would end the worker.
warmUpAfterStart(app.hook, () => warmUp().catch(() => undefined))
