/**
 * docs/openapi.json: every route that a front end calls, and those for sessions and tenants that an operator calls,
 * in OpenAPI 3.1.
 */
import * as z from 'zod/mini'
import { clientParameterLimits } from '../../shared/oauth/authorization-request.ts'
import { loginParameterLimits } from '../../shared/front-ends/login-parameters.ts'
import { initiatedLoginLimits } from '../../shared/sign-in/initiated-login.ts'
import { pathOf } from '../../shared/http/routes.ts'
import { requests, schemas } from './schemas.ts'
import { signUpRoute } from '../../shared/sign-in/organization-sign-up.ts'
import { tenantActions } from '../../shared/tenants/tenant-administration.ts'

type SchemaName = keyof typeof schemas
type RequestName = keyof typeof requests
type Members = Readonly<Record<string, unknown>>

const ref = (name: SchemaName | RequestName) => ({ $ref: `#/components/schemas/${name}` })
const answer = (description: string, type: string, name: SchemaName): Members => ({
  description,
  headers: { 'Broker-Reference': { $ref: '#/components/headers/Broker-Reference' } },
  content: { [type]: { schema: ref(name) } },
})
const json = (description: string, name: SchemaName) => answer(description, 'application/json', name)
const problem = (description: string) => answer(description, 'application/problem+json', 'Problem')
const oauthError = (description: string) => answer(description, 'application/json', 'OAuthError')
const page = (description: string) => ({ description, content: { 'text/html': { schema: { type: 'string' } } } })
const passing = (response: Members): Members => ({
  ...response,
  headers: { ...(response.headers as Members), 'Retry-After': { $ref: '#/components/headers/Retry-After' } },
})

const frontend = {
  name: 'frontend',
  in: 'query',
  description: 'The front end’s id; optional where the header Origin identifies it, or only one is registered.',
  schema: { type: 'string', maxLength: loginParameterLimits.frontend },
}
const brokerRequest = {
  name: 'Broker-Request',
  in: 'header',
  required: true,
  description: 'A form or an image cannot send this header.',
  schema: { const: '1' },
}

const parameterTexts: Readonly<Record<string, string>> = {
  frontend: 'Session front end: the front end’s id.',
  return_url: 'Session front end: where to come back to; an absolute URL on a registered origin, at most 1 KB.',
  client_id: 'OAuth client: the front end’s id.',
  redirect_uri: 'OAuth client: exactly as registered; the port of http://127.0.0.1 and http://[::1] is not compared.',
  response_type: 'OAuth client: `code`.',
  response_mode: 'OAuth client: `query`, `fragment` or `form_post`; omitted, `query`.',
  state: 'OAuth client: returned in the answer.',
  code_challenge: 'OAuth client: RFC 7636 §4.2.',
  code_challenge_method: 'OAuth client: `S256`.',
  nonce: 'OAuth client: returned in the ID token.',
  id_token_hint: 'OAuth client: an ID token of the person for whom alone the answer may be.',
  scope:
    'Registered scopes of one API, separated by spaces; for an OAuth client of one or several, the API of the sign-in first, and openid, profile, email and offline_access. Omitted: those of the first API.',
  prompt: 'Values in `prompts` of the front end, separated by spaces; `none` alone, and for an OAuth client only.',
  login_hint: 'User name to suggest.',
  domain_hint: 'A domain.',
  provider: 'The id of one of the providers of the front end.',
  iss: 'A sign-in that the identity provider starts (OpenID Connect Core §4): the issuer of a configured provider. Unknown parameters are ignored beside it.',
  target_link_uri: 'Beside iss: as return_url.',
  claims:
    'A claims challenge, as the broker or the API returned it; of an OAuth client also a claims request (OpenID Connect Core §5.5).',
  api: 'Session front end: the name of the API to request an access token for, in place of all of its scopes.',
  acr_values: 'Authentication context classes, separated by spaces.',
  ui_locales: 'Language tags, separated by spaces.',
  resource: 'OAuth client: the API that the scopes belong to (RFC 8707).',
  max_age: 'The most seconds since the person authenticated.',
}

