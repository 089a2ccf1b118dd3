/**
 * Not run, only compiled: each line that skips or reorders a check must be an error, or the type check fails here
 * ("Unused '@ts-expect-error' directive").
 */
import type { CallbackAnswer } from '../../../shared/sign-in/authorization-response.ts'
import type { CheckedCode, TakenCode } from '../../../shared/provider/token-endpoint.ts'
import { checkAnswer, checkResponse, takeCode } from '../../../shared/sign-in/authorization-response.ts'
import type { IdTokenExpectations } from '../../../shared/provider/id-token.ts'
import type { Identity } from '../../../shared/provider/identity.ts'
import { checkIdToken } from '../../../shared/provider/id-token.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import type { RedeemedCode, TokenEndpoint } from '../../../shared/provider/token-endpoint.ts'
import type { CurrentTransaction, Transaction } from '../../../shared/sign-in/transaction.ts'
import type { Sessions } from '../../../shared/session/sessions.ts'
import type { Store } from '../../../shared/store/store.ts'

export interface Parts {
  readonly answer: CallbackAnswer & { readonly code: string }
  readonly opened: Transaction
  readonly current: CurrentTransaction
  readonly endpoint: TokenEndpoint
  readonly sessions: Sessions
  readonly store: Store
  readonly provider: IdentityProvider
  readonly expected: IdTokenExpectations
}

export async function inOrder(parts: Parts): Promise<void> {
  const { answer, current, endpoint, sessions, store, provider, expected } = parts
  const { code }: { code: CheckedCode } = await checkResponse(answer, current, { provider, clock: Date.now })
  const taken: TakenCode | undefined = await takeCode(code, current, { store, lifetimeSeconds: 900 })
  if (!taken) return
  const redeemed: RedeemedCode = await endpoint.redeemCode(taken, current)
  const identity: Identity = await checkIdToken(redeemed.idToken, expected, { provider, clock: Date.now })
  await sessions.begin('shop', identity, { refreshToken: undefined, accessTokens: {} })
}

export async function outOfOrder(parts: Parts, checked: CheckedCode): Promise<void> {
  const { answer, opened, current, endpoint, sessions, store } = parts
  // @ts-expect-error -- a transaction whose age and front end were not checked
  checkAnswer(answer, opened, parts.provider.profile)
  // @ts-expect-error -- a code of the hybrid flow whose ID token was not checked
  await takeCode(checkAnswer(answer, current, parts.provider.profile), current, { store, lifetimeSeconds: 900 })
  // @ts-expect-error -- a code straight from the answer
  await takeCode(answer.code, current, { store, lifetimeSeconds: 900 })
  // @ts-expect-error -- a code whose state was not used up
  await endpoint.redeemCode(checked, current)
  // @ts-expect-error -- a person without a verified ID token
  await sessions.begin('shop', { issuer: 'a', subject: 'b' }, { refreshToken: undefined, accessTokens: {} })
}
