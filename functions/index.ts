/**
 * Route table: registers every HTTP route, timer and event trigger with the host. Nothing throws while loading: one
 * file that throws would remove every function, and the host would answer 404 without a reason. Every route reports
 * refused settings instead.
 */
import { app } from '@azure/functions'
import { text } from '../shared/http/answer.ts'
import { routes } from '../shared/http/routes.ts'
import { isLoopbackHost } from '../shared/settings/addresses.ts'
import type { PageRoute } from '../shared/sign-in/page-links.ts'
import type { LogSink } from '../shared/telemetry/log.ts'
import { authorizationServerMetadata } from './authorization-server-metadata.ts'
import { browserClient, browserOAuthClient } from './browser-client.ts'
import { callbackByGet, callbackByPost } from './callback.ts'
import { certificateEvent } from './certificate-event.ts'
import { certificateRegistered } from './certificate-registered.ts'
import { compose } from './compose/index.ts'
import type { Broker } from './compose/index.ts'
import { endSessionByGet, endSessionByPost } from './end-session.ts'
import { ready, readyDetail } from './health.ts'
import { home } from './home.ts'
import { allMethods, toHttpHandler } from './host.ts'
import { idTokenKeys } from './id-token-keys.ts'
import { jwks } from './jwks.ts'
import { login, loginByPost, loginHead } from './login.ts'
import { logoutBackchannel } from './logout-backchannel.ts'
import { logoutDone } from './logout-done.ts'
import { logoutFrontchannel } from './logout-frontchannel.ts'
import { logout } from './logout.ts'
import {
  forClients,
  forEveryOrigin,
  forLiveness,
  forOperators,
  forPeople,
  forProbes,
  forPrograms,
  forScripts,
} from './respond.ts'
import type { Handle, Responder } from './respond.ts'
import { operatorEndSessions, operatorListSessions } from './operator-sessions.ts'
import { operatorTenants } from './operator-tenants.ts'
import { openidConfiguration } from './openid-configuration.ts'
import { convertHttpDirectly } from './http-invocation.ts'
import { revoke } from './revoke.ts'
import { rollCertificate } from './roll-certificate.ts'
import { sessionToken } from './session-token.ts'
import { session } from './session.ts'
import { signup, signupConsented } from './signup.ts'
import { token } from './token.ts'
import { sweep, warmup } from './upkeep.ts'
import { userinfo } from './userinfo.ts'
import { warmUpAfterStart } from './warm-up.ts'

const log: LogSink = (level, line) => void process.stderr.write(`${level} ${line}\n`)
const composed = compose(log)

// anonymous: a browser holds no function key; each handler checks what the protocol requires.
const open = (respond: Responder) =>
  ({ authLevel: 'anonymous', methods: allMethods, handler: toHttpHandler(respond) }) as const
// function: a handler cannot see whether a key was right, so every operator's route is one of its own.
const keyed = (respond: Responder) => ({ authLevel: 'function', handler: toHttpHandler(respond) }) as const

const people = (handlers: Parameters<typeof forPeople>[1], route: PageRoute) =>
  open(forPeople(composed, handlers, route))
const scripts = (handlers: Parameters<typeof forScripts>[1]) => open(forScripts(composed, handlers))
const clients = (handlers: Parameters<typeof forClients>[1]) => open(forClients(composed, handlers))
const everyOrigin = (handlers: Parameters<typeof forEveryOrigin>[1]) => open(forEveryOrigin(composed, handlers))
/** A document that has no caller: monitors and providers look at its address by HEAD (RFC 9110 §9.1). */
const asDocument = (handler: (broker: Broker) => Handle) => ({ GET: handler, HEAD: handler })
const programs = (handlers: Parameters<typeof forPrograms>[1]) => open(forPrograms(composed, handlers))

app.http('login', { route: routes.login, ...people({ GET: login, HEAD: loginHead, POST: loginByPost }, 'login') })
app.http('callback', { route: routes.callback, ...people({ POST: callbackByPost, GET: callbackByGet }, 'callback') })
app.http('signup', { route: routes.signup, ...people({ GET: signup }, 'sign-up') })
app.http('signupConsented', { route: routes.signupConsented, ...people({ GET: signupConsented }, 'sign-up') })
app.http('session', { route: routes.session, ...scripts({ GET: session }) })
app.http('sessionToken', { route: routes.sessionToken, ...scripts({ POST: sessionToken }) })
app.http('logout', { route: routes.logout, ...scripts({ POST: logout }) })
app.http('logoutDone', { route: routes.logoutDone, ...people({ GET: logoutDone }, 'sign-out') })

