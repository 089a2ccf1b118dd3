/** Front ends for unit tests: registered as the setting registers them. */
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import type { FrontEnds } from '../../../shared/front-ends/front-ends.ts'
import { areProblems, parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'

export const oauthClient = {
  id: 'app',
  kind: 'oauth',
  origins: ['https://app.example.net'],
  redirectUris: ['https://app.example.net/cb'],
  apis: [{ name: 'a', scopes: ['api://a/b'] }],
}

/** @param all members of Broker__FrontEnds */
export function registered(...all: readonly object[]): FrontEnds {
  const parsed = parseFrontEnds(JSON.stringify(all), 'Broker__FrontEnds')
  if (areProblems(parsed)) throw new Error(JSON.stringify(parsed))
  return createFrontEnds(parsed)
}
