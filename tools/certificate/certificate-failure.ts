/** The failures of a certificate command, each as a sentence for the person who runs it. */
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import { BrokerError } from '../../shared/errors/errors.ts'
import { isLoopbackUrl } from '../../shared/settings/addresses.ts'
import { CertificateNetworkRefused, CertificateProblem, CertificateRefused } from './create.ts'
import { describeSignInFaults, isSignInFault } from './deployer-credential.azure-identity.ts'

/** @param reason the code of the failure */
function silent(vaultUrl: string, reason: string): string {
  return isLoopbackUrl(vaultUrl)
    ? `${vaultUrl} does not answer (${reason}). Run npm start, or write --vault https://<name>.vault.azure.net for a deployed broker.`
    : `${vaultUrl} does not answer (${reason}). Check its name, the network, and HTTPS_PROXY and NO_PROXY.`
}

/** @returns what is wrong, and what to do */
export function describeFailure(error: unknown, { vaultUrl, name }: { vaultUrl: string; name: string }): string {
  if (error instanceof CertificateProblem) return error.message
  const cause = causeOf(error)
  if (isSignInFault(cause)) {
    const sentence = `There is no sign-in for ${vaultUrl}. Run: azd auth login, or: az login`
    return [sentence, ...describeSignInFaults(cause)].join('\n')
  }
  if (error instanceof BrokerError) return describeBrokerError(error, { vaultUrl, name })
  const { statusCode, code, message } = error as { statusCode?: number; code?: unknown; message?: string }
  if (statusCode === undefined && typeof code === 'string') return silent(vaultUrl, code)
  return `The request to ${vaultUrl} failed: ${message ?? String(error)}`
}

/** The broker's own error for a sign-in has the SDK's as its cause. */
function causeOf(error: unknown): unknown {
  return error instanceof BrokerError && error.code === 'managed_identity_unavailable' ? error.cause : error
}

/** The sentences of the catalogue are about the identity of the broker; a command runs as a person. */
function describeBrokerError(
  { code, detail = '', remedy }: BrokerError,
  { vaultUrl, name }: { vaultUrl: string; name: string },
): string {
  const reason = detail === '' ? code : `${code}: ${detail}`
  switch (code) {
    case 'certificate_missing':
      return `${vaultUrl} has no certificate ${name}. Write another --name, or run: npm run certificate -- create`
    case 'vault_unavailable':
      return silent(vaultUrl, reason)
    case 'vault_forbidden':
      return /ForbiddenBy(Firewall|Connection|Nsp)/.test(detail)
        ? new CertificateNetworkRefused(vaultUrl).message
        : new CertificateRefused('list', vaultUrl).message
    default: {
      const fix = /Operator: (.*)$/.exec(remedy)?.[1] ?? remedy
      return `${errorCatalogue[code].title} (${reason}) ${fix.charAt(0).toUpperCase()}${fix.slice(1)}`
    }
  }
}
