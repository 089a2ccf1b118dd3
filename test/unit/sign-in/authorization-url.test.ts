import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'
import type { FrontEndSettings } from '../../../shared/settings/settings.ts'
import { authorizationUrl } from '../../../shared/sign-in/authorization-url.ts'
import { checkHints, parseLoginParameters } from '../../../shared/front-ends/login-parameters.ts'
import { signInScopes } from '../../../shared/front-ends/scopes.ts'
import type { LoginParameters } from '../../../shared/front-ends/login-parameters.ts'
import type { ProviderMetadata } from '../../../shared/provider/provider.ts'
import { codeChallengeOf } from '../../../shared/crypto/pkce.ts'
import type { Transaction } from '../../../shared/sign-in/transaction.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

const [shop, plain] = parseFrontEnds(
  JSON.stringify([
    {
      id: 'shop',
      origins: ['https://shop.example.com'],
      apis: [
        { name: 'orders', scopes: ['api://orders/read', 'api://orders/write'] },
        { name: 'bills', scopes: ['api://bills/read'] },
      ],
    },
    { id: 'plain', origins: ['https://plain.example.com'] },
  ]),
  'Broker__FrontEnds',
) as [FrontEndSettings, FrontEndSettings]

const metadata: ProviderMetadata = {
  issuer: 'https://login.example.com/tenant/v2.0',
  authorizationEndpoint: 'https://login.example.com/authorize?p=policy&state=fixed',
  tokenEndpoint: 'https://login.example.com/token',
  endSessionEndpoint: undefined,
  jwksUri: 'https://login.example.com/keys',
  issuerInAnswers: false,
  offlineAccess: true,
  assertionAlgorithm: 'PS256',
}

const transaction: Transaction = {
  state: 'our-state',
  nonce: 'our-nonce',
  codeVerifier: 'our-verifier',
  issuer: metadata.issuer,
  issuerInAnswers: false,
  clientId: 'our-client',
  frontEndId: 'shop',
  returnUrl: 'https://shop.example.com/',
  responseMode: 'form_post',
  scopes: ['openid', 'profile'],
  replaces: undefined,
  begunAt: 0,
}

const redirectUri = 'https://signin.example.com/callback'

const hintsOf = (parameters: LoginParameters) => {
  const { prompts, ...hints } = checkHints(parameters, shop)
  return { ...hints, prompt: prompts[0] }
}
const urlOf = (parameters: LoginParameters) =>
  new URL(authorizationUrl(metadata, transaction, redirectUri, hintsOf(parameters)))

describe('the authorization URL', () => {
  it('has each parameter once, with the broker’s values, for any hints', () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc
        .array(fc.constantFrom('&', '#', '?', '=', '%26', '%00', 'state=x', 'client_id=', 'prompt=none', '+', ' ', 'é'))
        .map((pieces) => pieces.join('')),
    )
    fc.assert(
      fc.property(hostile, hostile, (loginHint, value) => {
        const parameters = new URLSearchParams({
          login_hint: loginHint,
          claims: JSON.stringify({ access_token: { acrs: { value } } }),
        })
        let parsed: LoginParameters
        try {
          parsed = parseLoginParameters(parameters)
        } catch (error) {
          // Too long, or a control character: refused with its name.
          expect(error).toMatchObject({ code: 'parameter_invalid' })
          return
        }
        const url = urlOf(parsed)

        const names = [...url.searchParams.keys()]
        expect(names.sort()).toEqual(
          [
            ...['claims', 'client_id', 'code_challenge', 'code_challenge_method', 'login_hint', 'nonce', 'p'],
            ...['redirect_uri', 'response_mode', 'response_type', 'scope', 'state'],
          ].sort(),
        )
        expect(url.searchParams.get('login_hint')).toBe(loginHint)
        expect(JSON.parse(url.searchParams.get('claims') ?? '')).toEqual({ access_token: { acrs: { value } } })
        expect(url.searchParams.get('state')).toBe('our-state')
        expect(url.origin + url.pathname + url.hash).toBe('https://login.example.com/authorize')
      }),
    )
  })

  it('keeps the query of the provider’s endpoint, and contains no code verifier', () => {
    const url = urlOf({})

    expect(url.searchParams.get('p')).toBe('policy')
    expect(url.searchParams.get('code_challenge')).toBe(codeChallengeOf('our-verifier'))
    expect(url.href).not.toContain('our-verifier')
  })

  it('requests a code, and an ID token beside it with the hybrid flow', () => {
    const hybrid = { ...transaction, responseType: 'code id_token' } as const

    expect(urlOf({}).searchParams.get('response_type')).toBe('code')
    const url = new URL(authorizationUrl(metadata, hybrid, redirectUri, hintsOf({})))
    expect(url.searchParams.get('response_type')).toBe('code id_token')
    expect(url.searchParams.get('response_mode')).toBe('form_post')
  })

  it('has the challenge of RFC 7636, appendix B', () => {
    expect(codeChallengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
      'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    )
  })
})

