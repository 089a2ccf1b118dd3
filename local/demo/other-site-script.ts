/**
 * The script of the demo front end on another site, the OAuth client: the library implements the protocol;
 * only sign-out calls the broker directly. Runs in browsers.
 */
import type * as library from 'oidc-client-ts'
import type { User } from 'oidc-client-ts'

// The browser bundle, loaded before this script.
declare const oidc: typeof library

const { broker = '', api = '', clientId = '', scope = '' } = document.body.dataset
const redirectUri = `${location.origin}/callback`

const manager = new oidc.UserManager({
  authority: broker,
  // An OAuth server, not an OpenID provider: its metadata is at the path of RFC 8414 §3.
  metadataUrl: `${broker}/.well-known/oauth-authorization-server`,
  client_id: clientId,
  redirect_uri: redirectUri,
  silent_redirect_uri: redirectUri,
  // Scopes of one API, without openid: the broker issues no ID token for them.
  scope,
})

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id)
  if (!found) throw new Error(`The page has no #${id}.`)
  return found
}

/** Handles the redirect from the broker: removes the code from the address, and restores the page of the person. */
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

/** Renews by refresh token; before the token expires, the library does so by itself. */
async function renew(): Promise<User | undefined> {
  try {
    const user = await manager.signinSilent()
    show(user ?? undefined)
    return user ?? undefined
  } catch (error) {
    if (error instanceof oidc.ErrorResponse && error.error === 'invalid_grant') await manager.removeUser()
    // invalid_grant: the session is over.
    // interaction_required: the session stays, and a sign-in satisfies the provider.
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

/** Ends the session at the broker, removes the tokens here, then ends it at the provider. */
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
  element('status').textContent = user ? 'Signed in; the access token is valid until' : 'Signed out'
  element('expires').textContent = user ? until.toLocaleTimeString() : ''
  element('scopes').textContent = user?.scope ?? ''
  element('scopes-line').hidden = !user
  element('problem').hidden = true
  element('sign-in').hidden = user !== undefined
  for (const id of ['call-api', 'renew', 'sign-out']) element(id).hidden = user === undefined
  if (!user) element('answer-section').hidden = true
}

function showError(error: unknown): void {
  const problem = element('problem')
  problem.textContent =
    error instanceof oidc.ErrorResponse
      ? `The broker returned ${error.error ?? 'an error'}: ${error.error_description ?? ''}`
      : error instanceof Error
        ? error.message
        : 'The action failed.'
  problem.hidden = false
}

/** Runs one action at a time, and shows its error. */
function onClick(id: string, action: () => Promise<unknown>): void {
  const button = element(id) as HTMLButtonElement
  button.addEventListener('click', () => void run(action, button))
}

async function run(action: () => Promise<unknown>, button?: HTMLButtonElement): Promise<void> {
  if (button) button.disabled = true
  try {
    await action()
  } catch (error) {
    showError(error)
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
  if (finished) showError(finished.error)
}

onClick('sign-in', signIn)
onClick('call-api', callApi)
onClick('renew', renew)
onClick('sign-out', signOut)
manager.events.addUserLoaded(show)
manager.events.addSilentRenewError(showError)
addEventListener('pageshow', () => void run(begin))
