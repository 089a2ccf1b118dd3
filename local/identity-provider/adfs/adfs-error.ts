/** The errors of AD FS: the number is in `error_description` and nowhere else. */

interface AdfsErrorKind {
  readonly status: number
  readonly error: string
  readonly text: string
}

const kinds = {
  client_unknown_page: {
    status: 200,
    error: 'invalid_request',
    text: "MSIS9223: Received invalid OAuth authorization request. The received 'client_id' is invalid as no registered client was found with this client identifier.",
  },
  redirect_uri_page: {
    status: 200,
    error: 'invalid_request',
    text: "MSIS9224: Received invalid OAuth authorization request. The received 'redirect_uri' parameter is not a valid registered redirect URI for the client identifier.",
  },
  client_unknown: {
    status: 400,
    error: 'invalid_client',
    text: "MSIS9607: The 'client_id' parameter in the request is invalid. No registered client is found with this identifier.",
  },
  client_authentication: {
    status: 400,
    error: 'invalid_client',
    text: 'MSIS9622: Client authentication failed. Please verify the credential provided for client authentication is valid.',
  },
  resource_unknown: {
    status: 400,
    error: 'invalid_resource',
    text: "MSIS9602: The received 'resource' parameter is invalid. The authorization server can not find a registered resource with the specified identifier.",
  },
  resources_many: {
    status: 400,
    error: 'invalid_request',
    text: 'Only one resource can be specified in the request.',
  },
  not_permitted: {
    status: 400,
    error: 'access_denied',
    text: 'MSIS9605: The client is not allowed to access the requested resource.',
  },
  code_invalid: {
    status: 400,
    error: 'invalid_grant',
    text: "MSIS9612: The authorization code received in 'code' parameter is invalid.",
  },
  refresh_token_invalid: {
    status: 400,
    error: 'invalid_grant',
    text: "MSIS9614: The refresh token received in 'refresh_token' parameter is invalid.",
  },
  refresh_token_expired: {
    status: 401,
    error: 'invalid_grant',
    text: "MSIS9615: The refresh token received in 'refresh_token' parameter has expired.",
  },
  grant_type_unknown: {
    status: 400,
    error: 'unsupported_grant_type',
    text: "MSIS9611: The authorization server does not support the requested 'grant_type'.",
  },
  prompt_unknown: { status: 400, error: 'invalid_request', text: "The 'prompt' parameter is invalid." },
  interaction_required: { status: 400, error: 'interaction_required', text: 'The person has to sign in.' },
} satisfies Record<string, AdfsErrorKind>

export type AdfsErrorName = keyof typeof kinds

export class AdfsError extends Error {
  readonly kind: AdfsErrorKind

  constructor(name: AdfsErrorName) {
    const kind: AdfsErrorKind = kinds[name]
    super(kind.text)
    this.kind = kind
  }
}

/** The body of an error response of the token endpoint. */
export function adfsErrorAnswer({ kind }: AdfsError): Readonly<Record<string, string>> {
  return { error: kind.error, error_description: kind.text }
}
