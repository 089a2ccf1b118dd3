import { expect, it } from 'vitest'
import { endSessionUrl, keptIdToken } from '../../../shared/sign-out/end-session-url.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'

const client = { clientId: 'broker', postLogoutRedirectUri: 'https://signin.example.com/logout/done' }
const openId = { profile: openIdProfile({ authority: 'https://login.example.com' }) }
const entra = { profile: entraProfile({ instance: 'https://login.example.com/', tenantId: 't' }) }
const urlOf = (idToken: string | undefined, logoutHint?: string) =>
  new URL(endSessionUrl('https://login.example.com/logout?realm=staff', client, { state: 's', idToken, logoutHint }))

it('has every parameter of the sign-out, and keeps the query of the endpoint', () => {
  expect(Object.fromEntries(urlOf('a.b.c', 'hint').searchParams)).toEqual({
    realm: 'staff',
    client_id: 'broker',
    post_logout_redirect_uri: client.postLogoutRedirectUri,
    state: 's',
    logout_hint: 'hint',
    id_token_hint: 'a.b.c',
  })
})

it('leaves the ID token out where the URL would be longer than servers accept', () => {
  expect(urlOf('t'.repeat(6000)).searchParams.has('id_token_hint')).toBe(true)
  expect(urlOf('t'.repeat(7000)).searchParams.has('id_token_hint')).toBe(false)
  expect(urlOf(undefined).searchParams.has('id_token_hint')).toBe(false)
})

it('keeps the ID token for a provider that needs it, and for no other', () => {
  expect(keptIdToken(openId, 'a.b.c')).toBe('a.b.c')
  expect(keptIdToken(openId, 't'.repeat(6001))).toBeUndefined()
  expect(keptIdToken(entra, 'a.b.c')).toBeUndefined()
})
