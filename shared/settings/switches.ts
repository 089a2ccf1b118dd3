/**
 * Environment variables that switch off a check of Node.js, redirect tokens, or write tokens to a log or a file. They
 * are refused as soon as one address in the settings is outside loopback; where all parts are on loopback, each is a
 * warning.
 */
import { checkIdentityEndpoint } from './addresses.ts'
import { certificateAuthoritiesName } from './certificate-authorities.ts'
import type { Refusal } from './settings-error.ts'

/** @returns undefined for a name or value without such an effect */
export function checkSwitch(name: string, value: string): Refusal | undefined {
  return checks[name.toUpperCase()]?.(value)
}

const checks: Readonly<Record<string, (value: string) => Refusal | undefined>> = {
  // Node.js compares with exactly this text.
  NODE_TLS_REJECT_UNAUTHORIZED: (value) =>
    value === '0'
      ? {
          problem: 'switches off the check of TLS certificates, so that any server can receive tokens',
          fix: `Delete it. For a private certificate authority, write its certificate into ${certificateAuthoritiesName}.`,
        }
      : undefined,
  NODE_OPTIONS: checkNodeOptions,
  NODE_DEBUG: (value) =>
    /(^|[,\s])(https?2?|undici|fetch|\*|[a-z0-9]*\*[a-z0-9*]*)($|[,\s])/i.test(value)
      ? { problem: 'writes requests with their tokens to the log', fix: 'Delete it.' }
      : undefined,
  // MSAL sends client assertions to a host that begins with this text.
  MSAL_FORCE_REGION: () => ({ problem: 'redirects client assertions to another host', fix: 'Delete it.' }),
  // Siblings of IDENTITY_ENDPOINT: the SDK sends requests for tokens there.
  MSI_ENDPOINT: checkIdentityEndpoint,
  IMDS_ENDPOINT: checkIdentityEndpoint,
  AZURE_POD_IDENTITY_AUTHORITY_HOST: checkIdentityEndpoint,
}

/** Options of Node.js by their effect; the text after `=` is compared where there is a pattern for it. */
const nodeOptions: readonly { readonly option: RegExp; readonly value?: RegExp; readonly effect: string }[] = [
  { option: /^--insecure-http-parser$/, effect: 'accepts malformed HTTP, which hides requests in others' },
  { option: /^--security-revert$/, effect: 'undoes a security fix of Node.js' },
  { option: /^--use-openssl-ca$/, effect: 'replaces the list of trusted certificate authorities by files' },
  { option: /^--tls-min-v1\.[01]$/, effect: 'permits outdated versions of TLS' },
  { option: /^--tls-cipher-list$/, value: /NULL|SECLEVEL=[01]/i, effect: 'permits weak ciphers' },
  { option: /^--tls-keylog$/, effect: 'writes the keys of TLS connections to a file' },
  { option: /^--trace-tls$/, effect: 'writes the content of TLS connections to the log' },
  { option: /^--inspect(-brk|-wait)?$/, effect: 'opens a debugger that reads tokens in memory' },
  { option: /^--heapsnapshot-/, effect: 'writes tokens in memory to a file' },
]

function checkNodeOptions(value: string): Refusal | undefined {
  // Node.js accepts double quotes around an option, and underscores as dashes.
  const options = value.match(/"[^"]*"|\S+/g)?.map((option) => option.replaceAll('"', '')) ?? []
  for (const [index, written] of options.entries()) {
    const [name = '', ...rest] = written.split('=')
    const option = name.replaceAll('_', '-')
    const text = rest.length > 0 ? rest.join('=') : (options[index + 1] ?? '')
    const found = nodeOptions.find((known) => known.option.test(option) && (!known.value || known.value.test(text)))
    if (found) return { problem: `has ${option}, which ${found.effect}`, fix: `Delete ${option} from it.` }
  }
  return undefined
}
