/** GET /: on loopback only, the registered front ends with links to try them. */
import type { FrontEnd } from '../shared/front-ends/front-ends.ts'
import type { Answer } from '../shared/http/answer.ts'
import { html } from '../shared/http/html.ts'
import type { Html } from '../shared/http/html.ts'
import { page } from '../shared/http/pages.ts'
import { urlOf } from '../shared/http/routes.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

/** Elsewhere it answers as the host would without this function: strangers do not learn which front ends there are. */
export const home =
  ({ baseUrl, isLocal, frontEnds }: Pick<Broker, 'baseUrl' | 'isLocal' | 'frontEnds'>): Handle =>
  () =>
    Promise.resolve(isLocal ? homePage(baseUrl, frontEnds.all) : { status: 204 })

/** The registered front ends, with links to try them. */
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
        <a href="${urlOf(baseUrl, 'health')}">Health</a> and <a href="${urlOf(baseUrl, 'ready')}">readiness</a>,
        <a href="${urlOf(baseUrl, 'authorizationServerMetadata')}">OAuth metadata</a>
      </p>
    `,
  )
}

function cookieLinks(baseUrl: string, id: string): Html {
  return html`<a href="${urlOf(baseUrl, 'login')}?frontend=${id}">sign in</a>,
    <a href="${urlOf(baseUrl, 'session')}?frontend=${id}">session</a>,`
}
