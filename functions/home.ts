/** GET /: on a laptop only, what is registered and links to try it. */
import { homePage } from '../shared/http/pages.ts'
import type { Broker } from './compose.ts'
import type { Handle } from './respond.ts'

export const home =
  ({ baseUrl, frontEnds }: Pick<Broker, 'baseUrl' | 'frontEnds'>): Handle =>
  () =>
    Promise.resolve(homePage(baseUrl, frontEnds.all))
