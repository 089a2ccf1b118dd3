/**
 * A sign-in that the identity provider starts, such as by a tile of its dashboard. OpenID Connect Core §4. It becomes a
 * link to `/login`, as a page of the front end has it: every check of such a link applies, and an attacker gains no
 * more by it than by that link. Loaded on first use: most providers start no sign-in.
 */
import { BrokerError } from '../errors/errors.ts'
import { loginParameterLimits } from '../front-ends/login-parameters.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { optional, required } from '../oauth/parameter.ts'
import { withParameters } from '../http/url-parameters.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { signInUrl } from './sign-in-url.ts'

interface InitiatedLoginOptions {
  readonly frontEnds: FrontEnds
  readonly providers: Pick<Providers, 'all' | 'find'>
  readonly baseUrl: string
}

/** The longest value of each; docs/openapi.json has the same. */
export const initiatedLoginLimits = { iss: 512, target_link_uri: loginParameterLimits.return_url } as const

/** Parameters of `/login` that the link has too: the address that is registered at the provider may have a query. */
const passedOn = Object.keys(loginParameterLimits).filter((name) => name !== 'return_url')

/**
 * @param query of `/login` with `iss`; untrusted. Parameters that are unknown or empty are ignored (§4)
 * @returns the link to `/login`, with the provider named and with `target_link_uri` as its return URL
 * @throws {BrokerError} `parameter_repeated`, `parameter_invalid`, `provider_not_accepted`, `front_end_missing`,
 *   `front_end_unknown`, `front_end_kind_mismatch`
 */
export function initiatedLoginUrl(query: URLSearchParams, options: InitiatedLoginOptions): string {
  const target =
    optional(query, 'target_link_uri', initiatedLoginLimits.target_link_uri) ?? optional(query, 'return_url')
  const frontEnd = frontEndOf(optional(query, 'frontend'), target, options.frontEnds)
  const provider = providerOf(required(query, 'iss', initiatedLoginLimits.iss), options.providers)
  const named = optional(query, 'provider')
  if (!provider || (named !== undefined && named !== provider.id)) {
    throw new BrokerError('provider_not_accepted', { frontEndId: frontEnd.id, remedy: issuerRemedy })
  }
  const parameters = Object.fromEntries(passedOn.map((name) => [name, optional(query, name)]))
  return withParameters(signInUrl(options.baseUrl, frontEnd), {
    ...parameters,
    provider: provider.id,
    return_url: target,
  })
}

/**
 * @param id the parameter `frontend`; untrusted
 * @param target untrusted: here it only chooses a registered front end, and `/login` checks it
 */
function frontEndOf(id: string | undefined, target: string | undefined, frontEnds: FrontEnds): FrontEnd {
  const origin = target !== undefined && URL.canParse(target) ? new URL(target).origin : undefined
  const meant = frontEnds.all.filter((one) => (id === undefined ? one.origins.includes(origin ?? '') : one.id === id))
  const [only, ...others] = id === undefined && meant.length === 0 ? frontEnds.all : meant
  if (only?.kind === 'oauth' && others.length === 0) {
    throw new BrokerError('front_end_kind_mismatch', { frontEndId: only.id, remedy: clientRemedy })
  }
  return frontEnds.get(id, id === undefined ? origin : undefined, target)
}

/**
 * By its issuer, compared exactly (§4). An authority for many tenants of Entra ID is named by any of them: the tenant
 * is checked after the sign-in, in the ID token, so that this route does not reveal which tenants signed up. Okta names
 * the organization by its origin, also where the sign-in is at an authorization server of the organization
 * (`https://example.okta.com/oauth2/default`).
 */
function providerOf(issuer: string, { all, find }: InitiatedLoginOptions['providers']): IdentityProvider | undefined {
  const ofTenant = issuer.replace('{tenantid}', '00000000-0000-0000-0000-000000000000')
  const known = find(issuer) ?? all.find(({ profile }) => profile.isTokenIssuer(ofTenant))
  if (known) return known
  const [only, ...others] = all.filter((provider) => new URL(provider.issuer).origin === issuer)
  return others.length === 0 ? only : undefined
}

const issuerRemedy =
  'Go back to the application and sign in there. Operator: the parameter iss has to be the issuer of an identity provider that is configured, exactly.'
const clientRemedy =
  'Go to the application and sign in there. Operator: an OAuth client starts its own sign-in. Register an address of the application at the identity provider, in place of /login of the broker.'
