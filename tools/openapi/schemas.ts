/**
 * Schemas of the broker's answers to front ends, for docs/openapi.json. Tests compare real answers with them. Objects
 * are closed, so that an undocumented member fails a test.
 */
import * as z from 'zod/mini'
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import type { ErrorCode } from '../../shared/errors/catalogue.ts'

const described = (description: string) => z.meta({ description })
const text = (description: string) => z.string().check(described(description))
const seconds = (description: string) => z.int().check(z.minimum(0), described(description))
const url = (description: string) => z.url().check(described(description))
const maybe = (description: string) => z.optional(text(description))

const codes = Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]
const responsibleParties = [...new Set(Object.values(errorCatalogue).map(({ responsible }) => responsible))]
const oauthErrors = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'invalid_token',
  'invalid_scope',
  'invalid_target',
  'unsupported_grant_type',
  'interaction_required',
  'server_error',
  'temporarily_unavailable',
] as const

const code = z.enum(codes).check(described('Stable; branch on it. docs/errors.md has them all.'))
const reference = text('Under which the broker’s log has it; the same as the header Broker-Reference.')
const badSetting = z.strictObject({ setting: z.string(), problem: z.string(), fix: z.string() })

/** Members that some codes have. */
const members = {
  sign_in_url: z.optional(url('Where to send the browser; the front end adds where to come back to.')),
  parameter: maybe('Which parameter it is about.'),
  problem: maybe('What is wrong with it.'),
  settings: z.optional(z.array(badSetting).check(described('What the operator has to correct, without values.'))),
}

/** Values of registered claims; an object is the claim `address`. */
const claim = z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.record(z.string(), z.string())])
const omitted = z.optional(
  z.array(z.string()).check(described('Registered claims that the provider sent and the broker left out.')),
)
const overage = z.optional(
  z.literal(true).check(described('The person is in more groups than the provider puts into a token.')),
)
const notAttributed = z
  .int()
  .check(
    described('Sessions that may match too: their rows are of a previous release, which stored the subject alone.'),
  )
const continuation = maybe('Rows are left: repeat the request with it.')

