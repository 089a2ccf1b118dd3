/** The demo front end's script, a session front end: the broker keeps the tokens, this page keeps nothing. Runs in browsers. */

interface Session {
  readonly name?: string
  readonly username?: string
  readonly expires_at: number
}

/** What the broker answers when something is missing. RFC 9457. */
interface Problem {
  readonly title?: string
  readonly detail?: string
  readonly remedy?: string
  /** Where to send the browser; the way back is added here. */
  readonly sign_in_url?: string
}

const { broker = '', api = '', frontend = '', apiName = '' } = document.body.dataset
let signInUrl = `${broker}/login?frontend=${encodeURIComponent(frontend)}`

const element = (id: string): HTMLElement => {
  const found = document.getElementById(id)
  if (!found) throw new Error(`The page has no #${id}.`)
  return found
}

/** Asks the broker; the cookie goes along, and every POST by script says so in a header that no form can send. */
async function ask(path: string, body?: object): Promise<Response> {
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
  const response = await ask('/session')
  if (response.ok) {
    const { name, username, expires_at } = (await response.json()) as Session
    const until = new Date(expires_at * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    show('in', `Signed in until ${until} as`, name ?? username ?? '')
    return
  }
  const problem = await readProblem(response)
  signInUrl = problem.sign_in_url ?? signInUrl
  show('out', 'Signed out')
  // 401 is how the broker says "signed out"; anything else is a problem to be read.
  if (response.status !== 401) tell(problem)
}

/** To the broker and back to this very place, fragment included. */
function signIn(): void {
  const url = new URL(signInUrl)
  url.searchParams.set('return_url', location.href)
  location.assign(url)
}

async function callApi(): Promise<void> {
  const answer = await ask('/session/token', { api: apiName })
  if (!answer.ok) {
    const problem = await readProblem(answer)
    if (problem.sign_in_url !== undefined) {
      // Signed out meanwhile, or the provider wants something of the person: the broker knows where that is done.
      signInUrl = problem.sign_in_url
      show('out', 'Please sign in again.')
    }
    tell(problem)
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
  const response = await ask('/logout', {})
  if (!response.ok) {
    tell(await readProblem(response))
    return
  }
  const { url } = (await response.json()) as { url: string }
  location.assign(url)
}

function show(state: 'in' | 'out', status: string, name = ''): void {
  element('status').textContent = status
  element('name').textContent = name
  element('problem').hidden = true
  element('sign-in').hidden = state === 'in'
  element('call-api').hidden = state === 'out'
  element('sign-out').hidden = state === 'out'
  if (state === 'out') element('answer-section').hidden = true
}

function tell({ title, detail, remedy }: Problem): void {
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

/** Runs one deed at a time, and says so when the broker can't be reached. */
function press(id: string, deed: () => void | Promise<void>): void {
  const button = element(id) as HTMLButtonElement
  button.addEventListener('click', () => void run(deed, button))
}

async function run(deed: () => void | Promise<void>, button?: HTMLButtonElement): Promise<void> {
  if (button) button.disabled = true
  try {
    await deed()
  } catch {
    tell({ title: 'The broker or the API cannot be reached from this page.' })
  } finally {
    if (button) button.disabled = false
  }
}

press('sign-in', signIn)
press('call-api', callApi)
press('sign-out', signOut)
// Also when the browser brings the page back from its memory: somebody may have signed out meanwhile.
addEventListener('pageshow', () => void run(showSession))
