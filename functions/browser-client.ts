/** GET /client.js and /client-oauth.js: the browser library for both kinds of front end, without a build step. */
import type { Answer } from '../shared/http/answer.ts'
import type { Handle } from './respond.ts'

/** Any page may load it: it holds no secret, and a page pins its content by the integrity hash of the documentation. */
const headers = {
  'content-type': 'text/javascript; charset=utf-8',
  'cache-control': 'public, max-age=3600',
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
}

// The scripts are loaded on first use, so that a cold start of other routes does not read them.
const load = () => import('./browser-client.generated.ts')

export const browserClient = (): Handle => async (): Promise<Answer> => {
  const { clientScript } = await load()
  return { status: 200, headers, body: clientScript }
}

export const browserOAuthClient = (): Handle => async (): Promise<Answer> => {
  const { oauthClientScript } = await load()
  return { status: 200, headers, body: oauthClientScript }
}
