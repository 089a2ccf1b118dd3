/**
 * Chooses the identity provider of a sign-in at a front end that has several: by the parameter `provider`, by the
 * domain of a hint, by the single sign-on mark, or by the person. Loaded on first use: one provider needs no choice.
 */
import { domainToASCII } from 'node:url'
import { BrokerError } from '../errors/errors.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import type { IdentityProvider } from '../provider/provider.ts'

/** A provider as the page shows it. */
export interface ProviderChoice {
  readonly displayName: string
  /** The same request at `/login`, with the provider named. */
  readonly url: string
}

interface ChoiceRequest {
  /** The parameter `provider`; untrusted. */
  readonly wanted: string | undefined
  /** Checked. */
  readonly hints: Hints
  /** The providers of the front end, at least one. */
  readonly providers: readonly IdentityProvider[]
  /** The provider of the browser's single sign-on mark; undefined where there is none that counts here. */
  readonly marked: () => Promise<string | undefined>
}

/**
 * @returns undefined where the person has to choose
 * @throws {BrokerError} `provider_not_accepted`; `login_required` where the request forbids the question
 */
export async function chooseProvider(request: ChoiceRequest): Promise<IdentityProvider | undefined> {
  const { wanted, hints, providers } = request
  if (wanted !== undefined) {
    const named = providers.find(({ id }) => id === wanted)
    if (!named) throw new BrokerError('provider_not_accepted')
    return named
  }
  const [only, ...more] = providers
  if (more.length === 0) return only
  const home = providerOfDomain(hints, providers)
  if (home) return home
  // A person who wants to select an account may want one of another provider.
  if (!hints.prompts.includes('select_account')) {
    const marked = await request.marked()
    const known = providers.find(({ id }) => id === marked)
    if (known) return known
  }
  if (hints.prompts.includes('none')) throw new BrokerError('login_required', { detail: 'no provider' })
  return undefined
}

/** Home realm discovery. The `domain_hint` comes first: a front end sends it for this purpose. */
function providerOfDomain(
  { domainHint, loginHint }: Hints,
  providers: readonly IdentityProvider[],
): IdentityProvider | undefined {
  const ofUserName = loginHint === undefined ? undefined : /^[^@]+@([\p{L}\p{M}\p{N}.-]+)$/u.exec(loginHint)?.[1]
  // An internationalized domain is xn-- in the settings.
  for (const domain of [domainHint, ofUserName === undefined ? undefined : domainToASCII(ofUserName)]) {
    const found = providers.find(({ domains }) => domain !== undefined && domains.includes(domain.toLowerCase()))
    if (found) return found
  }
  return undefined
}

/** @param query of `/login`, checked; every parameter stays @param loginUrl of the broker */
export function choicesOf(
  providers: readonly IdentityProvider[],
  query: URLSearchParams,
  loginUrl: string,
): readonly ProviderChoice[] {
  return providers.map(({ id, displayName }) => {
    const parameters = new URLSearchParams(query)
    parameters.set('provider', id)
    return { displayName, url: `${loginUrl}?${parameters.toString()}` }
  })
}
