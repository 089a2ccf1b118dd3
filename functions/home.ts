/** GET /: on a laptop only, what is registered and links to try it. */
import type { FrontEnd } from '../shared/front-ends/front-ends.ts'
import type { Answer } from '../shared/http/answer.ts'
import { html } from '../shared/http/html.ts'
import type { Html } from '../shared/http/html.ts'
import { page } from '../shared/http/pages.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const home =
  ({ baseUrl, frontEnds }: Pick<Broker, 'baseUrl' | 'frontEnds'>): Handle =>
  () =>
    Promise.resolve(homePage(baseUrl, frontEnds.all))

/** On a laptop only: what is registered, and links to try it. */
export function homePage(baseUrl: string, frontEnds: readonly FrontEnd[]): Answer {
  const items = frontEnds.map(
    ({ id, kind, origins, apis }) => html`
      <li>
        <strong>${id}</strong>: ${kind === 'session' ? cookieLinks(baseUrl, id) : 'an OAuth client'} at
        ${origins.map((origin, index) => html`${index > 0 ? ', ' : ''}<a href="${origin}/">${origin}</a>`)}${
          apis.length > 0 ? `; APIs: ${apis.map(({ name }) => name).join(', ')}` : undefined
        }
      </li>
    `,
  )
  return page(
    200,
    'Certificate token broker',
    html`
      <p>Runs on this machine. This page exists locally only.</p>
      <ul>
        ${items}
      </ul>
      <p>
        <a href="${baseUrl}/health">Health</a> and <a href="${baseUrl}/health/ready">readiness</a>,
        <a href="${baseUrl}/.well-known/oauth-authorization-server">OAuth metadata</a>
      </p>
    `,
  )
}

function cookieLinks(baseUrl: string, id: string): Html {
  return html`<a href="${baseUrl}/login?frontend=${id}">sign in</a>,
    <a href="${baseUrl}/session?frontend=${id}">session</a>,`
}
