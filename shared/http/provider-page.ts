/**
 * The page on which a person chooses an identity provider. Links and no form: a policy for the form's action would also
 * apply to every redirect behind it, and the page could not forbid other targets. A name has the direction of its own
 * script: Arabic and Hebrew run from right to left.
 */
import type { Answer } from './answer.ts'
import { html } from './html.ts'
import { page } from './pages.ts'

/** @param providers their names, and addresses of the broker's own `/login` */
export function providerPage(providers: readonly { readonly displayName: string; readonly url: string }[]): Answer {
  return page(
    200,
    'Choose how to sign in',
    html`<p>Choose the organization or service that has your account.</p>
      <nav aria-label="Identity providers">
        <ul class="choices">
          ${providers.map(({ displayName, url }) => html`<li><a class="way" dir="auto" href="${url}">${displayName}</a></li>`)}
        </ul>
      </nav>`,
  )
}