function loginParameters(): readonly object[] {
  const limits: Readonly<Record<string, number>> = {
    ...loginParameterLimits,
    ...clientParameterLimits,
    ...initiatedLoginLimits,
  }
  return Object.entries(parameterTexts).map(([name, description]) => ({
    name,
    in: 'query',
    description,
    schema: { type: 'string', maxLength: limits[name] },
  }))
}

/** Those of `/login` that `/signup` accepts, with the same limits. */
function signUpParameters(): readonly object[] {
  const names: readonly string[] = signUpRoute.accepts
  return loginParameters().filter((parameter) => names.includes((parameter as { name: string }).name))
}

function body(type: string, name: RequestName, required = true): object {
  return { required, content: { [type]: { schema: ref(name) } } }
}

const form = (name: RequestName) => body('application/x-www-form-urlencoded', name)

const scriptErrors = {
  '400': problem('The request is invalid; `code` names the reason.'),
  '403': problem(
    'The request does not come from a script of the front end, or comes from another site: `front_end_cross_site`.',
  ),
  '414': problem('More than 8,000 characters in the query.'),
  '500': problem('`internal`: a fault of the broker.'),
  '503': passing(problem('A fault that may pass; the session is kept.')),
}
const renewalRefused = '`id_token_refused`: the answer of the provider to a renewal is refused; the session is kept.'
const operatorErrors = {
  '400': problem('A member is missing or invalid; `parameter` names it.'),
  '401': { description: 'No function key, or a wrong one; the host answers.' },
  '413': problem('More than 8 KB.'),
  '415': problem('Not JSON.'),
  '503': passing(problem('A fault that may pass. The change may have happened before it.')),
}
const clientErrors = {
  '400': oauthError('RFC 6749 §5.2. At /token, `interaction_required` has sign_in_url; the session is kept.'),
  '401': oauthError('The client is refused that the header Authorization: Basic names (RFC 6749 §5.2).'),
  '413': oauthError('More than 64 KB.'),
  '415': oauthError('Not a form.'),
  '500': oauthError('`internal`: a fault of the broker.'),
  '503': passing(oauthError('A fault that may pass: repeat the request with the same values.')),
}

function endSession(operationId: string): object {
  return {
    operationId,
    summary: 'Ends the session of an OAuth client by redirect (RP-Initiated Logout 1.0); the browser navigates here.',
    responses: {
      '303': {
        description: 'To the sign-out of the identity provider, or to the page of the client.',
        headers: { Location: { schema: { type: 'string', format: 'uri' } } },
      },
      '400': page('The request is refused, and no session has ended.'),
      ...(operationId === 'endSession' ? { '403': page('The request is a prefetch.') } : {}),
      '503': page('A fault that passes.'),
    },
  }
}

function userinfo(operationId: string): object {
  return {
    operationId,
    summary: 'Claims about the person of an access token (OpenID Connect Core §5.3).',
    security: [{ accessToken: [] }],
    responses: {
      '200': json('The claims that the scopes of the grant name.', 'Userinfo'),
      ...clientErrors,
      '401': oauthError('The access token is missing, or not valid here (RFC 6750 §3.1).'),
    },
  }
}

