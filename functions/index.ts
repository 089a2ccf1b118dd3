/**
 * Every way in, one call each. Nothing here throws while loading: one file that throws would remove every function,
 * and the host would answer 404 without a reason. Settings that can't be used are told at each route instead.
 */
import { app } from '@azure/functions'
import { isLoopbackHost } from '../shared/settings/addresses.ts'
import { authorizationServerMetadata } from './authorization-server-metadata.ts'
import { callbackByGet, callbackByPost } from './callback.ts'
import type { LogSink } from '../shared/telemetry/log.ts'
import { certificateEvent } from './certificate-event.ts'
import { certificateRegistered } from './certificate-registered.ts'
import { compose } from './compose/index.ts'
import { word } from '../shared/http/answer.ts'
import { ready, readyDetail } from './health.ts'
import { home } from './home.ts'
import { jwks } from './jwks.ts'
import { login, loginHead } from './login.ts'
import { logoutBackchannel } from './logout-backchannel.ts'
import { logoutDone } from './logout-done.ts'
import { logoutFrontchannel } from './logout-frontchannel.ts'
import { logout } from './logout.ts'
import { allMethods, forClients, forLiveness, forPeople, forProbes, forPrograms, forScripts } from './respond.ts'
import { revoke } from './revoke.ts'
import { rollCertificate } from './roll-certificate.ts'
import { sessionToken } from './session-token.ts'
import { session } from './session.ts'
import { token } from './token.ts'
import { sweep, warmup } from './upkeep.ts'

const log: LogSink = (level, line) => void process.stderr.write(`${level} ${line}\n`)
const composed = compose(log)

// anonymous: a browser holds no function key; each handler checks what the protocol gives it.
const open = { authLevel: 'anonymous', methods: allMethods } as const

app.http('login', { route: 'login', ...open, handler: forPeople(composed, { GET: login, HEAD: loginHead }) })
app.http('callback', {
  route: 'callback',
  ...open,
  handler: forPeople(composed, { POST: callbackByPost, GET: callbackByGet }),
})
app.http('session', { route: 'session', ...open, handler: forScripts(composed, { GET: session }) })
app.http('sessionToken', { route: 'session/token', ...open, handler: forScripts(composed, { POST: sessionToken }) })
// OAuth clients: public clients, held to PKCE, exact redirect URIs and handles that are used once.
app.http('token', { route: 'token', ...open, handler: forClients(composed, { POST: token }) })
app.http('revoke', { route: 'revoke', ...open, handler: forClients(composed, { POST: revoke }) })
app.http('authorizationServerMetadata', {
  route: '.well-known/oauth-authorization-server',
  ...open,
  handler: forClients(composed, { GET: authorizationServerMetadata }),
})
app.http('jwks', { route: '.well-known/jwks.json', ...open, handler: forPrograms(composed, { GET: jwks }) })

app.http('logout', { route: 'logout', ...open, handler: forScripts(composed, { POST: logout }) })
// Sign-outs that begin at the provider: by a frame in its page, or server to server.
app.http('logoutFrontchannel', {
  route: 'logout/frontchannel',
  ...open,
  handler: forPeople(composed, { GET: logoutFrontchannel }),
})
app.http('logoutBackchannel', {
  route: 'logout/backchannel',
  ...open,
  handler: forPrograms(composed, { POST: logoutBackchannel }),
})
app.http('logoutDone', { route: 'logout/done', ...open, handler: forPeople(composed, { GET: logoutDone }) })
app.http('health', { route: 'health', ...open, methods: ['GET', 'HEAD'], handler: forLiveness(word(200, 'alive')) })
app.http('ready', { route: 'health/ready', ...open, handler: forProbes(composed, { GET: ready, HEAD: ready }) })

// function: a handler can't see whether a key was right, so what only operators may read is a route of its own.
app.http('readyDetail', {
  route: 'health/detail',
  authLevel: 'function',
  methods: ['GET'],
  handler: forPrograms(composed, { GET: readyDetail }),
})
app.http('certificateRegistered', {
  route: 'certificate/{version}/registered',
  authLevel: 'function',
  methods: ['POST'],
  handler: forPrograms(composed, { POST: certificateRegistered }),
})

app.timer('rollCertificate', { schedule: '0 */5 * * * *', handler: rollCertificate(composed) })
// The host lets nobody but Event Grid in, by a key of its own; which vault an event is about is checked here.
app.eventGrid('certificateEvent', { handler: certificateEvent(composed) })
app.timer('sweep', { schedule: '0 17 * * * *', handler: sweep(composed) })
app.warmup('warmup', { handler: warmup(composed) })

// The constraint that takes nothing is how the host serves `/`. In Azure nobody needs this page, unless there is a
// problem with the settings to tell.
if (!('broker' in composed) || isLoopbackHost(new URL(composed.broker.baseUrl).hostname)) {
  app.http('home', { route: '{ignored:maxlength(0)?}', ...open, handler: forPeople(composed, { GET: home }) })
}

if ('broker' in composed) {
  // While the host still indexes: what the first sign-in would wait for. A turn later, because import() reads and
  // compiles before it returns: the host would learn of our functions only after all of the SDKs.
  const { broker } = composed
  setImmediate(() => void broker.warmUp())
  // What the last requests told would be lost with the instance.
  app.hook.appTerminate(() => broker.telemetry.flush())
} else {
  // Once and loudly; the message names settings and mends, never a value.
  log('error', composed.settingsError.message)
}
