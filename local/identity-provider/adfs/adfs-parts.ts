/** The parts of the federation server that its modules share. */
import type { Faults } from '../faults.ts'
import type { GrantStore } from '../grant-store.ts'
import type { Directory, Person } from '../people.ts'
import type { Api } from '../scopes.ts'
import type { SigningKeys } from '../signing-keys.ts'
import type { ChangeTokenResponse } from '../token-endpoint.ts'

/** A server application of an application group. */
export interface AdfsClient {
  readonly clientId: string
  /** `-RedirectUri`; pages for after a sign-out are among them. */
  readonly redirectUris: readonly string[]
  /** `-JWTSigningCertificate`, DER. */
  certificates: readonly Uint8Array[]
}

/** Behaviour that a test may change while the server runs. */
export interface FederationBehaviour {
  /** Windows Server 2016 has no device flow and does not check PKCE. */
  release: 2016 | 2019
  accessTokenSeconds: number
  /** For the times of client assertions. */
  clockToleranceSeconds: number
  /** Issued by the policy of the application, whatever its scopes. */
  refreshTokens: boolean
  refreshTokensExpired: boolean
}

export interface FederationParts {
  readonly tokenUrl: string
  readonly accessTokenIssuer: string
  readonly clients: readonly AdfsClient[]
  readonly apis: readonly Api[]
  readonly directory: Directory
  readonly keys: SigningKeys
  readonly store: GrantStore
  readonly faults: Faults
  readonly behaviour: FederationBehaviour
  readonly change: () => ChangeTokenResponse | undefined
}

export const paths = {
  authorize: '/adfs/oauth2/authorize',
  token: '/adfs/oauth2/token',
  logout: '/adfs/oauth2/logout',
  keys: '/adfs/discovery/keys',
  discovery: '/adfs/.well-known/openid-configuration',
  signIn: '/adfs/ls/',
} as const

/** Known to every account of the domain; two of one domain differ in the last number alone. */
export function windowsSidOf({ objectId }: Person): string {
  return `S-1-5-21-111884681-232138482-1136263860-${1000 + (Number.parseInt(objectId.slice(-6), 16) || 0)}`
}
