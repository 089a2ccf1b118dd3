/** The sign-in of the person or pipeline that deploys: that of azd, or of az where azd has none. */
import { AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/identity'

/** azd first: its deployments and the hooks must run as the same person. */
export function createDeployerCredential(): TokenCredential {
  return new ChainedTokenCredential(new AzureDeveloperCliCredential(), new AzureCliCredential())
}

const signInErrors = ['AggregateAuthenticationError', 'AuthenticationError', 'CredentialUnavailableError']

/** True where the credential returned no token: the person is not signed in, or the sign-in is too old. */
export function isSignInFault(error: unknown): boolean {
  return error instanceof Error && signInErrors.includes(error.name)
}

/** azd is tried first, then az; each has its own reason. @returns one line for each, to print below a sentence */
export function describeSignInFaults(error: unknown): readonly string[] {
  const { errors = [error] } = error as { readonly errors?: readonly unknown[] }
  return errors
    .map((one) => (one instanceof Error ? one.message : '').split(/\r?\n/).find((line) => line.trim() !== ''))
    .flatMap((line) => (line === undefined ? [] : `- ${line.slice(0, 300)}`))
}