describe('the parameters of /login', () => {
  it('are read, or refused with their name, for any input', () => {
    const name = fc.oneof(
      fc.constantFrom('frontend', 'return_url', 'prompt', 'login_hint', 'domain_hint', 'claims', 'ui_locales', 'scope'),
      fc.string(),
      fc.constantFrom('__proto__', 'constructor', 'toString', 'response_type'),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(name, anyText()), { maxLength: 5 }), (pairs) => {
        try {
          const parsed = parseLoginParameters(new URLSearchParams(pairs))
          expect(new Map(Object.entries(parsed))).toEqual(new Map(pairs))
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
          expect((error as BrokerError).code).toMatch(/^parameter_(invalid|repeated)$/)
          expect((error as BrokerError).members.parameter).toMatch(/^([\w.-]{1,40}|an unknown one)$/)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('scopes', () => {
  const scopes = (scope?: string, frontEnd = shop) =>
    signInScopes(frontEnd, checkHints(scope === undefined ? {} : { scope }, frontEnd).extraScopes)

  it('are those of the first API where none is named, and else the named ones of one API', () => {
    const always = ['openid', 'profile', 'offline_access']

    expect(scopes()).toEqual([...always, 'api://orders/read', 'api://orders/write'])
    expect(scopes('api://orders/write')).toEqual([...always, 'api://orders/write'])
    expect(scopes('api://bills/read')).toEqual([...always, 'api://bills/read'])
    expect(() => scopes('api://bills/read api://orders/read')).toThrow('parameter_invalid')
    expect(() => scopes('api://bills/write')).toThrow('scope_not_registered')
  })

  it('request no refresh token where the front end has no API', () => {
    expect(scopes(undefined, plain)).toEqual(['openid', 'profile'])
    expect(() => scopes('api://bills/read', plain)).toThrow('scope_not_registered')
  })

  it('that are refused are never in the URL: every requested scope is registered', () => {
    const piece = fc.constantFrom('api://orders/read', 'api://bills/read', 'openid', '.default', ' ', 'api://', 'x')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
        try {
          const requested = scopes(pieces.join(''))
          const registered = shop.apis.find(({ scopes: all }) => requested.slice(3).every((one) => all.includes(one)))
          expect(registered).toBeDefined()
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
        }
      }),
    )
  })
})

describe('a claims challenge', () => {
  it('is passed on as it was parsed, or refused, for any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (claims) => {
        try {
          const { claims: passed } = checkHints({ claims }, shop)
          expect(JSON.parse(passed ?? '')).toEqual(JSON.parse(claims))
          expect(Object.keys(JSON.parse(passed ?? '') as object)).toEqual(['access_token'])
        } catch (error) {
          expect(error).toMatchObject({ code: 'claims_not_allowed' })
        }
      }),
    )
    const challenge = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"},"acrs":null}}'
    expect(checkHints({ claims: challenge }, shop).claims).toBe(challenge)
  })
})