function paths(): Members {
  return {
    [pathOf('login')]: {
      get: {
        operationId: 'login',
        summary: 'Starts a sign-in; a navigation of the browser.',
        description:
          'With client_id it is the OAuth authorization endpoint (RFC 6749 §4.1.1): until client and redirect URI are beyond doubt an error is a page, afterwards it goes to the redirect URI. Without, it begins a sign-in of session front ends. With iss, it is the address at which an identity provider starts a sign-in (OpenID Connect Core §4).',
        parameters: loginParameters(),
        responses: {
          '200': page('`response_mode=form_post`: a form that posts an error to the redirect URI of an OAuth client.'),
          '303': {
            description:
              'Redirects to the identity provider, or with an error to the redirect URI; with iss, to the link that starts the sign-in.',
            headers: { Location: { schema: { type: 'string', format: 'uri' } } },
          },
          '400': page('The request is invalid; the page names the reason.'),
          '403': page('The request is a prefetch.'),
          '414': page('More than 8,000 characters.'),
          '503': page('A fault that may pass.'),
        },
      },
      post: {
        operationId: 'loginByPost',
        summary:
          'The same parameters in a form of an OAuth client or of an identity provider; a navigation of the browser.',
        responses: {
          '303': {
            description: 'Repeats the request by GET.',
            headers: { Location: { schema: { type: 'string', format: 'uri' } } },
          },
          '405': page('The form has neither client_id nor iss: a session front end sends a person by a link.'),
          '413': page('More than 64 KB.'),
          '414': page('More than 8,000 characters.'),
          '415': page('Not a form.'),
        },
      },
    },
    [pathOf('signup')]: {
      get: {
        operationId: 'signup',
        summary: 'Starts the sign-up of an organization by its administrator; a navigation of the browser.',
        parameters: signUpParameters(),
        responses: {
          '303': {
            description: 'Redirects to the admin consent of the identity provider.',
            headers: { Location: { schema: { type: 'string', format: 'uri' } } },
          },
          '400': page('The request is invalid; the page names the reason.'),
          '403': page('The request is a prefetch.'),
          '404': page('Organizations cannot sign up at this broker.'),
          '414': page('More than 8,000 characters.'),
          '503': page('A fault that may pass.'),
        },
      },
    },
    [pathOf('session')]: {
      get: {
        operationId: 'session',
        summary: 'The person that is signed in at the front end, by its cookie.',
        parameters: [frontend],
        security: [{ sessionCookie: [] }],
        responses: {
          '200': json('Signed in.', 'Session'),
          '401': problem('Not signed in; sign_in_url starts a sign-in.'),
          ...scriptErrors,
        },
      },
    },
    [pathOf('sessionToken')]: {
      post: {
        operationId: 'sessionToken',
        summary: 'An access token for an API of the front end, by its cookie.',
        parameters: [frontend, brokerRequest],
        security: [{ sessionCookie: [] }],
        requestBody: body('application/json', 'SessionTokenRequest'),
        responses: {
          '200': json('The access token. Request it for each use instead of storing it.', 'SessionToken'),
          '401': problem('Not signed in; sign_in_url starts a sign-in.'),
          ...scriptErrors,
          '403': problem(
            'Also `interaction_required`: sign_in_url requests the missing permission; the session is kept.',
          ),
          '413': problem('More than 8 KB.'),
          '415': problem('Not JSON.'),
          '502': problem(renewalRefused),
        },
      },
    },
    [pathOf('logout')]: {
      post: {
        operationId: 'logout',
        summary: 'Ends the session; the returned URL ends it at the provider.',
        parameters: [frontend, brokerRequest],
        security: [{ sessionCookie: [] }, {}],
        requestBody: body('application/json', 'LogoutRequest', false),
        responses: {
          '200': json('The session is ended, or there was none.', 'SignOut'),
          ...scriptErrors,
          '413': problem('More than 8 KB.'),
          '415': problem('Not JSON.'),
        },
      },
    },
    [pathOf('token')]: {
      post: {
        operationId: 'token',
        summary: 'OAuth client: exchanges a code or a refresh token for an access token.',
        requestBody: form('TokenRequest'),
        responses: { '200': json('RFC 6749 §5.1.', 'Token'), ...clientErrors, '502': oauthError(renewalRefused) },
      },
    },
    [pathOf('revoke')]: {
      post: {
        operationId: 'revoke',
        summary:
          'OAuth client: ends the session of a refresh token, or of the access token of a client without an API (RFC 7009).',
        requestBody: form('RevocationRequest'),
        responses: { '200': json('The session is ended, or there was none.', 'Revocation'), ...clientErrors },
      },
    },
    [pathOf('authorizationServerMetadata')]: {
      get: {
        operationId: 'authorizationServerMetadata',
        summary: 'Metadata for the configuration of OAuth clients (RFC 8414). Every origin may read it.',
        responses: { '200': json('The metadata; independent of the header Host.', 'Metadata') },
      },
    },
    [pathOf('openidConfiguration')]: {
      get: {
        operationId: 'openidConfiguration',
        summary: 'Metadata for OpenID Connect clients (OpenID Connect Discovery §4). Every origin may read it.',
        responses: { '200': json('The metadata; independent of the header Host.', 'OpenidConfiguration') },
      },
    },
    [pathOf('idTokenKeys')]: {
      get: {
        operationId: 'idTokenKeys',
        summary: 'The public keys that verify ID tokens (RFC 7517). Every origin may read them.',
        responses: {
          '200': { description: 'The key set.', content: { 'application/json': { schema: ref('KeySet') } } },
          '503': passing(problem('A fault that passes.')),
        },
      },
    },
    [pathOf('operatorListSessions')]: {
      post: {
        operationId: 'operatorListSessions',
        summary: 'For operators: the sessions of a person, a tenant or a front end, as times.',
        security: [{ functionKey: [] }],
        requestBody: body('application/json', 'OperatorSessionsRequest'),
        responses: {
          '200': json('One part; `continuation` is there while rows are left.', 'OperatorSessions'),
          ...operatorErrors,
        },
      },
    },
    [pathOf('operatorEndSessions')]: {
      post: {
        operationId: 'operatorEndSessions',
        summary: 'For operators: ends the sessions of a person, a tenant or a front end. It may be repeated.',
        security: [{ functionKey: [] }],
        requestBody: body('application/json', 'OperatorSessionsRequest'),
        responses: {
          '200': json('One part; `continuation` is there while rows are left.', 'EndedSessions'),
          ...operatorErrors,
        },
      },
    },
    [pathOf('operatorTenants')]: {
      post: {
        operationId: 'operatorTenants',
        summary: 'For operators: lists, adds, suspends, resumes or removes tenants that signed up.',
        parameters: [
          {
            name: 'action',
            in: 'path',
            required: true,
            description: 'All actions but `list` need a tenant.',
            schema: { enum: tenantActions },
          },
        ],
        security: [{ functionKey: [] }],
        requestBody: body('application/json', 'OperatorTenantsRequest'),
        responses: {
          '200': json('All tenants, or the changed one.', 'OperatorTenants'),
          ...operatorErrors,
          '404': problem('`tenant_unknown`, or `sign_up_closed` where the settings name the tenants.'),
        },
      },
    },
    [pathOf('endSession')]: { get: endSession('endSession'), post: endSession('endSessionByPost') },
    [pathOf('userinfo')]: { get: userinfo('userinfo'), post: userinfo('userinfoByPost') },
  }
}

export function openApi(): string {
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: 'Certificate token broker',
      version: '1',
      description:
        'Routes for front ends, and those by which an operator lists and ends sessions, and changes the tenants that signed up. docs/front-ends.md compares the kinds of front ends; docs/errors.md explains each code.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'http://localhost:7071', description: 'On a laptop' }],
    security: [],
    paths: paths(),
    components: {
      securitySchemes: {
        sessionCookie: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-session-ID',
          description: 'ID is the front end’s.',
        },
        accessToken: { type: 'http', scheme: 'bearer' },
        functionKey: {
          type: 'apiKey',
          in: 'header',
          name: 'x-functions-key',
          description: 'A key of the function app, for operators.',
        },
      },
      headers: {
        'Broker-Reference': { description: 'Reference of the request in the log.', schema: { type: 'string' } },
        'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 1 } },
      },
      schemas: Object.fromEntries(
        Object.entries({ ...schemas, ...requests }).map(([name, schema]) => [name, jsonSchema(schema)]),
      ),
    },
  })
}

function jsonSchema(schema: z.ZodMiniType): object {
  const written = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'output' })
  // Each schema of OpenAPI 3.1 is of this draft already.
  delete written.$schema
  return written
}
