import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { clientId, redirectUri, send, startWorld } from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => world.reset())
afterAll(() => world.close())

describe('on request, the provider', () => {
  it('rolls its keys: old tokens verify while the old key is kept, new ones with the new key', async () => {
    const before = (await world.redeem(await world.signIn())).json['id_token']

    await world.provider.rotateKeys()
    const after = await world.redeem(await world.signIn())

    await expect(world.verify(before, clientId)).resolves.toHaveProperty('oid')
    await expect(world.verify(after.json['id_token'], clientId)).resolves.toHaveProperty('oid')

    await world.provider.rotateKeys({ keepOld: false })
    await expect(world.verify(before, clientId)).rejects.toThrow(/no applicable key/)
  })

  it('completes the sign-ins under way when its keys roll', async () => {
    const signedIn = await world.signIn()

    await world.provider.rotateKeys()

    const { status, json } = await world.redeem(signedIn)
    expect(status).toBe(200)
    expect((await world.refresh(json['refresh_token'])).status).toBe(200)
  })

  it('answers an ID token that is changed and signed as a test defines', async () => {
    const change = (payload: object, header?: object) =>
      world.provider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(String(answer['id_token'])), ...payload }
        return { ...answer, id_token: await signIdToken(claims, { ...header }) }
      })

    change({ nonce: 'another' })
    const { json } = await world.redeem(await world.signIn())
    expect(await world.verify(json['id_token'], clientId)).toMatchObject({ nonce: 'another' })

    change({}, { alg: 'none' })
    const unsigned = await world.redeem(await world.signIn())
    expect(String(unsigned.json['id_token']).endsWith('.')).toBe(true)
  })

  it('changes its key set', async () => {
    world.provider.transformKeys(() => [])

    expect((await world.get(world.provider.jwksUrl)).json).toEqual({ keys: [] })
  })

  it('refuses the next token request as configured, once, and keeps the code for the next', async () => {
    const signedIn = await world.signIn()
    world.provider.nextTokenError({
      error: 'interaction_required',
      error_codes: [50076],
      suberror: 'basic_action',
      claims: '{"access_token":{}}',
      grantType: 'authorization_code',
    })

    const answers = [await world.redeem(signedIn), await world.redeem(signedIn)]

    expect(answers.map(({ status }) => status)).toEqual([400, 200])
    expect(answers[0]?.json).toMatchObject({
      error: 'interaction_required',
      error_codes: [50076],
      suberror: 'basic_action',
      claims: '{"access_token":{}}',
    })
    expect(answers[0]?.json).not.toHaveProperty('grantType')
  })

  it('answers with the response of a fault, as often and for the grant type that the fault defines', async () => {
    const signedIn = await world.signIn()
    const fault = {
      endpoint: 'token',
      status: 503,
      body: '<html>',
      contentType: 'text/html',
      retryAfterSeconds: 7,
    } as const
    world.provider.faults.add({ ...fault, times: 1, grantType: 'refresh_token' })

    const code = await world.redeem(signedIn)
    const refreshes = [await world.refresh(code.json['refresh_token']), await world.refresh(code.json['refresh_token'])]

    expect(code.status).toBe(200)
    expect(refreshes.map(({ status }) => status)).toEqual([503, 200])
    expect(refreshes[0]).toMatchObject({ text: '<html>' })
    expect(refreshes[0]?.headers).toMatchObject({
      'retry-after': '7',
      'content-type': expect.stringContaining('text/html') as string,
    })
  })

  it('drops the connection before or after the work', async () => {
    const signedIn = await world.signIn()

    world.provider.faults.add({ endpoint: 'token', dropConnection: true, times: 1 })
    await expect(world.redeem(signedIn)).rejects.toThrow()
    world.provider.faults.add({ endpoint: 'token', loseAnswer: true, times: 1 })
    await expect(world.redeem(signedIn)).rejects.toThrow()

    expect((await world.redeem(signedIn)).json).toMatchObject({ error_codes: [54005] })
  })

  it('hangs, for one endpoint or for all, and is slow', async () => {
    world.provider.faults.add({ endpoint: '*', hang: true, times: 1 })
    let isOver = false
    const end = () => void (isOver = true)
    world.provider.resetRequests()
    world.get(world.provider.jwksUrl).then(end, end)
    await expect.poll(() => world.provider.requests).toHaveLength(1)

    world.provider.faults.add({ endpoint: 'keys', delayMs: 50, times: 1 })
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
    expect(isOver).toBe(false)
  })

  it('accepts faults by its local route, from programs only', async () => {
    const { browserUrl } = world.provider
    const add = (type: string) =>
      fetch(`${browserUrl}/local/faults`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify({ endpoint: 'keys', status: 500 }),
      })

    expect((await add('text/plain')).status).toBe(415)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
    expect((await add('application/json')).status).toBe(204)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(500)
    expect((await fetch(`${browserUrl}/local/faults`, { method: 'DELETE' })).status).toBe(204)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
  })

  it('keeps a list of requests, until it is emptied', async () => {
    world.provider.resetRequests()

    const { json } = await world.redeem(await world.signIn())
    await world.refresh(json['refresh_token'])

    const tokens = world.provider.requests.filter(({ endpoint }) => endpoint === 'token')
    expect(tokens.map(({ method, status, grantType }) => [method, status, grantType])).toEqual([
      ['POST', 200, 'authorization_code'],
      ['POST', 200, 'refresh_token'],
    ])
    expect(tokens[0]?.form).toMatchObject({ client_id: clientId, redirect_uri: redirectUri })
    world.provider.resetRequests()
    expect(world.provider.requests).toEqual([])
  })

  it('lists the people who can sign in on its first page', async () => {
    const page = await (await fetch(world.provider.browserUrl)).text()

    for (const { username } of world.provider.people) expect(page).toContain(username)
    expect((await send(`https://localhost:${world.provider.port}/nowhere`, world.ca)).status).toBe(404)
  })
})
