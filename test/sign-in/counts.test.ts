import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SignInAnswer } from '../../local/identity-provider/browser.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const returnUrl = 'http://localhost:3000/a'
const query = { frontend: 'shop', return_url: returnUrl }

/** The number of requests of each kind, by its name. */
function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** The requests of the broker for a sign-in, without the requests of the person's browser to the provider. */
function counted(stack: Stack) {
  const browsers = new Set(['authorize', 'sign-in', 'other', 'logout'])
  const requested = stack.identityProvider.requests.map(({ endpoint }) => endpoint)
  return {
    provider: tally(requested.filter((endpoint) => !browsers.has(endpoint))),
    store: tally(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)),
    vault: tally(
      stack.vault.requests.map(
        ({ operation, identity }) => `${operation ?? 'other'}${identity === undefined ? ' without a token' : ''}`,
      ),
    ),
  }
}

function reset(stack: Stack): void {
  stack.identityProvider.resetRequests()
  stack.store.resetRequests()
  stack.vault.resetRequests()
  stack.managedIdentity.resetRequests()
}

const warmSignIn = {
  provider: { token: 1 },
  store: { 'insert states': 1, 'insert sessions': 1 },
  vault: {},
}

/** Each part counts in the same stack: the first sign-ins of all, a warm instance, and then cold ones. */
let stack: Stack
/** The sign-ins of twenty people at the same time, and the requests for them, when the store was empty. */
let first: { readonly done: readonly Reply[]; readonly requests: ReturnType<typeof counted>; readonly rows: object }
beforeAll(async () => {
  stack = await startStack()
  const done = await Promise.all(Array.from({ length: 20 }, () => stack.person().signIn(query)))
  // A missing table is created once. A request that came before its creation is repeated.
  const inserted = stack.store.requests.filter(({ operation, status }) => operation === 'insert' && status < 300)
  first = { done, requests: counted(stack), rows: tally(inserted.map(({ table }) => table)) }
  await warmUp(stack)
})
beforeEach(() => reset(stack))
afterAll(() => stack.close())

describe('the first instance of all', () => {
  it('creates the key ring and reads the signing version once, for twenty people at the same time', () => {
    expect(first.done.map(({ location }) => location)).toEqual(Array(20).fill(returnUrl))
    expect(first.requests.provider).toEqual({ token: 20, discovery: 1, keys: 1 })
    // The wrapping key by its name, for its newest version, which wraps and signs the ring's row; the certificate's
    // list and its public part, by the SDK, whose first request has no token:
    // the 401 names the authority that issues one.
    expect(first.requests.vault).toEqual({
      getKey: 1,
      wrapkey: 1,
      'listVersions without a token': 1,
      listVersions: 1,
      getCertificate: 1,
      sign: 2,
    })
    // The ring's row, the certificate's row, and for each a marker:
    // from now on, rows without a signature are rejected.
    expect(first.rows).toEqual({ service: 4, states: 20, sessions: 20 })
  })
})

describe('a warm instance sends', () => {
  let person: Person
  beforeAll(async () => {
    person = stack.person()
    await person.signIn(query)
  })

  it('one request to the provider, two to the store and none to the vault for each sign-in', async () => {
    await stack.person().signIn(query)
    expect(counted(stack)).toEqual(warmSignIn)

    for (let i = 0; i < 4; i++) await stack.person().signIn(query)
    expect(counted(stack)).toEqual({
      provider: { token: 5 },
      store: { 'insert states': 5, 'insert sessions': 5 },
      vault: {},
    })
  })

  it('one more request to the store if the sign-in replaces a session', async () => {
    const again = stack.person()
    await again.signIn(query)
    reset(stack)

    await again.signIn(query)

    expect(counted(stack)).toEqual({ ...warmSignIn, store: { ...warmSignIn.store, 'remove sessions': 1 } })
  })

  it('no request for the start of a sign-in', async () => {
    await stack.person().begin(query)

    expect(counted(stack)).toEqual({ provider: {}, store: {}, vault: {} })
  })

  it('one request to the store for each read of the session, and no other request', async () => {
    for (let i = 1; i <= 3; i++) {
      expect((await person.script(shopPage, '/session')).status).toBe(200)
      expect(counted(stack)).toEqual({ provider: {}, store: { 'find sessions': i }, vault: {} })
    }
  })

  it('no request for a browser without a session, or with an impossible cookie', async () => {
    const noPerson = stack.person()
    expect((await noPerson.script(shopPage, '/session')).status).toBe(401)
    await noPerson.jar.setCookie('__Host-session-shop=short; Path=/; Secure', stack.url)
    expect((await noPerson.script(shopPage, '/session')).status).toBe(401)

    expect(counted(stack)).toEqual({ provider: {}, store: {}, vault: {} })
  })

  it('one request to the store for an access token that is cached', async () => {
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)

    expect(counted(stack)).toEqual({ provider: {}, store: { 'find sessions': 1 }, vault: {} })
  })

  it('one request to the provider and three to the store for an access token that must be renewed', async () => {
    stack.identityProvider.settings.accessTokenSeconds = 5
    const short = stack.person()
    await short.signIn(query)
    stack.identityProvider.settings.accessTokenSeconds = 3600
    reset(stack)

    expect((await short.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)

    expect(counted(stack)).toEqual({
      provider: { token: 1 },
      store: { 'find sessions': 1, 'replace sessions': 2 },
      vault: {},
    })
  })
})

