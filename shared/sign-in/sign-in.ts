/**
 * A sign-in from beginning to end: sends the browser to the identity provider, and creates a session from the response.
 *
 * This folder owns the authorization request, its response, the pending sign-in in the browser, the single sign-on mark
 * and the links of failed sign-ins. It does not own the provider's tokens and their checks (provider/), sessions
 * (session/), or the protocol of OAuth clients (oauth/).
 */
import { createSignInCompletion } from './sign-in-completion.ts'
import type { SignInCompletion, SignInCompletionOptions } from './sign-in-completion.ts'
import { createSignInStart } from './sign-in-start.ts'
import type { SignInStart, SignInStartOptions } from './sign-in-start.ts'

export interface SignIn extends SignInStart, SignInCompletion {}

interface SignInOptions extends SignInStartOptions, SignInCompletionOptions {
  readonly sessions: SignInCompletionOptions['sessions']
}

export function createSignIn(options: SignInOptions): SignIn {
  return { ...createSignInStart(options), ...createSignInCompletion(options) }
}
