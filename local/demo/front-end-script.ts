/**
 * The demo front end's script, a session front end: the broker keeps the tokens, this page keeps none.
 * Runs in browsers.
 */

interface Session {
  readonly name?: string
  readonly username?: string
  readonly expires_at: number
}

/** The broker's problem details. RFC 9457. */
interface Problem {
  readonly title?: string
  readonly detail?: string
  readonly remedy?: string
  /** The URL to send the browser to; this script adds the return URL. */
  readonly sign_in_url?: string
}

const { broker = '', api = '', frontend = '', apiName = '' } = document.body.dataset
let signInUrl = `${broker}/login?frontend=${encodeURIComponent(frontend)}`

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id)
  if (!found) throw new Error(`The page has no #${id}.`)
  return found
}

/** Sends a request with the session cookie. A POST by script carries a header that no form can send. */
async function send(path: string, body?: object): Promise<Response> {
  return fetch(`${broker}${path}?frontend=${encodeURIComponent(frontend)}`, {
    credentials: 'include',
    ...(body && {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'broker-request': '1' },
      body: JSON.stringify(body),
    }),
  })
}

async function showSession(): Promise<void> {
  const response = await send('/session')
  if (response.ok) {
    const { name, username, expires_at } = (await response.json()) as Session
    const until = new Date(expires_at * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    show('in', `Signed in until ${until} as`, name ?? username ?? '')
    return
  }
  const problem = await readProblem(response)
  signInUrl = problem.sign_in_url ?? signInUrl
  show('out', 'Signed out')
  // 401 means signed out; any other status is a problem to show.
  if (response.status !== 401) showProblem(problem)
}

/** Goes to the broker and returns to this page, fragment included. */
function signIn(): void {
  const url = new URL(signInUrl)
  url.searchParams.set('return_url', location.href)
  location.assign(url)
}

async function callApi(): Promise<void> {
  const answer = await send('/session/token', { api: apiName })
  if (!answer.ok) {
    const problem = await readProblem(answer)
    if (problem.sign_in_url === undefined) showProblem(problem)
    else {
      // The session has ended, or the provider requires the person: the broker returns the URL for it.
      // The remedy of the problem is for this script.
      signInUrl = problem.sign_in_url
      show('out', 'Please sign in again.')
    }
    return
  }
  const { access_token } = (await answer.json()) as { access_token: string }
  const called = await fetch(api, { headers: { authorization: `Bearer ${access_token}` } })
  const text = called.headers.get('content-type')?.includes('json')
    ? JSON.stringify(await called.json(), undefined, 2)
    : await called.text()
  element('answer-section').hidden = false
  element('api-answer').textContent = called.ok ? text : `${called.status} ${text}`
}

async function signOut(): Promise<void> {
  const response = await send('/logout', {})
  if (!response.ok) {
    showProblem(await readProblem(response))
    return
  }
  const { url } = (await response.json()) as { url: string }
  location.assign(url)
}

function show(state: 'in' | 'out', status: string, name = ''): void {
  // Another tab may have signed another person in.
  if (name !== element('name').textContent) element('answer-section').hidden = true
  element('status').textContent = status
  element('name').textContent = name
  element('problem').hidden = true
  element('sign-in').hidden = state === 'in'
  element('call-api').hidden = state === 'out'
  element('sign-out').hidden = state === 'out'
}

function showProblem({ title, detail, remedy }: Problem): void {
  const problem = element('problem')
  problem.textContent = [title, detail, remedy].filter(Boolean).join(' ')
  problem.hidden = false
}

async function readProblem(response: Response): Promise<Problem> {
  const fallback: Problem = { title: `The broker answered ${response.status}.` }
  return response.json().then(
    (problem: Problem) => problem,
    () => fallback,
  )
}

/** Runs one action at a time, and shows a problem when the broker cannot be reached. */
function onClick(id: string, action: () => void | Promise<void>): void {
  const button = element(id) as HTMLButtonElement
  button.addEventListener('click', () => void run(action, button))
}

async function run(action: () => void | Promise<void>, button?: HTMLButtonElement): Promise<void> {
  if (button) button.disabled = true
  try {
    await action()
  } catch {
    showProblem({ title: 'The broker or the API cannot be reached from this page.' })
  } finally {
    if (button) button.disabled = false
  }
}

onClick('sign-in', signIn)
onClick('call-api', callApi)
onClick('sign-out', signOut)
// pageshow, not load: when the browser shows the page from its cache, the session may have ended.
addEventListener('pageshow', () => void run(showSession))
// In the meantime another tab may have signed out, or signed another person in.
addEventListener('visibilitychange', () => {
  if (!document.hidden) void run(showSession)
})
