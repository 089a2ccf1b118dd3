import { expect, it } from 'vitest'
import { endSessionRequest } from '../../../shared/sign-out/end-session-url.ts'
import { adfsProfile } from '../../../shared/provider/adfs.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'

const client = { clientId: 'broker', postLogoutRedirectUri: 'https://signin.example.com/logout/done' }
const openId = { profile: openIdProfile({ authority: 'https://login.example.com' }) }
const endpoint = 'https://login.example.com/logout?realm=staff'
const request = (idToken: string | undefined, logoutHint?: string, { profile } = openId) =>
  endSessionRequest(endpoint, { ...client, profile }, { state: 's', idToken, logoutHint })

const fields = {
  client_id: 'broker',
  post_logout_redirect_uri: client.postLogoutRedirectUri,
  state: 's',
}

it('is a URL with every parameter, which keeps the query of the endpoint', () => {
  const made = request('a.b.c', 'hint')

  const url = new URL('url' in made ? made.url : 'none:')
  expect(Object.fromEntries(url.searchParams)).toEqual({
    ...fields,
    realm: 'staff',
    logout_hint: 'hint',
    id_token_hint: 'a.b.c',
  })
})

it('is a form where the URL would be longer than servers accept', () => {
  const idToken = 't'.repeat(7000)

  expect(request('t'.repeat(6000))).toHaveProperty('url')
  expect(request(undefined)).toHaveProperty('url')
  expect(request(idToken)).toEqual({ form: { action: endpoint, fields: { ...fields, id_token_hint: idToken } } })
})

it('omits the ID token in place of a form at AD FS, which signs out by GET only', () => {
  const adfs = { profile: adfsProfile({ authority: 'https://fs.example.com/adfs' }) }
  const parametersOf = (idToken: string) => {
    const made = request(idToken, undefined, adfs)
    return Object.fromEntries(new URL('url' in made ? made.url : 'none:').searchParams)
  }

  expect(parametersOf('a.b.c')).toEqual({ ...fields, realm: 'staff', id_token_hint: 'a.b.c' })
  expect(parametersOf('t'.repeat(7000))).toEqual({ ...fields, realm: 'staff' })
})
