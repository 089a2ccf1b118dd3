/**
 * The script of the demo front end on another site, the OAuth client: everything that is protocol is the library's, and
 * only sign-out speaks to the broker by itself. Runs in browsers.
 */
import type * as library from 'oidc-client-ts'
import type { User } from 'oidc-client-ts'

// The browser bundle, loaded before this script.
declare const oidc: typeof library

const { broker = '', api = '', clientId = '', scope = '' } = document.body.dataset
const redirectUri = `${location.origin}/callback`

const manager = new oidc.UserManager({
  authority: broker,
  // An OAuth server, not an OpenID provider: its metadata stands where RFC 8414 says.
  metadataUrl: `${broker}/.well-known/oauth-authorization-server`,
  client_id: clientId,
  redirect_uri: redirectUri,
  silent_redirect_uri: redirectUri,
  // Of one API, and without openid: there is no ID token to wait for.
  scope,
})

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id)
  if (!found) throw new Error(`The page has no #${id}.`)
  return found
}

/** Back from the broker: takes the code out of the address, and goes to where the person was. */
async function finishSignIn(): Promise<void> {
  try {
    const user = await manager.signinCallback()
    history.replaceState(undefined, '', user?.url_state ?? '/')
  } catch (error) {
    history.replaceState(undefined, '', '/')
    throw error
  }
}

async function showUser(): Promise<void> {
  const user = await manager.getUser()
  show(user?.refresh_token === undefined ? undefined : user)
}

function signIn(): Promise<void> {
  return manager.signinRedirect({ url_state: location.pathname + location.search + location.hash })
}

/** By refresh token; in good time before the end the library does it by itself. */
async function renew(): Promise<User | undefined> {
  try {
    const user = await manager.signinSilent()
    show(user ?? undefined)
    return user ?? undefined
  } catch (error) {
    if (error instanceof oidc.ErrorResponse && error.error === 'invalid_grant') await manager.removeUser()
    // invalid_grant: the session is over. interaction_required: it stays, and signing in asks for what is missing.
    show(undefined)
    throw error
  }
}

async function callApi(): Promise<void> {
  const kept = await manager.getUser()
  const user = kept?.expired ? await renew() : kept
  if (!user) {
    show(undefined)
    return
  }
  const called = await fetch(api, { headers: { authorization: `Bearer ${user.access_token}` } })
  const text = called.headers.get('content-type')?.includes('json')
    ? JSON.stringify(await called.json(), undefined, 2)
    : await called.text()
  element('answer-section').hidden = false
  element('api-answer').textContent = called.ok ? text : `${called.status} ${text}`
}

/** Ends the session at the broker, forgets the tokens here, and goes on to end it at the provider. */
async function signOut(): Promise<void> {
  const user = await manager.getUser()
  const response = await fetch(`${broker}/logout?frontend=${encodeURIComponent(clientId)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'broker-request': '1' },
    body: JSON.stringify({ refresh_token: user?.refresh_token }),
  })
  const answer = (await response.json()) as { url?: string; title?: string }
  await manager.removeUser()
  if (answer.url === undefined) throw new Error(answer.title ?? `The broker answered ${response.status}.`)
  location.assign(answer.url)
}

function show(user: User | undefined): void {
  const until = new Date((user?.expires_at ?? 0) * 1000)
  element('status').textContent = user ? 'Signed in; the access token is good until' : 'Signed out'
  element('expires').textContent = user ? until.toLocaleTimeString() : ''
  element('scopes').textContent = user?.scope ?? ''
  element('scopes-line').hidden = !user
  element('problem').hidden = true
  element('sign-in').hidden = user !== undefined
  for (const id of ['call-api', 'renew', 'sign-out']) element(id).hidden = user === undefined
  if (!user) element('answer-section').hidden = true
}

function tell(error: unknown): void {
  const problem = element('problem')
  problem.textContent =
    error instanceof oidc.ErrorResponse
      ? `The broker said ${error.error ?? 'no'}: ${error.error_description ?? ''}`
      : error instanceof Error
        ? error.message
        : 'Something went wrong.'
  problem.hidden = false
}

/** Runs one deed at a time, and tells what came of it. */
function press(id: string, deed: () => Promise<unknown>): void {
  const button = element(id) as HTMLButtonElement
  button.addEventListener('click', () => void run(deed, button))
}

async function run(deed: () => Promise<unknown>, button?: HTMLButtonElement): Promise<void> {
  if (button) button.disabled = true
  try {
    await deed()
  } catch (error) {
    tell(error)
  } finally {
    if (button) button.disabled = false
  }
}

async function begin(): Promise<void> {
  const isAnswer = location.pathname === '/callback'
  // In the library's hidden frame: only passes its address on.
  if (isAnswer && window.parent !== window) return manager.signinSilentCallback()
  const finished = isAnswer ? await finishSignIn().catch((error: unknown) => ({ error })) : undefined
  await showUser()
  if (finished) tell(finished.error)
}

press('sign-in', signIn)
press('call-api', callApi)
press('renew', renew)
press('sign-out', signOut)
manager.events.addUserLoaded(show)
manager.events.addSilentRenewError(tell)
addEventListener('pageshow', () => void run(begin))