// OAuth clients are public clients: PKCE, exact redirect URIs, codes and refresh tokens that are valid once.
app.http('token', { route: routes.token, ...clients({ POST: token }) })
app.http('revoke', { route: routes.revoke, ...clients({ POST: revoke }) })
app.http('authorizationServerMetadata', {
  route: routes.authorizationServerMetadata,
  ...clients(asDocument(authorizationServerMetadata)),
})
app.http('openidConfiguration', { route: routes.openidConfiguration, ...everyOrigin(asDocument(openidConfiguration)) })
app.http('idTokenKeys', { route: routes.idTokenKeys, ...everyOrigin(asDocument(idTokenKeys)) })
app.http('endSession', {
  route: routes.endSession,
  ...people({ GET: endSessionByGet, POST: endSessionByPost }, 'sign-out'),
})
app.http('userinfo', { route: routes.userinfo, ...clients({ GET: userinfo, POST: userinfo }) })

// Called by the identity provider.
app.http('logoutFrontchannel', { route: routes.logoutFrontchannel, ...people({ GET: logoutFrontchannel }, 'sign-out') })
app.http('logoutBackchannel', { route: routes.logoutBackchannel, ...programs({ POST: logoutBackchannel }) })
app.http('jwks', { route: routes.jwks, ...programs(asDocument(jwks)) })

// The browser library for both kinds of front end: public and static.
app.http('browserClient', { route: routes.browserClient, ...programs(asDocument(browserClient)) })
app.http('browserOAuthClient', {
  route: routes.browserOAuthClient,
  ...programs(asDocument(browserOAuthClient)),
})
app.http('health', { route: routes.health, ...open(forLiveness(text(200, 'alive'))), methods: ['GET', 'HEAD'] })
app.http('ready', { route: routes.ready, ...open(forProbes(composed, { GET: ready, HEAD: ready })) })
app.http('readyDetail', {
  route: routes.readyDetail,
  methods: ['GET'],
  ...keyed(forPrograms(composed, { GET: readyDetail })),
})
app.http('certificateRegistered', {
  route: routes.certificateRegistered,
  methods: ['POST'],
  ...keyed(forOperators(composed, { POST: certificateRegistered })),
})
app.http('operatorListSessions', {
  route: routes.operatorListSessions,
  methods: ['POST'],
  ...keyed(forOperators(composed, { POST: operatorListSessions })),
})
app.http('operatorEndSessions', {
  route: routes.operatorEndSessions,
  methods: ['POST'],
  ...keyed(forOperators(composed, { POST: operatorEndSessions })),
})
app.http('operatorTenants', {
  route: routes.operatorTenants,
  methods: ['POST'],
  ...keyed(forOperators(composed, { POST: operatorTenants })),
})

app.timer('rollCertificate', { schedule: '0 */5 * * * *', handler: rollCertificate(composed) })
// The host admits only Event Grid, by a key of its own; the handler checks which vault an event concerns.
app.eventGrid('certificateEvent', { handler: certificateEvent(composed) })
app.timer('sweep', { schedule: '0 17 * * * *', handler: sweep(composed) })
app.warmup('warmup', { handler: warmup(composed) })

// In Azure this page exists only to show refused settings.
if (!('broker' in composed) || isLoopbackHost(new URL(composed.broker.baseUrl).hostname)) {
  app.http('home', { route: routes.home, ...people({ GET: home }, 'login') })
}

convertHttpDirectly()

if ('broker' in composed) {
  const { broker } = composed
  warmUpAfterStart(app.hook, () => broker.warmUp())
  // Some ends of an instance run this hook, SIGTERM does not: telemetry is sent soon after it is recorded.
  app.hook.appTerminate(() => broker.telemetry.flush())
} else {
  // The message names the settings and their remedies, never a value.
  log('error', composed.settingsError.message)
}
