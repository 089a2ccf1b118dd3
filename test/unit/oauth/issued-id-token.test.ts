import { expect, it } from 'vitest'
import { claimsOf } from '../../../shared/oauth/issued-id-token.ts'
import type { RegisteredClaims } from '../../../shared/provider/registered-claims.ts'
import { adaIdentity } from '../session/parts.ts'

it('has the e-mail address that the confirmation is about, also after a renewal with another one', () => {
  const shown = (values: RegisteredClaims['values'], claimNames = ['email_verified']) =>
    claimsOf(
      { ...adaIdentity, email: 'ceo@contoso.com', claims: { values } },
      { scopes: ['openid', 'email'], claimNames },
    )
  // At the sign-in the person had typed the address of another one, and has confirmed the own one since.
  const renewed = { email: 'grace@example.com', email_verified: true }

  expect(shown(renewed)).toMatchObject(renewed)
  expect(shown(renewed, ['email', 'email_verified'])).toMatchObject(renewed)
  expect(shown({})).toMatchObject({ email: 'ceo@contoso.com' })
  expect(shown({})).not.toHaveProperty('email_verified')
})
