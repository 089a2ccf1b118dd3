/** Table of every HTTP route: function name to path. The host's route table, links and metadata use it. */

/** Paths without the leading slash, as the Functions host writes routes. */
export const routes = {
  login: 'login',
  // With the id of a provider behind it, for a provider beside the primary one.
  callback: 'callback/{provider?}',
  signup: 'signup',
  signupConsented: 'signup/consented',
  session: 'session',
  sessionToken: 'session/token',
  token: 'token',
  revoke: 'revoke',
  // With the base URL's path behind it, where it has one (RFC 8414 §3.1).
  authorizationServerMetadata: '.well-known/oauth-authorization-server/{*issuerPath}',
  openidConfiguration: '.well-known/openid-configuration',
  idTokenKeys: '.well-known/id-token-keys.json',
  userinfo: 'userinfo',
  endSession: 'end-session',
  jwks: '.well-known/jwks.json',
  logout: 'logout',
  logoutDone: 'logout/done',
  logoutFrontchannel: 'logout/frontchannel',
  logoutBackchannel: 'logout/backchannel',
  browserClient: 'client.js',
  browserOAuthClient: 'client-oauth.js',
  health: 'health',
  ready: 'health/ready',
  readyDetail: 'health/detail',
  certificateRegistered: 'certificate/{version}/registered',
  operatorListSessions: 'operator/sessions/list',
  operatorEndSessions: 'operator/sessions/end',
  operatorTenants: 'operator/tenants/{action}',
  // A constraint that matches the empty text only: the host serves `/` by such a template.
  home: '{ignored:maxlength(0)?}',
} as const

export type RouteName = keyof typeof routes

/** @returns the path from the root: `/login` */
export function pathOf(name: RouteName): string {
  // An optional rest of a path is left out: the path without it is the route.
  return `/${routes[name].replace(/\/\{(\*\w+|\w+\?)\}$/, '')}`
}

/** @param baseUrl the broker's own, without a slash at its end */
export function urlOf(baseUrl: string, name: RouteName): string {
  return `${baseUrl}${pathOf(name)}`
}