describe('an instance that signs each assertion', () => {
  it('sends one more request to the vault for each sign-in, and the provider accepts each assertion once', async () => {
    const instance = await stack.startInstance({ Broker__AssertionReuse: 'false' })
    await warmUp(stack, [instance])
    stack.identityProvider.settings.refuseRepeatedJti = true
    reset(stack)

    for (let i = 0; i < 3; i++) {
      expect((await stack.person().signIn(query, undefined, { at: instance.url })).location).toBe(returnUrl)
    }

    expect(counted(stack)).toEqual({
      provider: { token: 3 },
      store: { 'insert states': 3, 'insert sessions': 3 },
      vault: { sign: 3 },
    })
    stack.identityProvider.settings.refuseRepeatedJti = false
  })
})

describe('a cold instance', () => {
  /** Twenty browsers just before the callback. The warm instance served their starts. */
  async function waiting(): Promise<readonly { person: Person; answer: SignInAnswer }[]> {
    return Promise.all(
      Array.from({ length: 20 }, async () => {
        const person = stack.person()
        const begun = await person.begin(query)
        return { person, answer: await person.atProvider(begun.location ?? '') }
      }),
    )
  }

  it('requests one unwrap, one signature and no certificate, at any load', async () => {
    const crowd = await waiting()
    reset(stack)
    const cold = await stack.startInstance()

    const done = await Promise.all(crowd.map(({ person, answer }) => person.callback(answer, { at: cold.url })))

    expect(done.map(({ location }) => location)).toEqual(Array(20).fill(returnUrl))
    const { provider, store, vault } = counted(stack)
    // The store has the signing version and its thumbprint.
    // The name of the token request contains its resource, the vault.
    expect(vault).toEqual({ unwrapkey: 1, getKey: 1, sign: 1 })
    expect(stack.managedIdentity.requests).toHaveLength(1)
    expect(provider).toEqual({ token: 20, discovery: 1, keys: 1 })
    expect(store).toEqual({ 'list service': 1, 'find service': 1, 'insert states': 20, 'insert sessions': 20 })
  })

  it('requests the token for the vault while it waits for the key ring', async () => {
    stack.store.addFault({ table: 'service', hang: true })
    try {
      await stack.startInstance()

      await vi.waitUntil(() => stack.managedIdentity.requests.length > 0, 30_000)

      expect(stack.vault.requests).toEqual([])
    } finally {
      stack.store.clearFaults()
    }
  })

  it('sends no more requests to provider and store for each person than a warm one', async () => {
    const cold = await stack.startInstance()
    reset(stack)

    expect((await stack.person().signIn(query, undefined, { at: cold.url })).location).toBe(returnUrl)

    const { provider, store } = counted(stack)
    expect(provider.token).toBe(1)
    expect(store['insert states']).toBe(1)
    expect(store['insert sessions']).toBe(1)
    reset(stack)
    await stack.person().signIn(query, undefined, { at: cold.url })
    expect(counted(stack)).toEqual(warmSignIn)
  })
})