const assertionAlgorithms = z.array(z.enum(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']))
/** Members of the metadata in both documents. */
const serverMetadata = {
  issuer: url('The broker. Every answer to a redirect URI carries it as `iss`.'),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  revocation_endpoint: z.url(),
  jwks_uri: z.url(),
  scopes_supported: z.array(z.enum(['openid', 'profile', 'email', 'address', 'phone', 'offline_access'])),
  response_types_supported: z.array(z.literal('code')),
  response_modes_supported: z.array(z.enum(['query', 'fragment', 'form_post'])),
  grant_types_supported: z.array(z.enum(['authorization_code', 'refresh_token'])),
  code_challenge_methods_supported: z.array(z.literal('S256')),
  token_endpoint_auth_methods_supported: z.array(z.enum(['none', 'private_key_jwt'])),
  token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
  revocation_endpoint_auth_methods_supported: z.array(z.enum(['none', 'private_key_jwt'])),
  revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
  authorization_response_iss_parameter_supported: z.literal(true),
  prompt_values_supported: z.array(z.enum(['none', 'login', 'select_account', 'consent'])),
}

export const schemas = {
  Session: z.strictObject({
    subject: text('The person, as this application sees them (`sub`).'),
    provider: maybe('The id of the identity provider, where it is not the primary one.'),
    object_id: maybe('The person in their tenant; with tenant_id what to keep people by.'),
    tenant_id: maybe('The tenant that the person signed in at.'),
    name: maybe('What to call them; no key, since names change hands.'),
    username: maybe('What they sign in as; no key either.'),
    acr: maybe('The authentication context class, where the provider names it.'),
    authenticated_at: z.optional(seconds('When the person authenticated, where the provider names it; since 1970.')),
    claims: z.optional(
      z
        .record(z.string(), claim)
        .check(described('Claims of the provider that the front end has registered; absent where it registers none.')),
    ),
    claims_omitted: omitted,
    groups_overage: overage,
    signed_in_at: seconds('Since 1970.'),
    expires_at: seconds('The session’s absolute end; since 1970.'),
    idle_expires_at: seconds('Its end unless an access token is requested before; since 1970.'),
  }),
  SessionToken: z.strictObject({
    access_token: text('The identity provider’s, for the API; opaque to the front end.'),
    token_type: z.literal('Bearer'),
    expires_in: seconds('From now.'),
    scope: text('What the token is for, separated by spaces.'),
  }),
  Token: z.strictObject({
    access_token: text('The identity provider’s, for the API; opaque to the client.'),
    token_type: z.literal('Bearer'),
    expires_in: seconds('From now.'),
    scope: text('What the token is for, separated by spaces.'),
    refresh_token: maybe('Issued by the broker: opaque, valid for one use, replaced by each answer.'),
    id_token: maybe('Issued by the broker for the scope openid; a JWT, valid for an hour.'),
  }),
  Revocation: z.strictObject({}),
  SignOut: z.strictObject({
    url: url('Where to send the browser: it ends the session at the provider, and comes back.'),
  }),
  Metadata: z.strictObject(serverMetadata),
  OpenidConfiguration: z.strictObject({
    ...serverMetadata,
    userinfo_endpoint: z.url(),
    end_session_endpoint: z.url(),
    subject_types_supported: z.array(z.literal('public')),
    id_token_signing_alg_values_supported: z.array(z.enum(['RS256', 'ES256'])),
    claim_types_supported: z.array(z.literal('normal')),
    claims_supported: z.array(z.string()),
    claims_parameter_supported: z.literal(true),
    request_parameter_supported: z.literal(false),
    request_uri_parameter_supported: z.literal(false),
  }),
  KeySet: z.strictObject({
    keys: z.array(
      z.looseObject({
        kty: z.enum(['RSA', 'EC']),
        kid: z.string(),
        use: z.literal('sig'),
        alg: z.enum(['RS256', 'ES256']),
      }),
    ),
  }),
  Userinfo: z.looseObject({
    sub: text('The subject of the ID token, and of GET /session.'),
    name: maybe('For display.'),
    preferred_username: maybe('For display.'),
    email: maybe('Where the identity provider has one; not verified by the broker.'),
    oid: maybe('Entra ID: the person in the tenant.'),
    tid: maybe('Entra ID: the tenant.'),
    claims_omitted: omitted,
    groups_overage: overage,
  }),
  OperatorSessions: z.strictObject({
    sessions: z.array(
      z.strictObject({
        front_end: maybe('Its id; left out where it is no longer registered.'),
        signed_in_at: maybe('Time of the sign-in.'),
        expires_at: maybe('End of the session, unless it is used before.'),
        ends_at: maybe('End of the session, also where it is used.'),
      }),
    ),
    not_attributed: notAttributed,
    continuation,
  }),
  EndedSessions: z.strictObject({
    ended: z.int().check(described('Sessions that this request ended.')),
    not_attributed: notAttributed,
    continuation,
  }),
  OperatorTenants: z.strictObject({
    tenants: z.array(
      z.strictObject({
        tenant: text('The tenant’s GUID.'),
        state: z.enum(['active', 'suspended']),
        signed_up_at: text('ISO 8601.'),
        signed_up_by: text('The object id of the administrator, or `operator`.'),
        domain: maybe('A domain of the tenant; for display.'),
        changed_at: text('ISO 8601.'),
      }),
    ),
    effective_within: z
      .optional(z.int())
      .check(described('After a change: seconds until it has effect at every instance.')),
  }),
  Problem: z
    .strictObject({
      type: text('`about:blank#` and the code.'),
      title: text('What happened.'),
      status: z.int(),
      detail: text('What to do about it.'),
      code,
      responsible: z.enum(responsibleParties).check(described('Who can do something about it.')),
      reference,
      registration: maybe('The line that would register the front end.'),
      ...members,
    })
    .check(described('RFC 9457.')),
  OAuthError: z
    .strictObject({
      error: z.enum(oauthErrors),
      error_description: text('What to do about it; for the developer.'),
      code,
      reference,
      ...members,
    })
    .check(described('RFC 6749 §5.2, with the broker’s own code and reference beside it.')),
} as const

/** Request bodies. */
export const requests = {
  SessionTokenRequest: z.strictObject({
    api: text('Its name in Broker__FrontEnds.'),
    scope: maybe('Fewer of its scopes than are registered, separated by spaces.'),
    claims: maybe(
      'The claims challenge with which the API rejected the last token, as it came or decoded from base64.',
    ),
  }),
  LogoutRequest: z.strictObject({
    return_url: maybe(
      'One of the registered signedOutUrls. Left out, it is the first one on the origin of the page, or the first of all.',
    ),
    refresh_token: maybe(
      'OAuth clients: the refresh token of the session to end. `frontend` in the query is then the client id.',
    ),
  }),
  TokenRequest: z.union([
    z.object({
      grant_type: z.literal('authorization_code'),
      client_id: text('The front end’s id.'),
      code: text('From the redirect URI; good for a minute and for one use.'),
      redirect_uri: text('As in the authorization request.'),
      code_verifier: z.string().check(z.regex(/^[A-Za-z0-9\-._~]{43,128}$/), described('RFC 7636 §4.1.')),
      resource: maybe('The API of the scopes (RFC 8707).'),
    }),
    z.object({
      grant_type: z.literal('refresh_token'),
      client_id: text('The front end’s id.'),
      refresh_token: text('The last one that was issued.'),
      scope: maybe(
        'Not more than was granted; all of it where it is left out. The access token is for the API of the first scope.',
      ),
      claims: maybe(
        'The claims challenge with which the API rejected the last token, as it came or decoded from base64.',
      ),
      resource: maybe('Selects one API of the grant (RFC 8707).'),
    }),
  ]),
  OperatorTenantsRequest: z.strictObject({
    tenant: maybe('The GUID of a tenant; not for list.'),
    domain: maybe('With add: a domain of the tenant, for the list.'),
    provider: maybe('The id of a provider; without it, the first at which tenants sign up.'),
  }),
  OperatorSessionsRequest: z.strictObject({
    subject: maybe('The subject of a person, as front ends receive it; with issuer the `sub` of that issuer.'),
    issuer: maybe('With subject: the issuer of the person’s ID token.'),
    object_id: maybe('The object id of a person in Entra ID.'),
    username: maybe('The user name at the sign-in, in any case of its letters.'),
    tenant: maybe('The GUID of a tenant.'),
    front_end: maybe('The id of a front end.'),
    continuation: maybe('Of the answer before, with the same other members.'),
  }),
  RevocationRequest: z.object({
    client_id: text('The front end’s id.'),
    token: text('A refresh token; anything else is answered the same and has no effect.'),
    token_type_hint: maybe('Accepted, without effect.'),
  }),
} as const
