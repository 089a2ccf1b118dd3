/** What every function does. Loaded behind the first invocation of an instance: see index.ts. */
import { app } from '@azure/functions'
import type { HttpHandler } from '@azure/functions'
import { text } from '../shared/http/answer.ts'
import type { RouteName } from '../shared/http/routes.ts'
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
import { toHttpHandler } from './host.ts'
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
import type { Handle } from './respond.ts'
import { operatorEndSessions, operatorListSessions } from './operator-sessions.ts'
import { operatorTenants } from './operator-tenants.ts'
import { openidConfiguration } from './openid-configuration.ts'
import { revoke } from './revoke.ts'
import { rollCertificate } from './roll-certificate.ts'
import { sessionToken } from './session-token.ts'
import { session } from './session.ts'
import { signup, signupConsented } from './signup.ts'
import { token } from './token.ts'
import { sweep, warmup } from './upkeep.ts'
import { userinfo } from './userinfo.ts'

const log: LogSink = (level, line) => void process.stderr.write(`${level} ${line}\n`)
const composed = compose(log)
if ('broker' in composed) {
  const { telemetry } = composed.broker
  // Some ends of an instance run this hook, SIGTERM does not: telemetry is sent soon after it is recorded.
  app.hook.appTerminate(() => telemetry.flush())
} else {
  // The message names the settings and their remedies, never a value.
  log('error', composed.settingsError.message)
}

const people = (handlers: Parameters<typeof forPeople>[1], route: PageRoute) =>
  toHttpHandler(forPeople(composed, handlers, route))
const scripts = (handlers: Parameters<typeof forScripts>[1]) => toHttpHandler(forScripts(composed, handlers))
const clients = (handlers: Parameters<typeof forClients>[1]) => toHttpHandler(forClients(composed, handlers))
const everyOrigin = (handlers: Parameters<typeof forEveryOrigin>[1]) =>
  toHttpHandler(forEveryOrigin(composed, handlers))
const programs = (handlers: Parameters<typeof forPrograms>[1]) => toHttpHandler(forPrograms(composed, handlers))
const operators = (handler: (broker: Broker) => Handle) => toHttpHandler(forOperators(composed, { POST: handler }))
/** A document that has no caller: monitors and providers look at its address by HEAD (RFC 9110 §9.1). */
const asDocument = (handler: (broker: Broker) => Handle) => ({ GET: handler, HEAD: handler })

export const httpHandlers: Readonly<Record<RouteName, HttpHandler>> = {
  login: people({ GET: login, HEAD: loginHead, POST: loginByPost }, 'login'),
  callback: people({ POST: callbackByPost, GET: callbackByGet }, 'callback'),
  signup: people({ GET: signup }, 'sign-up'),
  signupConsented: people({ GET: signupConsented }, 'sign-up'),
  session: scripts({ GET: session }),
  sessionToken: scripts({ POST: sessionToken }),
  logout: scripts({ POST: logout }),
  logoutDone: people({ GET: logoutDone }, 'sign-out'),
  token: clients({ POST: token }),
  revoke: clients({ POST: revoke }),
  authorizationServerMetadata: everyOrigin(asDocument(authorizationServerMetadata)),
  openidConfiguration: everyOrigin(asDocument(openidConfiguration)),
  idTokenKeys: everyOrigin(asDocument(idTokenKeys)),
  endSession: people({ GET: endSessionByGet, POST: endSessionByPost }, 'sign-out'),
  userinfo: clients({ GET: userinfo, POST: userinfo }),
  logoutFrontchannel: people({ GET: logoutFrontchannel }, 'sign-out'),
  logoutBackchannel: programs({ POST: logoutBackchannel }),
  jwks: programs(asDocument(jwks)),
  browserClient: programs(asDocument(browserClient)),
  browserOAuthClient: programs(asDocument(browserOAuthClient)),
  health: toHttpHandler(forLiveness(text(200, 'alive'))),
  ready: toHttpHandler(forProbes(composed, { GET: ready, HEAD: ready })),
  readyDetail: programs({ GET: readyDetail }),
  certificateRegistered: operators(certificateRegistered),
  operatorListSessions: operators(operatorListSessions),
  operatorEndSessions: operators(operatorEndSessions),
  operatorTenants: operators(operatorTenants),
  home: people(asDocument(home), 'login'),
}

export const triggerHandlers = {
  rollCertificate: rollCertificate(composed),
  certificateEvent: certificateEvent(composed),
  sweep: sweep(composed),
  warmup: warmup(composed),
}
