/** Directories of Microsoft whose metadata is elsewhere than their issuer: Entra External ID and Azure AD B2C. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { besideProviders } from '../setup/beside-providers.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const tenant = 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'
const policy = 'b2c_1_sign_in'
const originOf = (issuer: string) => new URL(issuer).origin
const wellKnown = (issuer: string) => `${issuer}/.well-known/openid-configuration`
/** `https://<tenant id>.ciamlogin.com/<tenant id>/v2.0`, also for the metadata of a custom domain. */
const externalIssuer = (issuer: string) => `${originOf(issuer)}/${tenant}/v2.0`
/** `https://<tenant>.b2clogin.com/tfp/<tenant id>/<policy>/v2.0/`, with the slash. */
const b2cIssuer = (issuer: string) => `${originOf(issuer)}/tfp/${tenant}/${policy}/v2.0/`

const beside = besideProviders({
  external: (issuer: string) => ({
    authority: externalIssuer(issuer),
    metadataUrl: wellKnown(issuer),
    assertionAudience: `${issuer}/token`,
    assertionKeyId: false,
  }),
  b2c: (issuer: string) => ({ authority: b2cIssuer(issuer), metadataUrl: `${wellKnown(issuer)}?p=${policy}` }),
})
let stack: Stack
let external: MockProvider
let b2c: MockProvider
beforeAll(async () => {
  const shop = { id: 'shop', origins: ['http://localhost:3000'], providers: ['external', 'b2c'], apis: [] }
  stack = await startStack({ frontEnds: [shop], provider: beside.start })
  external = beside.get('external')
  b2c = beside.get('b2c')
})
beforeEach(() => {
  external.reset()
  b2c.reset()
  external.behaviour.metadata = { issuer: externalIssuer(external.issuer) }
  external.behaviour.person = { sub: 'grace', iss: externalIssuer(external.issuer), tid: tenant, oid: 'an-oid' }
  external.behaviour.assertion = { audience: `${external.issuer}/token` }
  const browser = `http://127.0.0.1:${new URL(b2c.issuer).port}${new URL(b2c.issuer).pathname}`
  b2c.behaviour.metadata = {
    issuer: b2cIssuer(b2c.issuer),
    authorization_endpoint: `${browser}/authorize?p=${policy}`,
    token_endpoint: `${b2c.issuer}/token?p=${policy}`,
    jwks_uri: `${b2c.issuer}/jwks?p=${policy}`,
    end_session_endpoint: `${browser}/endsession?p=${policy}`,
  }
  b2c.behaviour.person = { sub: 'grace', iss: b2cIssuer(b2c.issuer), tfp: policy }
  b2c.behaviour.assertion = { audience: b2cIssuer(b2c.issuer) }
})
afterAll(() => stack.close())

const page = { id: 'shop', origin: 'http://localhost:3000' }
const coldUrl = async () => (await stack.startInstance()).url
const signIn = (provider: string, at: string) =>
  stack.person().signIn({ frontend: 'shop', provider }, undefined, { at })
const lastOf = (provider: MockProvider, endpoint: string) =>
  provider.requests.findLast((request) => request.endpoint === endpoint)?.parameters

describe('Entra External ID', () => {
  it('signs a person in with metadata of a custom domain, which names the issuer of ciamlogin.com', async () => {
    const at = await coldUrl()
    const person = stack.person()

    await person.signIn({ frontend: 'shop', provider: 'external' }, undefined, { at })

    const { json } = await person.script(page, '/session', { at })
    expect(json).toMatchObject({ provider: 'external' })
    // The identity is issuer and subject: `tid` and `oid` are proven at Entra ID only.
    expect(json).not.toHaveProperty('object_id')
    expect(external.requests.find(({ endpoint }) => endpoint === 'metadata')).toBeDefined()
  })

  it('is refused where the metadata names another issuer than the settings, and so is such a token', async () => {
    external.behaviour.metadata = { issuer: `${originOf(external.issuer)}/another/v2.0` }
    expectPage(await begin('external', await coldUrl()), 'provider_metadata_untrusted')

    external.behaviour.metadata = { issuer: externalIssuer(external.issuer) }
    external.behaviour.person = { sub: 'grace', iss: external.issuer }
    expectPage(await signIn('external', await coldUrl()), 'id_token_refused')
  })
})

describe('a policy of Azure AD B2C', () => {
  it('is an authority of its own: the policy stays in the query of each endpoint', async () => {
    const at = await coldUrl()
    const person = stack.person()

    expect((await person.signIn({ frontend: 'shop', provider: 'b2c' }, undefined, { at })).status).toBe(303)
    const out = await person.script(page, '/logout', { method: 'POST', body: '{}', at })

    for (const endpoint of ['metadata', 'authorize', 'token', 'jwks']) {
      expect(lastOf(b2c, endpoint), endpoint).toMatchObject({ p: policy })
    }
    expect(new URL(String(out.json.url)).searchParams.get('p')).toBe(policy)
  })

  it('is not used as it is offered: its metadata lists no client authentication by private_key_jwt', async () => {
    b2c.behaviour.metadata = {
      ...b2c.behaviour.metadata,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    }

    expectPage(await begin('b2c', await coldUrl()), 'provider_unsuitable')
  })

  it('of another policy is refused', async () => {
    b2c.behaviour.person = { sub: 'grace', iss: b2cIssuer(b2c.issuer).replace(policy, 'b2c_1_edit') }

    expectPage(await signIn('b2c', await coldUrl()), 'id_token_refused')
  })
})

function begin(provider: string, at?: string) {
  return stack.person().begin({ frontend: 'shop', provider }, at === undefined ? {} : { at })
}
